"""`create` and `watch`: follow a workflow until it has ended, then show what it made."""

import argparse
import os
import shlex
import signal
import sys
import uuid
from collections.abc import Generator, Mapping
from contextlib import closing, contextmanager
from typing import Any, NoReturn

from rich.console import Console

from cli.address import Address, find_address
from cli.failures import CannotBeDone
from cli.following import Closed, Following, GaveUp, Lost
from cli.frames import Frame
from cli.plain import PlainView, View
from cli.press import Press, Refused
from cli.progress import Progress, evolve
from cli.results import draw_results, results_in_words
from cli.screen import live_view
from cli.steps import outcome_in_words
from cli.terminal import is_screen, terminal
from cli.wording import cost, harmless, one_line, pretty

INTERRUPTED, TERMINATED = 130, 143

READ_TRIES = 4
"""Each waits up to 5 s for the read tables to reach the workflow's end."""

Json = dict[str, Any]


def do(chosen: argparse.Namespace, _: object) -> int:
    """`create` or `watch`. -> 0 complete, 1 failed or cancelled, 130 when the reader left"""
    address = find_address(chosen.url, chosen.data, os.environ)
    if chosen.verb == "watch":
        return Watch(address, chosen.id, as_json=chosen.json).run()
    opening = request_of(chosen)
    again = f"./run create --request-id {shlex.quote(opening['client_request_id'])} …"
    return Watch(address, None, opening, again, as_json=chosen.json).run()


def request_of(chosen: argparse.Namespace) -> Json:
    """The frame that starts what was asked for. With an id of its own, sending it twice starts one workflow."""
    names = ("tone", "audience", "language", "length")
    brief = {name: value for name in names if (value := getattr(chosen, name)) is not None}
    return {
        "type": "start",
        "topic": " ".join(chosen.topic),
        "research": chosen.research,
        "platforms": chosen.platform or ["linkedin"],
        **({"brief": brief} if brief else {}),
        "client_request_id": chosen.request_id or str(uuid.uuid4()),
    }


class Watch:
    """Watches one workflow: an old one by its id, or the one that `opening` starts."""

    def __init__(
        self,
        address: Address,
        workflow_id: str | None,
        opening: Mapping[str, Any] | None = None,
        again: str = "",
        *,
        as_json: bool = False,
    ) -> None:
        self._address, self._as_json, self._again = address, as_json, again
        self._opening = opening or {"type": "attach", "workflow_id": workflow_id, "after_revision": 0}
        self._progress = Progress(workflow_id=None)
        self._id = workflow_id
        self._is_live = is_screen() and not as_json

    def run(self) -> int:
        """Watches until the end. -> the exit code"""
        signal.signal(signal.SIGTERM, _leave)  # so that the terminal gets its cursor back
        console = terminal()
        try:
            with Press(self._address) as press:
                with self._view(console) as view:
                    self._follow(press, view)
                self._tell(press, console)
        except KeyboardInterrupt:
            sys.stderr.write(f"\n{self._goes_on()}\n")
            return INTERRUPTED
        except CannotBeDone as wrong:
            is_open = self._progress.revision > 0 and not self._progress.is_closed
            if is_open or isinstance(wrong, GaveUp):
                raise CannotBeDone(f"{wrong}\n{self._goes_on()}") from None
            raise
        return 0 if self._progress.phase == "completed" else 1

    @contextmanager
    def _view(self, console: Console) -> Generator[View]:
        if self._is_live:
            with live_view(console) as view:
                yield view
        else:
            yield PlainView(sys.stderr if self._as_json else sys.stdout)

    # ------------------------------------------------------------ following

    def _follow(self, press: Press, view: View) -> None:
        is_lost = False
        with closing(Following(self._address, self._opening).frames()) as heard:
            for one in heard:
                match one:
                    case Lost():
                        if not is_lost:
                            view.notice(f"Connection lost ({one_line(one.why, 200)}); attaching again …")
                        is_lost = True
                    case Closed():
                        if self._progress.is_closed:
                            return
                    case Frame():
                        if is_lost:
                            view.notice("Attached again.")
                        is_lost = False
                        if self._hears_end(press, view, one):
                            return

    def _hears_end(self, press: Press, view: View, frame: Frame) -> bool:
        before, self._progress = self._progress, evolve(self._progress, frame)
        self._id = self._progress.workflow_id or self._id
        if self._progress is before:
            return False
        view.heard(self._progress, frame)
        return frame.type == "event" and self._progress.is_closed and not self._is_more_to_come(press)

    def _is_more_to_come(self, press: Press) -> bool:
        """Whether the run that ended was followed by another, of which the next frames tell."""
        try:
            later = press.get(f"/workflows/{self._id}/events", "events", after_revision=self._progress.revision)
        except CannotBeDone:
            return True  # the socket tells as well, a little later
        return bool(later["events"])

    # ------------------------------------------------------------ the end

    def _tell(self, press: Press, console: Console) -> None:
        workflow = self._read(press)
        if self._as_json:
            sys.stdout.write(f"{pretty(workflow)}\n")
            return
        workflow = harmless(workflow)
        if self._progress.phase != "completed":
            self._say(console, "")
            self._say(console, outcome_in_words(self._progress))
            self._say(console, cost(workflow))
            self._say(console, "What was made is kept.")
            for line in self._commands():
                self._say(console, line)
        elif self._is_live:
            draw_results(workflow, self._address, console)
        else:
            sys.stdout.write(f"\n{results_in_words(workflow, self._address)}")

    def _say(self, console: Console, line: str) -> None:
        if self._is_live:
            console.print(line, soft_wrap=True)
        else:
            sys.stdout.write(f"{line}\n")

    def _read(self, press: Press) -> Json:
        """The workflow from the read tables, which follow the log a moment behind."""
        for number in range(1, READ_TRIES + 1):
            try:
                return press.get(f"/workflows/{self._id}", "status", min_position=self._progress.position)
            except Refused as wrong:
                if wrong.status != 503 or number == READ_TRIES:
                    command = f"./run show {self._id}{self._address.option}"
                    raise CannotBeDone(
                        f"{outcome_in_words(self._progress)} What it made cannot be shown at the moment: {wrong} "
                        f"`{command}` shows it later."
                    ) from None
        raise AssertionError("the last try returns or raises")

    def _commands(self) -> list[str]:
        return self._table(resume="makes what is missing, and shows it", show="shows what there is")

    def _goes_on(self) -> str:
        if self._id is None:
            lines = [
                "Whether the request was taken in is not known yet.",
                f"  ./run list{self._address.option}   tells",
                f"  {self._again}   with the same words asks for the same workflow, never for a second one",
            ]
        elif self._progress.is_closed:
            lines = [outcome_in_words(self._progress), *self._table(show="shows what it made")]
        else:
            lines = ["The workflow goes on without you.", *self._table(watch="shows it again", cancel="stops it")]
        return "\n".join(lines)

    def _table(self, **verbs: str) -> list[str]:
        """Commands for this workflow and what they do, a line each."""
        commands = {
            f"./run {verb} {self._id}{' --watch' if verb == 'resume' else ''}{self._address.option}": does
            for verb, does in verbs.items()
        }
        width = max(map(len, commands))
        return [f"  {command:<{width}}   {does}" for command, does in commands.items()]


def _leave(*_: object) -> NoReturn:
    sys.exit(TERMINATED)
