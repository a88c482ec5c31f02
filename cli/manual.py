"""The one help of the one command: all verbs in their groups, examples, exit codes and the environment."""

import argparse
from collections.abc import Mapping, Sequence

from cli.verbs import LOOK, MAKE
from local.verbs import VERBS as RUN
from local.verbs import Verb

TEST = """Passes the tests. Arguments go to pytest: ./run test tests/contracts -x"""
CHECKS = """Checks style, types and architecture.

Exit code: 0 when all is as it should be, 1 when something is not."""
LOCK = """Resolves the dependencies anew into requirements/. For maintainers."""

BOOTSTRAP = "cli.bootstrap"


def add_nothing(_: argparse.ArgumentParser) -> None:
    """These verbs have no choices of their own."""


CARE = (
    Verb("test", "[…]", "pass the tests; arguments go to pytest", TEST, BOOTSTRAP, add_nothing, passes_on=True),
    Verb("checks", "", "style, types and architecture", CHECKS, BOOTSTRAP, add_nothing),
    Verb("lock", "", "resolve the dependencies anew", LOCK, BOOTSTRAP, add_nothing),
)

GROUPS = {"Make": MAKE, "Look": LOOK, "Run": RUN, "Care": CARE}

VERBS: tuple[Verb, ...] = tuple(verb for verbs in GROUPS.values() for verb in verbs)

HEAD = """usage: ./run [VERB] [options]

Pressroom: from a topic to a researched blog post, social posts and a picture.
Alone, `./run` starts everything on this machine (`./run up`).
"""

TAIL = """
Each verb explains itself: ./run VERB --help

For example:
  ./run
  ./run create "The history of tea" --research --platform linkedin --platform x
  ./run list --status failed
  ./run show 01a20262-4036-74ac-b832-5ff8bc7b6bef --markdown > tea.md

Where the verbs of Make and Look find Pressroom, in this order:
  --url URL or --data DIR, PRESSROOM_URL, what runs on .pressroom/,
  http://127.0.0.1:8000

Exit codes:
  0    done
  1    the workflow failed or was cancelled, or what was asked cannot be done
  2    the words make no sense to ./run
  130  you left with Ctrl-C; a workflow that was watched goes on
"""


def whole_help(groups: Mapping[str, Sequence[Verb]]) -> str:
    """Every verb with what it takes and what it does."""
    width = max(len(_asked(verb)) for verb in VERBS) + 2
    lines: list[str] = []
    for group, verbs in groups.items():
        lines += ["", group, *(f"  {_asked(verb):<{width}}{verb.says}" for verb in verbs)]
    return "\n".join([HEAD.rstrip(), *lines, TAIL])


def _asked(verb: Verb) -> str:
    return f"{verb.name} {verb.takes}".rstrip()


class Command(argparse.ArgumentParser):
    """The command with all its verbs."""

    def format_help(self) -> str:
        """The whole help."""
        return whole_help(GROUPS)

    def format_usage(self) -> str:
        """For where the words made no sense."""
        return "usage: ./run [VERB] [options]; `./run --help` lists the verbs\n"
