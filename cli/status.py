"""`status`: whether all is well with the services, the stages, the log and the read tables."""

import argparse
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from cli.address import find_address
from cli.failures import CannotBeDone
from cli.press import Press, Refused
from cli.terminal import is_screen, terminal
from cli.wording import ago, count, harmless, moment_of, one_line, pretty, sentence, size

WIDTH_IN_FILES = 120

Json = dict[str, Any]


def do(chosen: argparse.Namespace, _: object) -> int:
    """-> 0 when all is well, 1 when something is in trouble"""
    with Press(find_address(chosen.url, chosen.data, os.environ)) as press:
        told = _ask(press)
        shown = press.address.shown
    troubles = list(troubles_of(harmless(told)))
    if chosen.json:
        sys.stdout.write(f"{pretty(told)}\n")
    else:
        console = terminal() if is_screen() else _paper()
        for part in drawn(harmless(told), shown, troubles, datetime.now(UTC)):
            console.print(part)
    return 1 if troubles else 0


def _ask(press: Press) -> Json:
    try:
        return press.get("/status", "services", "trouble")
    except Refused as wrong:
        if wrong.status != 404:
            raise
        raise CannotBeDone(f"The gateway at {press.address.shown} is of a version that tells no status.") from None


def _paper() -> Console:
    """A file or another program: no colours, whatever the environment says."""
    return Console(
        force_terminal=False, color_system=None, width=WIDTH_IN_FILES, markup=False, emoji=False, highlight=False
    )


def troubles_of(told: Json) -> Iterator[str]:
    """What is wrong, a sentence each."""
    yield from map(sentence, told.get("trouble") or ())
    for service in told.get("services") or ():
        processes: list[Json] = service["processes"]
        if not processes:
            yield f"{one_line(service['service'])}: no process of it was heard."
        for process in processes:
            known: Json = process.get("parts") or {}
            parts = [(name, how) for name, how in known.items() if how != "ok"]
            for name, how in parts:
                yield sentence(f"{one_line(process['worker'])}, {one_line(name)}: {one_line(how)}")
            if not process["ready"] and not parts:
                yield f"{one_line(process['worker'])} is not ready."


def drawn(told: Json, address: str, troubles: list[str], now: datetime) -> Iterator[RenderableType]:
    """Everything, for a console."""
    if troubles:
        yield Text(f"Pressroom at {address}: something is wrong.", style="bold red")
        for trouble in troubles:
            yield Text(f"- {trouble}", style="red")
    else:
        yield Text(f"Pressroom at {address}: all is well.", style="bold green")
    if told.get("services") is not None:
        yield ""
        yield _services(told["services"], now)
    if told.get("stages") is not None:
        yield ""
        yield _stages(told["stages"])
    yield ""
    if log := told.get("log"):
        yield Text(_log(log))
    if projection := told.get("projection"):
        yield Text(_projection(projection, told.get("log"), now))


def _table(*columns: str, numbers_from: int) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for number, column in enumerate(columns):
        is_number = number >= numbers_from
        table.add_column(column, justify="right" if is_number else "left", overflow="fold", no_wrap=is_number)
    return table


def _services(services: list[Json], now: datetime) -> Table:
    table = _table("SERVICE", "PROCESS", "STATE", "STARTED", "HEARD", "BUSY", numbers_from=3)
    for service in services:
        processes: list[Json] = service["processes"] or [{}]
        for process in processes:
            table.add_row(Text(one_line(service["service"])), *_process(process, now))
    return table


def _process(process: Json, now: datetime) -> list[Text]:
    if not process:
        return [Text("–"), Text("none", style="red"), Text(""), Text(""), Text("")]
    state = Text("ready", style="green") if process["ready"] else Text("not ready", style="red")
    started, heard = moment_of(process.get("started_at")), moment_of(process.get("heard_at"))
    slots, busy = process.get("slots"), process.get("busy")
    return [
        Text(f"{one_line(process['worker'])}"),
        state,
        Text(ago(started, now) if started else ""),
        Text(ago(heard, now) if heard else ""),
        Text("" if slots is None else f"{busy or 0} of {slots}"),
    ]


def _stages(stages: list[Json]) -> Table:
    table = _table("STAGE", "WAITING", "IN HAND", "REDELIVERED", "FREE SLOTS", numbers_from=1)
    for stage in stages:
        numbers = (stage.get(name) for name in ("waiting", "in_hand", "redelivered", "free_slots"))
        table.add_row(Text(one_line(stage["stage"])), *(Text("?" if n is None else f"{n:,}") for n in numbers))
    return table


def _log(log: Json) -> str:
    room = f" of {size(log['bytes_max'])}" if (log.get("bytes_max") or 0) > 0 else ""
    whole = f"Log: {count(log['events'], 'event')}, {size(log['bytes'])}{room}, last position {log['last_position']:,}."
    copies: list[Json] = log.get("replicas") or []  # a server that is alone, or an older gateway, tells none
    return f"{whole} Copies: {', '.join(map(_copy, copies))}." if copies else whole


def _copy(replica: Json) -> str:
    server = one_line(replica["server"])
    if replica["is_leader"]:
        return f"{server} leads"
    if not replica["is_there"]:
        return f"{server} is away"
    return f"{server} is current" if replica["is_current"] else f"{server} lacks {count(replica['lag'], 'change')}"


def _projection(told: Json, log: Json | None, now: datetime) -> str:
    moved = moment_of(told.get("moved_at"))
    held = f", {count(told['held'], 'workflow')} held" if told.get("held") else ""
    when = f", moved {ago(moved, now)}" if moved else ""
    where = f"position {told['position']:,}, {_beside(told['position'], log)}"
    return f"Read tables: {where}{held}{when}, generation {told['generation']}."


def _beside(position: int, log: Json | None) -> str:
    """Where the tables are beside the log. One that ends before them has lost events."""
    if log is None:
        return "the log cannot be told"
    lag = log["last_position"] - position
    if lag < 0:
        return f"{count(-lag, 'event')} more than the log has"
    return f"{count(lag, 'event')} behind" if lag else "up to date"
