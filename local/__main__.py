"""Does the verbs of this machine: `up` starts the whole system; the others work beside one that runs, or measure it."""

import argparse
import sys
from collections.abc import Sequence

from local.benchmarks import NoSuchBenchmark, in_words, run_benchmark
from local.beside import NothingRuns, log_restore, one_more, projector_task
from local.state import CannotStart
from local.up import up
from local.verbs import ADOPT_LOG, OF, VERBS, YES, add_verbs, understood

NOT_TRIED = {"verify": 2, "bench": 2}
"""The exit code of what could not even be tried, where 1 has a meaning of its own; 1 for the other verbs."""


class NothingToDo(Exception):
    """The words make no sense together; the message says why."""


def main(arguments: Sequence[str]) -> int:
    """The machine's verbs alone, without those of a client."""
    whole = argparse.ArgumentParser(prog="./run", description=__doc__)
    add_verbs(whole, VERBS)
    _, chosen, rest = understood(whole, VERBS, arguments)
    return do(chosen, rest)


def do(chosen: argparse.Namespace, rest: Sequence[str]) -> int:
    """Does what was asked for. -> the exit code; a verb that becomes another program has that one's own."""
    try:
        do_verb(chosen, rest)
    except (NothingRuns, NoSuchBenchmark, NothingToDo) as error:
        return leave(chosen, f"{error}")
    except (CannotStart, OSError) as error:
        what = "Pressroom cannot start" if chosen.verb == "up" else "That cannot be done"
        return leave(chosen, f"{what}. {error}")
    return 0


def do_verb(chosen: argparse.Namespace, rest: Sequence[str]) -> None:
    match chosen.verb:
        case "up":
            up(chosen.data, host=chosen.host, port=chosen.port, scale=chosen.scale, nodes=chosen.nodes)
        case "service":
            one_more(chosen.name, chosen.data, chosen.port)
        case "bench" if chosen.name is None:
            sys.stdout.write(f"{in_words()}\n")
        case "bench":
            run_benchmark(chosen.name, chosen.arguments)
        case "rebuild" if chosen.adopt_log:
            projector_task("rebuild", chosen.data, [*rest, ADOPT_LOG])
        case "log" if chosen.task == "restore":
            does, of = [YES] if chosen.yes else [], [OF, chosen.of] if chosen.of else []
            log_restore(chosen.data, [*rest, *does, *of])
        case "log" if chosen.yes or chosen.of:
            raise NothingToDo(f"`./run log {chosen.task}` changes nothing: {YES} and {OF} are the restore's.")
        case "log":
            projector_task(f"log.{chosen.task}", chosen.data, rest)
        case task:
            projector_task(task, chosen.data, rest)


def leave(chosen: argparse.Namespace, words: str) -> int:
    sys.stderr.write(f"{words}\n")
    return NOT_TRIED.get(chosen.task if chosen.verb == "log" else chosen.verb, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
