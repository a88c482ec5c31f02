"""The verbs behind `./run`: `up` starts the whole system, `service` adds one process to it."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from contracts.services import STAGES
from local.services import ROOT, SERVICES
from local.state import CannotStart
from local.up import one_more, up

PROCESSES_MAX = 16  # of one stage on one machine

UP = """Starts everything, says `Pressroom is ready at …` when all of it answers, restarts what dies, and runs until
Ctrl-C or SIGTERM. Settings come from the environment and from .env (see .env.example)."""

SERVICE = """Runs one more process of a service in the foreground, as part of the system that runs on DIR."""


def main(arguments: Sequence[str]) -> None:
    chosen = parser().parse_args(with_verb(arguments))
    try:
        if chosen.verb == "up":
            up(chosen.data, host=chosen.host, port=chosen.port, scale=chosen.scale)
        else:
            one_more(chosen.name, chosen.data, chosen.port)
    except CannotStart as error:
        sys.exit(f"Pressroom cannot start. {error}")
    except OSError as error:
        sys.exit(f"Pressroom cannot start: {error}")


def with_verb(arguments: Sequence[str]) -> Sequence[str]:
    """`up` goes without saying."""
    says_verb = arguments and (not arguments[0].startswith("-") or arguments[0] in ("-h", "--help"))
    return arguments if says_verb else ["up", *arguments]


def parser() -> argparse.ArgumentParser:
    whole = argparse.ArgumentParser(
        prog="./run",
        description="Pressroom on one machine: real NATS, Postgres and S3, and the services, kept running.",
        epilog="Also: ./run test (pass the tests), ./run checks (style, types), ./run lock (dependencies anew).",
    )
    verbs = whole.add_subparsers(dest="verb", required=True, metavar="VERB")
    add_up(verbs.add_parser("up", help="start everything and keep it running; the default verb", description=UP))
    add_service(verbs.add_parser("service", help="run one more process of a service", description=SERVICE))
    return whole


def add_up(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--port", type=port, default=8000, help="where Pressroom answers (%(default)s; 0: a free one)")
    verb.add_argument("--host", default="127.0.0.1", help="the address it listens on (%(default)s; 0.0.0.0: every one)")
    add_data(verb)
    stages = ", ".join(STAGES)
    verb.add_argument("--scale", type=scale, default={}, metavar="writer=2,…", help=f"processes of a stage ({stages})")


def add_service(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("name", choices=SERVICES, metavar="NAME", help=", ".join(SERVICES))
    verb.add_argument("--port", type=port, default=0, help="where it answers (a free one)")
    add_data(verb)


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
        if name not in STAGES or not count.isdigit() or int(count) > PROCESSES_MAX:
            raise argparse.ArgumentTypeError(
                f"{part!r} is not like writer=2: one of {', '.join(STAGES)} and 0 to {PROCESSES_MAX}"
            )
        counts[name] = int(count)
    return counts


if __name__ == "__main__":
    main(sys.argv[1:])
