"""Which tests take turns on one worker, and who begins: what takes longest, so that no worker is left alone with it.

What runs a whole system mostly waits; one worker does that while the others compute. xdist's own groups and orders are
not used: it knows only the number of tests, and with pytest 9.2 it does not see its marks.
"""

from xdist.scheduler import LoadScopeScheduling

TOGETHER = {
    "tests/system/test_kills.py": "kills",
    "tests/chaos/test_run.py": "kills",
    "tests/system/test_read_side.py": "read side",
    "tests/system/test_three_nodes.py": "nodes",
    "tests/system/": "system",
    "tests/services/gateway/test_contract.py": "contract",  # on servers of its own
    "tests/services/gateway/": "gateway",
    "tests/chassis/": "chassis",
}
"""By the beginning of their path: those that share running servers, or would take each other's processors."""

ONE_BY_ONE = "tests/simulation/"
"""They share nothing, and each computes for long."""

FIRST = (
    "kills",
    "system",
    "tests/simulation/test_simulation.py",
    "read side",
    "nodes",
    "tests/deploy/test_running.py",
    "tests/docs/",
    "tests/local/",
    "contract",
    "gateway",
    "chassis",
    "tests/services/projector/",
)
"""The longest, by the beginning of their turn; all others follow as they are found."""


def turn(test: str) -> str:
    """What this test shares a turn with: the others of its kind, or of its file."""
    if test.startswith(ONE_BY_ONE):
        return test
    return next((turn for path, turn in TOGETHER.items() if test.startswith(path)), test.partition("::")[0])


def place_of(test: str) -> int:
    """Its turn's place among the turns."""
    its = turn(test)
    return next((place for place, first in enumerate(FIRST) if its.startswith(first)), len(FIRST))


class Turns(LoadScopeScheduling):
    """Hands the turns to the workers, in the order in which the tests were sorted."""

    def _split_scope(self, nodeid: str) -> str:
        return turn(nodeid)
