"""The command: a run of the whole system under faults that a seed draws, and what the checker says of it.

./run chaos --seed 7 --workflows 50 --faults all
"""

import argparse
import logging
import secrets
import sys
from collections.abc import Sequence

import structlog

from chaos.plan import ALL, NoSuchFault, plan
from chaos.run import NOT_CHECKED, Wanted, repeated, run
from local.verbs import add_chaos

SEED_BITS = 24


def do(chosen: argparse.Namespace, _rest: Sequence[str] = ()) -> int:
    """Makes the run. -> the exit code"""
    seed = secrets.randbits(SEED_BITS) if chosen.seed is None else chosen.seed
    faults = chosen.faults.split(",")
    try:
        drawn = plan(
            seed=seed,
            workflows=chosen.workflows,
            faults=faults,
            nodes=chosen.nodes,
            planted=chosen.plant,
        )
    except NoSuchFault as wrong:
        sys.stderr.write(f"{wrong}\n")
        return NOT_CHECKED
    # The harness's own connections break with the others: that is no news.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    named = frozenset(faults) - {ALL}
    wanted = Wanted(drawn, chosen.keep, chosen.latency, not chosen.unchecked, chosen.patience, named)
    code = run(wanted, say)
    say(f"seed {seed}; again: {repeated(wanted)}")
    return code


def say(text: str) -> None:
    """A line, at once."""
    print(text, flush=True)


def main() -> int:
    """Without the other verbs."""
    parser = argparse.ArgumentParser(prog=".venv/bin/python -m chaos", description=__doc__)
    add_chaos(parser)
    return do(parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
