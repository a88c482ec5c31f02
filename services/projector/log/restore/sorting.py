"""What becomes of events that a damaged log holds and its archive does not: appended behind, or set aside. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from chassis.jetstream_log import Entry
from contracts.subjects import WorkflowKey, history, whose
from contracts.workflow import Workflow
from services.projector.archive import digest
from services.projector.log.restore.legal import Illegal, followed, history_of

FENCE, FENCED = "Nats-Expected-Last-Subject-Sequence", "Nats-Expected-Last-Subject-Sequence-Subject"
"""The fence of an append, which JetStream keeps among the event's headers: behind which position of its history it
stands."""


@dataclass(frozen=True)
class Newer:
    """One such event as the damaged log holds it, and why it is set aside; None where it is appended behind."""

    entry: Entry
    why: str | None

    @property
    def is_appended(self) -> bool:
        """Does it come back into the log, behind what was archived?"""
        return self.why is None


def sort_out(
    newer: Iterable[Entry], archived: Mapping[WorkflowKey, Sequence[Entry]], taken: frozenset[str]
) -> list[Newer]:
    """Sorts them, in the order in which they were written.

    `archived`: the archived histories of their workflows, in order. `taken`: those of their subjects that the archive
    holds. Once an event of a workflow is set aside, so is what follows it there: it was decided upon that event.
    """
    told: list[Newer] = []
    states: dict[WorkflowKey, Workflow] = {}
    refused: dict[WorkflowKey, int] = {}
    for entry in newer:
        key = whose(entry.subject)
        try:
            _refuse_unfit(entry, refused.get(key), taken)
            state = states[key] if key in states else history_of(archived.get(key, ()))
            states[key] = followed(state, entry)
        except Illegal as wrong:
            refused.setdefault(key, entry.position)
            told.append(Newer(entry, str(wrong)))
        else:
            told.append(Newer(entry, None))
    return told


def _refuse_unfit(entry: Entry, refused: int | None, taken: frozenset[str]) -> None:
    if refused is not None:
        raise Illegal(f"it follows event {refused} of its workflow, which is set aside")
    if entry.subject in taken:
        raise Illegal("the archive holds another event of this workflow and revision")


def essence(entry: Entry) -> bytes:
    """What stays of an event when it is placed elsewhere: all but its position, and its fence."""
    return digest(replace(entry, headers={name: value for name, value in entry.headers.items() if name != FENCE}))


def placed(appended: Iterable[Entry], end: int, lasts: Mapping[WorkflowKey, int]) -> list[Entry]:
    """These entries right behind position `end`, each fenced by where its workflow's event before it stands then.

    `lasts`: the position of the last archived event of each of their workflows.
    """
    placed: list[Entry] = []
    behind = dict(lasts)
    for position, entry in enumerate(appended, start=end + 1):
        key = whose(entry.subject)
        headers = dict(entry.headers)
        if headers.get(FENCED) == history(key):
            headers[FENCE] = str(behind.get(key, 0))
        placed.append(replace(entry, position=position, headers=headers))
        behind[key] = position
    return placed
