"""Which services one machine runs, and how many processes of each may be asked for. Imports nothing heavy."""

from argparse import ArgumentTypeError

from contracts.services import GATEWAY, PROJECTOR, STAGES

SCALABLE = (*STAGES, PROJECTOR)
"""Of these the supervisor keeps as many processes as are wished for; the gateway's address is taken by one."""

SERVICES = (GATEWAY, *SCALABLE)

PROCESSES_MAX = 16  # of one service on one machine


def scale(text: str) -> dict[str, int]:
    """What `writer=2,research=0` asks for. Raises ArgumentTypeError."""
    counts: dict[str, int] = {}
    for part in filter(None, text.split(",")):
        name, _, count = part.partition("=")
        if name not in SCALABLE or not count.isdigit() or int(count) > PROCESSES_MAX:
            raise ArgumentTypeError(
                f"{part!r} is not like writer=2: one of {', '.join(SCALABLE)} and 0 to {PROCESSES_MAX}"
            )
        counts[name] = int(count)
    return counts
