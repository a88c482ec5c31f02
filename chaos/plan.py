"""The plan of a run: which faults, on what, at which point. Pure: the same seed gives the same plan."""

import random
from collections.abc import Callable, Sequence, Set
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from contracts.services import GATEWAY, ILLUSTRATOR, PROJECTOR, STAGES, WRITER

ALL = "all"
NTH_MAX = 4


class NoSuchFault(ValueError):
    """There is no fault of this name; the message names those that there are."""


@dataclass(frozen=True)
class Step:
    """One fault. `when` says in words at which point; `choices` is what its family needs to know."""

    number: int
    kind: str
    target: str
    when: str
    choices: dict[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class Wish:
    """What one client will do. Everything about it that chance decides is decided here."""

    number: int
    topic: str
    research: bool
    platforms: tuple[str, ...]
    over_http: bool
    cancels_at: int | None
    """The revision at which it calls the run off."""
    leaves_at: tuple[int, ...]
    """Revisions at which it breaks its connection by itself."""
    pause_s: float
    """How long it takes over each frame."""
    has_canary: bool


@dataclass(frozen=True)
class Plan:
    """All that happens in a run, drawn before its start."""

    seed: int
    workflows: int
    faults: tuple[str, ...]
    nodes: int
    planted: str | None
    steps: tuple[Step, ...]
    wishes: tuple[Wish, ...]

    def told(self) -> dict[str, Any]:
        """As it is written down."""
        return asdict(self)


Draw = Callable[[random.Random], tuple[str, str, dict[str, Any]]]
"""Draws target, point in words, and choices."""


@dataclass(frozen=True)
class Kind:
    """A kind of fault: its number, which stands before it in docs/reliability-chaos.md, and how one of it is drawn."""

    number: int
    says: str
    draw: Draw
    nodes: int | None = None
    """Of a cluster of so many servers only; None: of any."""
    is_in_all: bool = True


def nth(chance: random.Random, most: int = NTH_MAX) -> int:
    """Which occurrence it is."""
    return chance.randint(1, most)


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd …"""
    return f"{number}{({1: 'st', 2: 'nd', 3: 'rd'}).get(number, 'th')}"


def at_point(stages: Sequence[str], what: str, most: int = NTH_MAX) -> Draw:
    """A stage, at the nth time that something happens to any of its processes."""

    def draw(chance: random.Random) -> tuple[str, str, dict[str, Any]]:
        stage, number = chance.choice(stages), nth(chance, most)
        return stage, f"{stage}: {ordinal(number)} {what}", {"nth": number}

    return draw


def of(target: str, words: str, **options: Sequence[Any]) -> Draw:
    """A fixed target; each choice is drawn from what is given."""

    def draw(chance: random.Random) -> tuple[str, str, dict[str, Any]]:
        choices = {name: chance.choice(values) for name, values in options.items()}
        if "nth" in choices:
            choices["ordinal"] = ordinal(choices["nth"])
        return target, words.format(**choices), choices

    return draw


ANY_STAGE = tuple(STAGES)
FIRST_FEW = range(1, NTH_MAX + 1)

MODEL_FAULTS: tuple[dict[str, Any], ...] = (
    {"status": 429, "code": "rate_limit_exceeded"},
    {"status": 429, "code": "rate_limit_exceeded", "retry_after": 3},
    {"status": 500},
    {"status": 503, "retry_after": 2},
    {"delay_s": 4},
    {"reset": True},
    {"cut": True},
    {"malformed": True},
    {"empty": True},
    {"huge_mb": 10},
    {"refuse": True},
    {"content_filter": True},
    {"status": 401},
    {"status": 400, "message": "The model does not exist."},
)
"""What the stand-in is told to do: of these a run of all faults draws a few."""

MODEL_FAULTS_AT_ONCE = 5


def draw_model(chance: random.Random) -> tuple[str, str, dict[str, Any]]:
    """A few of the model's faults, each at one call of some kind."""
    rules = [
        {"do": do, "when": {"kind": chance.choice(("research", "blog", "social", "image"))}, "times": 1}
        for do in chance.sample(MODEL_FAULTS, k=MODEL_FAULTS_AT_ONCE)
    ]
    return "model", "the next calls of the kinds drawn", {"rules": rules}


AT_ONCE = (
    "call",
    "append",
    "nats-killed",
    "postgres-killed",
    "s3-errors",
    "gateway-killed",
    "nats-paused",
    "two-projectors",
)


def draw_everything(chance: random.Random) -> tuple[str, str, dict[str, Any]]:
    """A random subset, in a random order."""
    parts = chance.sample(AT_ONCE, k=4)
    drawn = [(kind, *KINDS[kind].draw(chance)) for kind in parts]
    told = [{"kind": kind, "target": target, "when": when, "choices": choices} for kind, target, when, choices in drawn]
    return "everything", ", ".join(parts), {"parts": told}


DISK_FULL = "disk-full"
LONG_DOWN_S = 60
"""Of one draw in three: a run is to end within five minutes."""

READERS_FIRST = "whoever reads first, the gateway last"
"""The order of docs/changing-an-event.md."""

KINDS: dict[str, Kind] = {
    "pull": Kind(1, "a stage killed right after a delivery came", at_point(ANY_STAGE, "delivery")),
    "claim": Kind(2, "a stage killed when its claim is stored", at_point(ANY_STAGE, "claim stored")),
    "call": Kind(3, "a stage killed when it has called the model", at_point(ANY_STAGE, "model call sent")),
    "answer": Kind(4, "a stage killed when the model has answered", at_point(ANY_STAGE, "answer received")),
    "upload": Kind(5, "the illustrator killed when the picture is stored", at_point([ILLUSTRATOR], "object stored")),
    "append": Kind(6, "a stage killed when its result is stored", at_point(ANY_STAGE, "result stored, not yet acked")),
    "append-sent": Kind(6, "a stage killed when its result is sent", at_point(ANY_STAGE, "result sent")),
    "nats-after-ack": Kind(
        7, "nats-server killed right after an ack", of("nats", "the {ordinal} ack of a stage", nth=FIRST_FEW)
    ),
    "zombie": Kind(8, "a stage's process stopped for two ack waits", at_point([WRITER], "model call sent")),
    "repeats": Kind(9, "the same request five times in parallel, and later", of(GATEWAY, "at once")),
    "nats-killed": Kind(10, "nats-server killed", of("nats", "the {ordinal} append from now on", nth=range(2, 12))),
    "nats-paused": Kind(
        10, "nats-server stopped for 5 s", of("nats", "the {ordinal} append from now on", nth=range(2, 12))
    ),
    "log-full": Kind(13, "the log's quota reached, and raised again", of("log", "at once")),
    "consumer-deleted": Kind(14, "a stage's consumer deleted", of("nats", "{stage}'s, at once", stage=ANY_STAGE)),
    "postgres-killed": Kind(15, "Postgres killed", of("postgres", "the {ordinal} COMMIT from now on", nth=FIRST_FEW)),
    "postgres-slow": Kind(15, "Postgres answers after 500 ms", of("postgres", "for 5 s")),
    "postgres-commit": Kind(
        15, "the projector's connection cut during COMMIT", of(PROJECTOR, "its {ordinal} COMMIT", nth=FIRST_FEW)
    ),
    "postgres-deadlock": Kind(15, "the projector is the victim of a deadlock", of(PROJECTOR, "its next batch")),
    "hostile-events": Kind(16, "events that no code can read", of("log", "at once")),
    "two-projectors": Kind(
        17,
        "a projector stopped in the middle of a batch beside another, then resumed",
        of(PROJECTOR, "before its next COMMIT, for {seconds} s", seconds=(3, 8)),
    ),
    "s3-down": Kind(
        18, "S3 refuses connections", of("s3", "from the next upload, for {seconds} s", seconds=(6, 6, LONG_DOWN_S))
    ),
    "s3-errors": Kind(
        18, "S3 answers with errors", of("s3", "{status} from the next upload, for 5 s", status=(500, 503))
    ),
    "s3-slow": Kind(18, "S3 is slow", of("s3", "from the next upload, for 5 s")),
    "s3-cut": Kind(
        18,
        "an upload cut in the middle",
        of("s3", "the {ordinal} upload, after {bytes} bytes", nth=(1, 2), bytes=(900, 5_000)),
    ),
    "s3-wrong-bytes": Kind(
        18,
        "a bit of a picture changed on its way",
        of(
            "s3",
            "the {ordinal} picture that is {how}, in byte {byte}",
            how=("uploaded", "read back", "served"),
            nth=(1, 2),
            byte=(0, 700),
        ),
    ),
    "model": Kind(19, "the model fails in its many ways", draw_model),
    "model-hangs": Kind(
        19, "the model does not answer until it is cut off", of("model", "the next {kind} call", kind=("blog", "image"))
    ),
    "model-quota": Kind(
        19,
        "the quota is used up, topped up, and what failed is resumed",
        of("model", "the next 3 calls: {kind}", kind=("any", "social", "image")),
    ),
    "hostile-sockets": Kind(20, "websocket clients that misbehave", of(GATEWAY, "at once")),
    "live-lost": Kind(20, "live messages are lost on their way to the gateway", of(GATEWAY, "for 6 s")),
    "gateway-killed": Kind(
        21, "the gateway killed with sockets open", of(GATEWAY, "its {ordinal} append from now on", nth=(1, 2, 3))
    ),
    "clock": Kind(
        22,
        "the clock of one process off by an hour",
        of(
            "clock",
            "{process}: {seconds} s, for 8 s",
            process=("research-1", "writer-1", "gateway-1"),
            seconds=(3600, -3600),
        ),
    ),
    "rolling": Kind(23, "SIGTERM to every process in turn", of("services", "one when the one before is back")),
    "new-release": Kind(
        23,
        "old and new code side by side, then the new alone",
        of("services", "{order}", order=(READERS_FIRST, "the gateway first")),
    ),
    "rebuild": Kind(23, "the read tables rebuilt under load", of(PROJECTOR, "at once")),
    "everything": Kind(24, "several of these at once", draw_everything),
    "leader": Kind(
        11, "the log's leader killed", of("leader", "the {ordinal} append from now on", nth=FIRST_FEW), nodes=3
    ),
    "two-down": Kind(
        11, "two of three servers stopped for 6 s", of("nats", "{nodes}", nodes=("1+2", "2+3", "1+3")), nodes=3
    ),
    "node-frozen": Kind(11, "one of three servers stopped for 8 s", of("nats", "node {node}", node=(1, 2, 3)), nodes=3),
    "partition": Kind(
        11,
        "one of three servers cut off from the others for 8 s",
        of(
            "nats",
            "node {node}, its clients {clients}, the others {others}",
            node=(1, 2, 3, "leader"),
            clients=("stay", "stay", "are cut off as well"),
            others=("hear nothing", "are refused"),
        ),
        nodes=3,
    ),
    "kills": Kind(1, "a stage's process killed every two seconds", of("stages", "every 2 s"), is_in_all=False),
    DISK_FULL: Kind(
        13, "the disk of the log's server full, and with room again", of("nats", "at once"), nodes=1, is_in_all=False
    ),
    "rollback": Kind(
        12,
        "the log rolled back, cut short or damaged, then restored",
        of("log", "{how}, 20 events after the copy", how=("rolled back", "truncated", "bit flipped")),
        nodes=1,
        is_in_all=False,
    ),
}

ONCE = {"kills", "rollback", DISK_FULL, "everything", "rolling", "new-release", "rebuild"}
STAGE_KILLS = {"pull", "claim", "call", "answer", "append", "append-sent"}


def plan(*, seed: int, workflows: int, faults: Sequence[str], nodes: int = 1, planted: str | None = None) -> Plan:
    """Draws the plan. Raises NoSuchFault."""
    kinds = kinds_of(faults, nodes)
    chance = random.Random(f"{seed} {workflows} {','.join(kinds)} {nodes}")
    occurrences = [kind for kind in kinds for _ in range(times(kind, kinds, workflows))]
    chance.shuffle(occurrences)
    last = {"everything", "rollback"}
    occurrences.sort(key=lambda kind: kind in last)
    steps = [Step(number, kind, *KINDS[kind].draw(chance)) for number, kind in enumerate(occurrences, start=1)]
    wishes = draw_wishes(chance, seed, workflows)
    if "kills" in kinds:  # there, every workflow has to be completed
        wishes = tuple(replace(wish, cancels_at=None) for wish in wishes)
    return Plan(seed, workflows, tuple(kinds), nodes, planted, tuple(steps), wishes)


def parts_of(step: Step) -> list[Step]:
    """What is fired in a step that is several at once, each with a number of its own; the step itself else."""
    parts: list[dict[str, Any]] = step.choices.get("parts", [])
    return [Step(100 * step.number + number, **part) for number, part in enumerate(parts, start=1)] or [step]


def never_fired(plan: Plan, struck: Set[int]) -> list[str]:
    """The kinds that were asked for and did not happen, in their order. `struck`: the numbers of what was fired."""
    fired = {
        name
        for step in plan.steps
        for part in parts_of(step)
        if part.number in struck
        for name in (step.kind, part.kind)
    }
    return [kind for kind in plan.faults if kind not in fired]


def kinds_of(faults: Sequence[str], nodes: int) -> list[str]:
    """The kinds that are asked for. Raises NoSuchFault."""
    kinds: list[str] = []
    for name in faults:
        if name == ALL:
            kinds += [kind for kind, one in KINDS.items() if one.is_in_all and one.nodes in (None, nodes)]
        elif name not in KINDS:
            raise NoSuchFault(f"There is no fault {name!r}. There are: {', '.join((ALL, *KINDS))}.")
        elif KINDS[name].nodes not in (None, nodes):
            raise NoSuchFault(f"The fault {name!r} needs --nodes {KINDS[name].nodes}.")
        else:
            kinds.append(name)
    return list(dict.fromkeys(kinds))


def times(kind: str, kinds: Sequence[str], workflows: int) -> int:
    """How often it comes: one that is asked for alone more often than one of many, a kill at a point most often; each
    once where there is little work.
    """
    if kind in ONCE or workflows < 5 * len(kinds):
        return 1
    return 3 if len(kinds) <= 6 else 2 if kind in STAGE_KILLS and len(kinds) < 20 else 1


def draw_wishes(chance: random.Random, seed: int, workflows: int) -> tuple[Wish, ...]:
    """What the clients will do."""
    return tuple(draw_wish(chance, seed, number) for number in range(1, workflows + 1))


def draw_wish(chance: random.Random, seed: int, number: int) -> Wish:
    """What one client will do."""
    platforms = chance.choice((("linkedin",), ("linkedin", "x"), ("x", "bluesky"), ("mastodon", "threads")))
    manner = chance.random()
    return Wish(
        number=number,
        topic=f"Chaos {seed}-{number}: the history of tea",
        research=chance.random() < 0.7 or number <= 2,
        platforms=platforms,
        over_http=chance.random() < 0.5,
        cancels_at=chance.randint(1, 8) if manner < 0.1 and number > 2 else None,
        leaves_at=tuple(sorted(chance.sample(range(1, 14), k=2))) if 0.1 < manner < 0.4 else (),
        pause_s=0.2 if 0.4 < manner < 0.5 else 0.0,
        has_canary=number == 1,
    )
