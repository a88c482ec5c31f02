"""The desk when the log loses a reply: one request is one workflow, or else the client is told where to look."""

import pytest

from chassis.event_store import History, OutcomeUnknown, StoreUnavailable
from chassis.memory_store import MemoryLog, MemoryStore
from contracts.envelope import Recorded
from contracts.events import Event
from contracts.requests import ContentRequest
from contracts.services import GATEWAY
from contracts.subjects import WorkflowKey
from contracts.workflow import UnknownWorkflow
from services.gateway import desk
from services.gateway.desk import Desk, FateUnknown

pytestmark = pytest.mark.parametrize("request_id", [None, "mine"])

FOR_EVER = 10**9


@pytest.fixture(autouse=True)
def _short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk, "PATIENCE_S", 0.3)
    monkeypatch.setattr(desk, "PAUSE_S", 0.01)
    monkeypatch.setattr(desk, "STALL_S", 0)


class Faltering(MemoryStore):
    """A log whose replies are lost. After each append it does not answer so many reads."""

    def __init__(self, *, is_stored: bool = True, silent_reads: int) -> None:
        self.log = MemoryLog()
        super().__init__(self.log, GATEWAY)
        self.is_stored, self.silent_reads = is_stored, silent_reads
        self.appended: list[WorkflowKey] = []
        self._silent = 0

    async def append(self, history: History, event: Event, *, id: str, cause: str | None = None) -> Recorded[Event]:
        self.appended.append(history.key)
        self._silent = self.silent_reads
        if self.is_stored or len(self.appended) > 1:
            await super().append(history, event, id=id, cause=cause)
        raise OutcomeUnknown

    async def read(self, key: WorkflowKey, *, reach: int = 0) -> History:
        if self._silent:
            self._silent -= 1
            raise StoreUnavailable
        return await super().read(key, reach=reach)

    def events(self, key: WorkflowKey) -> list[str]:
        return [recorded.event.type for recorded in self.log.histories(key)[-1].recorded]


def asked(request_id: str | None) -> ContentRequest:
    return ContentRequest(topic="bees", client_request_id=request_id)


async def test_stored_request_is_found_when_the_log_is_back(request_id: str | None) -> None:
    log = Faltering(silent_reads=3)
    key, _ = await Desk(log, researches=True).start(asked(request_id))
    assert log.appended == [key] and log.events(key) == ["workflow-requested"]


async def test_lost_request_is_recorded_under_the_same_key(request_id: str | None) -> None:
    log = Faltering(is_stored=False, silent_reads=3)
    key, _ = await Desk(log, researches=True).start(asked(request_id))
    assert log.appended == [key, key] and log.events(key) == ["workflow-requested"]


async def test_position_is_told_although_the_reply_was_lost(request_id: str | None) -> None:
    log = Faltering(silent_reads=3)
    key, position = await Desk(log, researches=True).start(asked(request_id))
    assert position == log.log.histories(key)[-1].recorded[0].position


class Full(Faltering):
    """A log that answers reads, and never an append: its disk is full."""

    async def append(self, history: History, event: Event, *, id: str, cause: str | None = None) -> Recorded[Event]:
        self.appended.append(history.key)
        raise OutcomeUnknown


async def test_log_that_answers_no_append_keeps_nobody_waiting_for_ever(request_id: str | None) -> None:
    log = Full(silent_reads=0)
    with pytest.raises(FateUnknown):
        await Desk(log, researches=True).start(asked(request_id))
    assert len(log.appended) == desk.TRIES_MAX


class Electing(Faltering):
    """A log that changes its leader: it cuts several appends off before it takes one."""

    async def append(self, history: History, event: Event, *, id: str, cause: str | None = None) -> Recorded[Event]:
        self.appended.append(history.key)
        if len(self.appended) <= 2 * desk.TRIES_MAX:
            raise OutcomeUnknown
        return await MemoryStore.append(self, history, event, id=id, cause=cause)


async def test_appends_that_are_cut_off_while_the_leader_changes_are_no_unknown_fate(
    request_id: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk, "STALL_S", FOR_EVER)
    log = Electing(silent_reads=0)
    key, _ = await Desk(log, researches=True).start(asked(request_id))
    assert log.events(key) == ["workflow-requested"] and set(log.appended) == {key}


class Dying(Faltering):
    """A log that loses a reply, and then takes nothing any more."""

    async def append(self, history: History, event: Event, *, id: str, cause: str | None = None) -> Recorded[Event]:
        self.appended.append(history.key)
        raise OutcomeUnknown if len(self.appended) == 1 else StoreUnavailable


async def test_log_that_takes_nothing_after_a_lost_reply_leaves_a_name(request_id: str | None) -> None:
    log = Dying(silent_reads=0)
    with pytest.raises(FateUnknown, match=r"workflow [0-9a-f-]{36}"):
        await Desk(log, researches=True).start(asked(request_id))


WHY = "the log has no majority of its servers"


async def test_log_that_is_known_to_take_nothing_in_is_not_tried(request_id: str | None) -> None:
    log = Faltering(silent_reads=0)
    with pytest.raises(StoreUnavailable, match=WHY) as refused:
        await Desk(log, researches=True, trouble=lambda: WHY).start(asked(request_id))
    assert not log.appended and not isinstance(refused.value, FateUnknown)


async def test_workflow_that_only_the_copy_at_hand_lacks_is_not_called_unknown(request_id: str | None) -> None:
    async def is_known(_: WorkflowKey) -> bool:
        return request_id is not None

    there = Desk(MemoryStore(MemoryLog(), GATEWAY), researches=True, is_known=is_known)
    with pytest.raises(StoreUnavailable if request_id else UnknownWorkflow):
        await there.history("w")


async def test_what_becomes_known_after_a_lost_reply_leaves_a_name(request_id: str | None) -> None:
    log = Full(silent_reads=0)
    with pytest.raises(FateUnknown):
        await Desk(log, researches=True, trouble=lambda: WHY if log.appended else None).start(asked(request_id))
    assert len(log.appended) == 1


async def test_log_that_stays_away_leaves_a_name(request_id: str | None) -> None:
    log = Faltering(silent_reads=FOR_EVER)
    with pytest.raises(FateUnknown) as unknown:
        await Desk(log, researches=True).start(asked(request_id))
    (key,) = log.appended
    assert key.workflow_id in str(unknown.value)
    assert ("it is safe to ask again" in str(unknown.value)) is (request_id is not None)


@pytest.mark.parametrize("command", ["cancel", "resume"])
async def test_command_whose_fate_is_unknown_may_be_repeated(request_id: str | None, command: str) -> None:
    log = Faltering(silent_reads=0)
    key, _ = await Desk(log, researches=True).start(asked(request_id))
    if command == "resume":
        await Desk(log, researches=True).cancel(key.workflow_id, None)
    log.silent_reads = FOR_EVER
    with pytest.raises(FateUnknown, match=f"{key.workflow_id}: it is safe to ask again"):
        await getattr(Desk(log, researches=True), command)(key.workflow_id, None)
