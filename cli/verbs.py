"""The verbs of a client: how each is asked for and explained. What they do is imported when one is asked for.

Only the standard library and names are needed here, so that help is there at once.
"""

import argparse
import re
from pathlib import Path

from cli.address import BadAddress, checked
from contracts.platforms import Platform
from local.verbs import Verb

PLATFORMS = tuple(map(str, Platform))
KINDS_PARKED = ("failed", "held")
STATUSES = ("open", "completed", "failed", "cancelled")
ID = re.compile(r"[A-Za-z0-9_-]{1,64}")

CREATE = """Has content made about a topic, and shows it live: each step, why an attempt
failed and when it is tried again, and the text while it is written. Ends with
the post, the social posts, the sources, the picture's address and the cost.

Closing the terminal or Ctrl-C never stops the work. A lost connection is made
again by itself. Where standard output is no terminal, each event is a line.

Exit code: 0 complete, 1 failed or cancelled or not to be done, 2 misspoken,
130 you left with Ctrl-C and the work goes on."""

CREATE_EXAMPLES = """  ./run create "The history of tea"
  ./run create "The history of tea" --research --platform linkedin --platform x
  ./run create "Tea" --tone playful --audience children --language German --length short"""

WATCH = """Shows a workflow live, from its beginning, until it ends; one that has ended is
shown as it went. Any number may watch, from anywhere.

Exit code: 0 complete, 1 failed or cancelled or not to be done, 130 you left
with Ctrl-C and the work goes on."""

LIST = """Lists workflows, the newest request first. Where standard output is no terminal,
each is a line with tabs between id, status, moment of the request, cost, topic.

Exit code: 0 listed, 1 not to be done."""

LIST_EXAMPLES = """  ./run list --status failed
  ./run list --query "history tea"
  ./run list --limit 100 | cut -f1"""

SHOW = """Shows one workflow whole: how it stands, how each work went, and what was made.

Exit code: 0 shown, 1 not to be done (with --markdown also: there is no post)."""

SHOW_EXAMPLES = """  ./run show 01a20262-4036-74ac-b832-5ff8bc7b6bef
  ./run show 01a20262-4036-74ac-b832-5ff8bc7b6bef --markdown > tea.md
  ./run show 01a20262-4036-74ac-b832-5ff8bc7b6bef --json | jq .usage"""

CANCEL = """Stops a workflow. What was made is kept, and `resume` makes what is missing. Safe
to repeat.

Exit code: 0 cancelled, now or before; 1 not to be done."""

RESUME = """Has what is missing made after all, in a workflow that failed or was cancelled;
nothing is made twice. Safe to repeat.

Exit code: 0 resumed; 1 not to be done; with --watch those of `watch`."""

PARKED = """Lists the workflows that cannot go on until somebody acts, each with its reason,
newest first. failed: a resume makes sense once the cause is mended. held: one
of its events cannot be read. Where standard output is no terminal, each is a
line with tabs between id, kind, since when, reason, topic.

Exit code: 0 listed, 1 not to be done."""

PARKED_EXAMPLES = """  ./run parked
  ./run parked --kind failed --limit 100 | cut -f1"""

REDRIVE = """Has parked workflows go on, once the cause is mended: those that are named, or
all that `parked` lists. Only what is missing is made, and paid for. Safe to
repeat.

A workflow that is held is folded again from its first event: the read tables
show it then, where this version can read what another could not.

Exit code: 0 all of them go on; 1 not all of them, or not to be done."""

REDRIVE_EXAMPLES = """  ./run redrive --all --reason "The account is topped up."
  ./run redrive 01a20262-4036-74ac-b832-5ff8bc7b6bef"""

STATUS = """Tells of every process of every service, how much waits for each stage, how full
the log is, and how far the read tables are.

Exit code: 0 all is well, 1 something is in trouble or nothing answers."""


def add_create(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("topic", nargs="+", metavar="TOPIC", help="what to write about, up to 2,000 characters")
    verb.add_argument("--research", action="store_true", help="search for sources first, and cite them")
    text = f"where to post: {', '.join(PLATFORMS)}; may be given several times (linkedin)"
    verb.add_argument("--platform", action=EachOnce, choices=PLATFORMS, metavar="NAME", help=text)
    brief = verb.add_argument_group("how it is written")
    brief.add_argument("--tone", metavar="WORDS", help="as: playful")
    brief.add_argument("--audience", metavar="WORDS", help="as: people who are new to the subject")
    brief.add_argument("--language", metavar="NAME", help="as: German")
    brief.add_argument("--length", metavar="LENGTH", help="short, medium, long, or a number of words from 50 to 5000")
    text = "your own id of this request: the same id again shows the same workflow"
    verb.add_argument("--request-id", metavar="ID", help=text)
    text = "print the whole workflow as JSON at the end; events go to standard error"
    verb.add_argument("--json", action="store_true", help=text)
    add_address(verb)


def add_watch(verb: argparse.ArgumentParser) -> None:
    add_id(verb)
    text = "print the whole workflow as JSON at the end; events go to standard error"
    verb.add_argument("--json", action="store_true", help=text)
    add_address(verb)


def add_list(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--status", choices=STATUSES, metavar="STATUS", help=f"only those: {', '.join(STATUSES)}")
    text = "only those in whose topic or title each of these words begins a word"
    verb.add_argument("--query", metavar="WORDS", help=text)
    add_page(verb)
    add_address(verb)


def add_show(verb: argparse.ArgumentParser) -> None:
    add_id(verb)
    form = verb.add_mutually_exclusive_group()
    form.add_argument("--markdown", action="store_true", help="the blog post alone, as Markdown")
    form.add_argument("--json", action="store_true", help="the server's answer as JSON")
    add_address(verb)


def add_cancel(verb: argparse.ArgumentParser) -> None:
    add_id(verb)
    add_reason(verb)
    add_address(verb)


def add_resume(verb: argparse.ArgumentParser) -> None:
    add_cancel(verb)
    verb.add_argument("--watch", action="store_true", help="then show it live, as `watch` does")


def add_parked(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--kind", choices=KINDS_PARKED, metavar="KIND", help=f"only those: {', '.join(KINDS_PARKED)}")
    add_page(verb)
    add_address(verb)


def add_redrive(verb: argparse.ArgumentParser) -> None:
    which = verb.add_mutually_exclusive_group(required=True)
    which.add_argument("ids", nargs="*", default=[], type=workflow_id, metavar="ID", help="the workflows' ids")
    which.add_argument("--all", action="store_true", help="all that are parked")
    add_reason(verb)
    add_address(verb)


def add_status(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--json", action="store_true", help="the server's answer as JSON")
    add_address(verb)


def add_id(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("id", type=workflow_id, metavar="ID", help="the workflow's id")


def add_reason(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--reason", type=reason, metavar="WORDS", help="why, in up to 500 characters; it is recorded")


def add_page(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--limit", type=limit, metavar="NUMBER", help="so many at most, up to 100 (20)")
    verb.add_argument("--cursor", metavar="CURSOR", help="the next page, as the page before names it")
    verb.add_argument("--json", action="store_true", help="the server's answer as JSON")


def add_address(verb: argparse.ArgumentParser) -> None:
    where = verb.add_argument_group("where Pressroom is").add_mutually_exclusive_group()
    text = "its address (PRESSROOM_URL, else what runs on the data directory)"
    where.add_argument("--url", type=url, metavar="URL", help=text)
    where.add_argument("--data", type=Path, metavar="DIR", help="the data directory that it runs on (.pressroom)")


class EachOnce(argparse.Action):
    """A list in which each value may stand once."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        so_far: list[object] = getattr(namespace, self.dest) or []
        if values in so_far:
            parser.error(f"argument {option_string}: {values} is given twice")
        setattr(namespace, self.dest, [*so_far, values])


def workflow_id(text: str) -> str:
    if not ID.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no id of a workflow; `./run list` shows them")
    return text


def limit(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 100:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to 100")
    return int(text)


def reason(text: str) -> str:
    if not text.strip() or len(text) > 500:
        raise argparse.ArgumentTypeError("a reason has 1 to 500 characters")
    return text


def url(text: str) -> str:
    try:
        return checked(text)
    except BadAddress as wrong:
        raise argparse.ArgumentTypeError(str(wrong).rstrip(".")) from None


MAKE = (
    Verb(
        "create",
        '"TOPIC"',
        "have content made about a topic, and watch it",
        CREATE,
        "cli.watching",
        add_create,
        examples=CREATE_EXAMPLES,
    ),
    Verb("cancel", "ID", "stop a workflow; what was made is kept", CANCEL, "cli.deciding", add_cancel),
    Verb("resume", "ID", "have what is missing made after all", RESUME, "cli.deciding", add_resume),
    Verb(
        "redrive",
        "ID…",
        "have parked workflows go on; --all: every one",
        REDRIVE,
        "cli.redriving",
        add_redrive,
        examples=REDRIVE_EXAMPLES,
    ),
)

LOOK = (
    Verb("watch", "ID", "show a workflow live, or as it went", WATCH, "cli.watching", add_watch),
    Verb("list", "", "the workflows, newest first", LIST, "cli.listing", add_list, examples=LIST_EXAMPLES),
    Verb("parked", "", "what cannot go on, and why", PARKED, "cli.parked", add_parked, examples=PARKED_EXAMPLES),
    Verb("show", "ID", "one workflow whole", SHOW, "cli.showing", add_show, examples=SHOW_EXAMPLES),
    Verb("status", "", "how the services, the log and the read tables are", STATUS, "cli.status", add_status),
)
