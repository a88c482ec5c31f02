"""The mix of one simulated run: how many of everything, and how likely what goes wrong is. Drawn from its seed."""

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Mix:
    """Probabilities, and counts of faults by kind."""

    workflows: int
    step_s: float
    """Seconds that one step of a process may take."""
    lag: float
    lose_reply: float
    lose_ack: float
    fail: float
    refuse: float
    watch: float
    """Clients that follow a workflow from its beginning."""
    lose_live: float
    double_live: float
    delay_live: float
    projectors: int
    lose_commit: float
    cut_read: float
    """Reads of the whole log that lack what is there: its tail, or something in the middle."""
    newer: float
    """Events that newer code writes, which no projector can read yet."""
    faults: dict[str, int]
    wrong_clock: float
    """Machines whose clock is off, by up to an hour either way, for the whole run."""


def draw(seed: int, workflows: int) -> Mix:
    """A mix: most seeds have some of everything, and each has something of which it has much.

    Every workflow goes through the desk and the stages. Projectors take as much time as all the rest, so that they
    are part of every fourth seed only. Clients follow up to a fifth of the workflows.
    """
    chance = random.Random(seed)
    projectors = 2 if seed % 8 == 0 else 1 if seed % 4 == 0 else 0
    return Mix(
        workflows=workflows,
        step_s=chance.choice((0.002, 0.02, 0.5)),
        lag=chance.choice((0, 0.1, 0.4)),
        lose_reply=chance.choice((0, 0.03, 0.15)),
        lose_ack=chance.choice((0, 0.05, 0.2)),
        fail=chance.choice((0, 0.1, 0.25)),
        refuse=chance.choice((0, 0.02, 0.1)),
        watch=chance.choice((0.1, 0.2)),
        lose_live=chance.choice((0.2, 0.4, 0.6)),
        double_live=chance.choice((0, 0.1)),
        delay_live=chance.choice((0, 0.1, 0.3)),
        projectors=projectors,
        lose_commit=chance.choice((0, 0.1)),
        cut_read=chance.choice((0.05, 0.2)),
        newer=chance.choice((0.002, 0.005)),
        faults={
            "crash": chance.choice((0, 6, 15)),
            "stall": chance.choice((2, 4, 8)),
            "mute": chance.choice((0, 3, 6)),
            "redeliver": chance.choice((0, 2, 6)),
            "recreate": chance.choice((0, 0, 1)),
            "lose a gateway": chance.choice((0, 1, 3)),
            "disconnect": chance.choice((0, 1, 3)),
            "cut": chance.choice((0, 5, 20)),
            "lose a projector": chance.choice((4, 10)) if projectors else 0,
            "stall a projector": chance.choice((0, 4)) if projectors else 0,
        },
        wrong_clock=chance.choice((0, 0, 0.5)),
    )
