"""The one command behind `./run`: understands the verb, imports what does it, and ends with the right exit code."""

import os
import sys
from argparse import Namespace
from collections.abc import Sequence
from importlib import import_module
from typing import Protocol, TextIO, cast

from cli.failures import CannotBeDone, Misspoken
from cli.manual import VERBS, Command
from local.verbs import Verb, add_verbs, understood

FAILED, MISSPOKEN, INTERRUPTED, NOBODY_READS = 1, 2, 130, 141


class Home(Protocol):
    """A module that does verbs."""

    def do(self, chosen: Namespace, rest: Sequence[str]) -> int:
        """Does what was chosen. -> the exit code"""
        ...


def main(arguments: Sequence[str]) -> int:
    """Does what these words ask for. -> the exit code"""
    for stream in (sys.stdout, sys.stderr):
        encode_anything(stream)
    try:
        whole = Command(prog="./run")
        add_verbs(whole, VERBS)
        verb, chosen, rest = understood(whole, VERBS, arguments)
        code = home_of(verb).do(chosen, rest)
        sys.stdout.flush()
    except BrokenPipeError:
        return leave_quietly()
    except KeyboardInterrupt:
        return INTERRUPTED
    except Misspoken as wrong:
        return fail(f"{wrong}", MISSPOKEN)
    except CannotBeDone as wrong:
        return fail(f"{wrong}", FAILED)
    return code


def home_of(verb: Verb) -> Home:
    """What does the verb. It is imported now and not before: help and other verbs need none of it."""
    return cast(Home, import_module(verb.home))


def fail(told: str, code: int) -> int:
    sys.stderr.write(f"{told}\n")
    return code


def leave_quietly() -> int:
    """Whoever read our output has gone, as `head` does: that is no trouble of anybody."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python would complain at its end
    return NOBODY_READS


def encode_anything(stream: TextIO) -> None:
    """A terminal with few characters shows a question mark for the others."""
    if hasattr(stream, "reconfigure"):
        cast("_Reconfigurable", stream).reconfigure(errors="replace")


class _Reconfigurable(Protocol):
    def reconfigure(self, *, errors: str) -> None: ...


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
