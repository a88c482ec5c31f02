"""The verbs behind `./run`: `up` starts the whole system; the others work beside one that runs, or measure it."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from local.benchmarks import NoSuchBenchmark, in_words, run_benchmark
from local.beside import NothingRuns, one_more, projector_task
from local.services import ROOT, SCALABLE, SERVICES
from local.state import CannotStart
from local.up import up

PROCESSES_MAX = 16  # of one service on one machine

UP = """Starts everything, says `Pressroom is ready at …` when all of it answers, restarts what dies, and runs until
Ctrl-C or SIGTERM. Settings come from the environment and from .env (see .env.example)."""

SERVICE = """Runs one more process of a service in the foreground, as part of the system that runs on DIR."""

REBUILD = """Makes the read tables anew from the log, beside the ones that the system on DIR serves meanwhile, and
changes over to them in one step. Exit code: 0 when it has, 1 when all is as it was."""

VERIFY = """Compares the read tables and the archive of the system that runs on DIR with its log, and changes nothing.
Exit code: 0 where they agree, 1 where they do not, 2 where that could not be found out."""

BENCH = """Runs a benchmark with the arguments behind its name; without a name, tells which there are."""

ADOPT_LOG = "--adopt-log"
"""The rebuild's own argument; it stands here for the sake of its help."""

NOT_TRIED = {"verify": 2, "bench": 2}
"""The exit code of what could not even be tried, where 1 has a meaning of its own; 1 for the other verbs."""


def main(arguments: Sequence[str]) -> None:
    chosen, rest = understood(arguments)
    try:
        do(chosen, rest)
    except (NothingRuns, NoSuchBenchmark) as error:
        leave(chosen.verb, f"{error}")
    except (CannotStart, OSError) as error:
        what = "Pressroom cannot start" if chosen.verb == "up" else "That cannot be done"
        leave(chosen.verb, f"{what}. {error}")


def do(chosen: argparse.Namespace, rest: Sequence[str]) -> None:
    match chosen.verb:
        case "up":
            up(chosen.data, host=chosen.host, port=chosen.port, scale=chosen.scale)
        case "service":
            one_more(chosen.name, chosen.data, chosen.port)
        case "bench" if chosen.name is None:
            sys.stdout.write(f"{in_words()}\n")
        case "bench":
            run_benchmark(chosen.name, chosen.arguments)
        case task:
            projector_task(task, chosen.data, rest)


def leave(verb: str, words: str) -> NoReturn:
    sys.stderr.write(f"{words}\n")
    sys.exit(NOT_TRIED.get(verb, 1))


def understood(arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """The verb with its choices, and what else was said: the projector's tasks understand more than is known here."""
    whole = parser()
    chosen, rest = whole.parse_known_args(with_verb(arguments))
    if rest and chosen.verb not in ("rebuild", "verify"):
        whole.error(f"unrecognized arguments: {' '.join(rest)}")
    if chosen.verb == "rebuild" and chosen.adopt_log:
        rest.append(ADOPT_LOG)
    return chosen, rest


def with_verb(arguments: Sequence[str]) -> Sequence[str]:
    """`up` goes without saying."""
    says_verb = arguments and (not arguments[0].startswith("-") or arguments[0] in ("-h", "--help"))
    return arguments if says_verb else ["up", *arguments]


def parser() -> argparse.ArgumentParser:
    whole = argparse.ArgumentParser(
        prog="./run",
        description="Pressroom on one machine: real NATS, Postgres and S3, and the services, kept running.",
        epilog="Also: ./run test (pass the tests), ./run checks (style, types), ./run lock (dependencies anew). "
        "Each verb explains itself: ./run VERB --help.",
    )
    verbs = whole.add_subparsers(dest="verb", required=True, metavar="VERB")
    add_up(verbs.add_parser("up", help="start everything and keep it running; the default verb", description=UP))
    add_service(verbs.add_parser("service", help="run one more process of a service", description=SERVICE))
    # No abbreviations in these: an argument of the task's own could be taken for one.
    text = "make the read tables anew from the log, while the old ones serve"
    add_rebuild(verbs.add_parser("rebuild", help=text, description=REBUILD, allow_abbrev=False))
    text = "compare the read tables and the archive with the log"
    add_data(verbs.add_parser("verify", help=text, description=VERIFY, allow_abbrev=False))
    add_bench(verbs.add_parser("bench", help="run a benchmark, or tell which there are", description=BENCH))
    return whole


def add_up(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--port", type=port, default=8000, help="where Pressroom answers (%(default)s; 0: a free one)")
    verb.add_argument("--host", default="127.0.0.1", help="the address it listens on (%(default)s; 0.0.0.0: every one)")
    add_data(verb)
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


def add_bench(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("name", nargs="?", metavar="NAME", help="which one")
    verb.add_argument("arguments", nargs=argparse.REMAINDER, metavar="…", help="what it is told")


def add_data(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--data", type=Path, default=ROOT / ".pressroom", metavar="DIR", help="what is kept (%(default)s)"
    )


def port(text: str) -> int:
    if not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port (0 to 65535)")
    return int(text)


def scale(text: str) -> dict[str, int]:
    counts: dict[str, int] = {}
    for part in filter(None, text.split(",")):
        name, _, count = part.partition("=")
        if name not in SCALABLE or not count.isdigit() or int(count) > PROCESSES_MAX:
            raise argparse.ArgumentTypeError(
                f"{part!r} is not like writer=2: one of {', '.join(SCALABLE)} and 0 to {PROCESSES_MAX}"
            )
        counts[name] = int(count)
    return counts


if __name__ == "__main__":
    main(sys.argv[1:])
