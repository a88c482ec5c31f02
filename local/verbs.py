"""The verbs of this machine: how each is asked for and explained. What they do is imported when one is asked for.

Only the standard library and names are needed here, so that `./run --help` answers at once, even before a set-up.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from local.scale import SCALABLE, SERVICES, scale

NODES = (1, 3)

DATA = Path(__file__).resolve().parent.parent / ".pressroom"
"""Where everything is kept, unless told otherwise."""

UP = """Starts everything, says `Pressroom is ready at …` when all of it answers, restarts
what dies, and runs until Ctrl-C or SIGTERM. Settings come from the environment
and from .env (see .env.example)."""

SERVICE = """Runs one more process of a service in the foreground, as part of the system that
runs on DIR."""

REBUILD = """Makes the read tables anew from the log, beside the ones that the system on DIR
serves meanwhile, and changes over to them in one step.

Exit code: 0 when it has, 1 when all is as it was."""

VERIFY = """Compares the read tables and the archive of the system that runs on DIR with its
log, and changes nothing.

Exit code: 0 where they agree, 1 where they do not, 2 where that could not be
found out."""

LOG = """Compares the log itself with its archive, its second copy in Postgres, or makes it
whole again from there.

  ./run log verify    says what is missing or different, in every copy of the
                      log; changes nothing
  ./run log restore   says what it would bring back, and what would become of
                      newer events; with --yes it does that. Safe to repeat, also
                      after it was killed: the log stays closed until it is whole

Exit code of verify: 0 where they agree, 1 where they do not, 2 where that could
not be found out. Of restore: 0 done, nothing to do, or told; 1 it was not
restored."""

BENCH = """Runs a benchmark with the arguments behind its name; without a name, tells which
there are."""

FUZZ = """Makes up what may come from outside (frames, events, subjects, texts of a model), and
has a property of each held against it. What breaks one is kept in a file.

Exit code: 0 where nothing broke, 1 where something did."""

CHAOS = """Runs the whole system in a folder of its own, breaks it at the points that a seed draws, and
has a checker say which invariants held (docs/reliability-chaos.md).

Exit code: 0 when all held, 1 when one is broken, 2 when that could not be found out or a kind of fault that
was asked for by name never came about, 130 when it was stopped with Ctrl-C."""

ADOPT_LOG = "--adopt-log"
"""The rebuild's own argument; it stands here for the sake of its help."""

LOG_TASKS = ("verify", "restore")
YES, OF = "--yes", "--of"
"""The restore's own arguments, for the same reason."""

DOES = "local.__main__"


@dataclass(frozen=True)
class Verb:
    """A verb of `./run`. `home` is the module whose `do(chosen, rest)` does it, and returns the exit code."""

    name: str
    takes: str
    """What stands behind it, in the list of all verbs."""
    says: str
    """What it does, in a line of that list."""
    explained: str
    home: str
    form: Callable[[argparse.ArgumentParser], None]
    passes_on: bool = False
    """Whether arguments that are not known here are handed on."""
    examples: str = ""


def add_up(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--port", type=port, default=8000, help="where Pressroom answers (%(default)s; 0: a free one)")
    verb.add_argument("--host", default="127.0.0.1", help="the address it listens on (%(default)s; 0.0.0.0: every one)")
    add_data(verb)
    text = "how many NATS servers keep the log: 1 or 3 (as DIR was made with, 1 for a new one)"
    verb.add_argument("--nodes", type=int, choices=NODES, metavar="3", help=text)
    text = f"how many processes of a service ({', '.join(SCALABLE)})"
    verb.add_argument("--scale", type=scale, default={}, metavar="writer=2,…", help=text)


def add_service(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("name", choices=SERVICES, metavar="NAME", help=", ".join(SERVICES))
    verb.add_argument("--port", type=port, default=0, help="where it answers (a free one)")
    add_data(verb)


def add_rebuild(verb: argparse.ArgumentParser) -> None:
    text = "from a log that the tables do not know yet, as where the old one was lost"
    verb.add_argument(ADOPT_LOG, action="store_true", help=text)
    add_data(verb)


def add_log(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("task", choices=LOG_TASKS, metavar="TASK", help=" or ".join(LOG_TASKS))
    verb.add_argument(YES, action="store_true", help="restore: do it, instead of saying what would be done")
    text = "restore: bring back the log with this id, where the one that is there is new"
    verb.add_argument(OF, metavar="ID", help=text)
    add_data(verb)


def add_bench(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("name", nargs="?", metavar="NAME", help="which one")
    verb.add_argument("arguments", nargs=argparse.REMAINDER, metavar="…", help="what it is told")


def add_fuzz(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("targets", nargs="*", metavar="TARGET", help="which ones (all of them)")
    verb.add_argument("--seconds", type=float, default=60, help="for all of them together (%(default)g)")
    verb.add_argument("--again", type=Path, metavar="FILE", help="try this one input once more")
    add_data(verb)


def add_chaos(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--seed", type=int, metavar="N", help="draws the plan; without it, one is chosen and told")
    verb.add_argument("--workflows", type=int, default=50, metavar="M", help="how many are asked for (%(default)s)")
    verb.add_argument("--faults", default="all", metavar="KIND,…", help="which kinds of fault (%(default)s)")
    verb.add_argument("--nodes", type=int, choices=(1, 3), default=1, help="servers that keep the log (%(default)s)")
    verb.add_argument("--plant", metavar="BUG", help="run the services with this bug, which the checker has to find")
    verb.add_argument("--keep", type=Path, metavar="DIR", help="where everything is kept, the run directory in DIR/run")
    text = "seconds that a call of the stand-in model takes (%(default)s)"
    verb.add_argument("--latency", type=float, default=0.5, metavar="SECONDS", help=text)
    text = "seconds to wait for the ends that do not come (%(default)g)"
    verb.add_argument("--patience", type=float, default=120, metavar="SECONDS", help=text)
    verb.add_argument("--unchecked", action="store_true", help="without the checker")


def add_data(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--data", type=Path, default=DATA, metavar="DIR", help="what is kept (%(default)s)")


def port(text: str) -> int:
    if not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port (0 to 65535)")
    return int(text)


VERBS = (
    Verb(
        "up",
        "",
        "start everything and keep it running; what `./run` alone does",
        UP,
        DOES,
        add_up,
        examples="  ./run up --port 9000 --data /tmp/press --scale writer=3,projector=2",
    ),
    Verb(
        "service",
        "NAME",
        "run one more process of a service",
        SERVICE,
        DOES,
        add_service,
        examples="  ./run service writer",
    ),
    Verb(
        "rebuild",
        "",
        "make the read tables anew, while the old ones serve",
        REBUILD,
        DOES,
        add_rebuild,
        passes_on=True,
    ),
    Verb(
        "verify",
        "",
        "compare the read tables and the archive with the log",
        VERIFY,
        DOES,
        add_data,
        passes_on=True,
    ),
    Verb(
        "log",
        "TASK",
        "verify the log beside its archive, or restore it",
        LOG,
        DOES,
        add_log,
        passes_on=True,
        examples="  ./run log verify\n  ./run log restore\n  ./run log restore --yes",
    ),
    Verb(
        "bench",
        "[NAME]",
        "run a benchmark, or tell which there are",
        BENCH,
        DOES,
        add_bench,
    ),
    Verb(
        "fuzz",
        "[TARGET]",
        "try made-up input at all that comes from outside",
        FUZZ,
        "fuzz.__main__",
        add_fuzz,
        examples="  ./run fuzz --seconds 300\n  ./run fuzz events citations",
    ),
    Verb(
        "chaos",
        "",
        "break the system at drawn points, and check what must hold",
        CHAOS,
        "chaos.__main__",
        add_chaos,
        examples="  ./run chaos --seed 7 --workflows 50 --faults all\n"
        "  ./run chaos --workflows 200 --faults kills --latency 1 --keep /tmp/chaos",
    ),
)


def add_verbs(whole: argparse.ArgumentParser, verbs: Sequence[Verb]) -> None:
    """Has the command understand these verbs."""
    into = whole.add_subparsers(
        dest="verb", required=True, metavar="VERB", parser_class=argparse.ArgumentParser, help="see below"
    )
    for verb in verbs:
        verb.form(
            into.add_parser(
                verb.name,
                description=verb.explained,
                epilog=f"For example:\n\n{verb.examples}" if verb.examples else None,
                formatter_class=argparse.RawDescriptionHelpFormatter,
                # An argument that is handed on could else be taken for an abbreviation.
                allow_abbrev=not verb.passes_on,
            )
        )


def understood(
    whole: argparse.ArgumentParser, verbs: Sequence[Verb], arguments: Sequence[str]
) -> tuple[Verb, argparse.Namespace, list[str]]:
    """The verb, its choices, and what else was said for it to hand on. Ends with 2 where the words make no sense."""
    chosen, rest = whole.parse_known_args(with_verb(arguments))
    verb = next(one for one in verbs if one.name == chosen.verb)
    if rest and not verb.passes_on:
        whole.error(f"unrecognized arguments: {' '.join(rest)}")
    return verb, chosen, rest


def with_verb(arguments: Sequence[str]) -> Sequence[str]:
    """`up` goes without saying; `help` is understood too."""
    if arguments and arguments[0] == "help":
        return [*arguments[1:2], "--help"]
    says_verb = arguments and (not arguments[0].startswith("-") or arguments[0] in ("-h", "--help"))
    return arguments if says_verb else ["up", *arguments]
