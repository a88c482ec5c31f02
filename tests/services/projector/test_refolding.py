"""A held workflow is folded again from its first event: its rows, its quarantine and the counters are right."""

from collections.abc import Generator
from contextlib import contextmanager
from unittest.mock import patch

from contracts import envelope
from contracts.events import EVENT_TYPES
from contracts.refolds import Outcome, RefoldAsked, Refolded
from contracts.services import GATEWAY
from contracts.subjects import REFOLD, WorkflowKey
from tests.contracts.given import blog_written, completed, everything, requested
from tests.services.projector.press import Press, new_key
from tests.waiting import until

PATIENCE_S = 30.0


@contextmanager
def old_code() -> Generator[None]:
    """Code that knows nothing of blog posts yet."""
    known = {name: kind for name, kind in EVENT_TYPES.items() if name != "blog-written"}
    with patch.object(envelope, "EVENT_TYPES", known):
        yield


async def ask(press: Press, key: WorkflowKey) -> Refolded:
    """What a projector answers the gateway."""
    asked = RefoldAsked(owner=key.owner, workflow_id=key.workflow_id)
    gateway = await press.connection(GATEWAY)
    answer = await gateway.ask(REFOLD, asked.model_dump_json().encode(), timeout_s=PATIENCE_S)
    return Refolded.model_validate_json(answer.data)


async def projected_by_old_code(press: Press, key: WorkflowKey) -> None:
    """Has old code hold the workflow from its blog post on."""
    with old_code():
        await press.project()
        assert "blog-written is not known" in (await press.row("quarantine", key))["error"]


async def until_changed(press: Press, key: WorkflowKey, error: str) -> None:
    """Waits until the quarantine says no more that this is why the workflow is held."""

    async def has_changed() -> bool:
        return all(error not in row["error"] for row in await press.rows("quarantine", key))

    await until(has_changed, "the workflow is folded again")


async def test_new_code_lets_go_when_it_starts_what_old_code_held(press: Press, key: WorkflowKey) -> None:
    await press.record(key, *everything(), completed())
    await projected_by_old_code(press, key)
    async with press.projecting():
        await until_changed(press, key, "is not known")
    assert (await press.row("workflows", key))["status"] == "completed"
    assert len(await press.rows("blog_posts", key)) == len(await press.rows("images", key)) == 1
    assert await press.rows("quarantine", key) == []
    assert await press.differences() == []


async def test_workflow_with_two_bad_events_is_held_from_the_second_one_on(press: Press, key: WorkflowKey) -> None:
    await press.record(key, *everything()[:2])
    position = await press.publish(key, 3, b"no JSON")
    await press.publish(key, 4, b"no JSON")
    await projected_by_old_code(press, key)
    since = (await press.row("quarantine", key))["held_at"]
    async with press.projecting():
        await until_changed(press, key, "is not known")
    held = await press.row("quarantine", key)
    assert (held["position"], held["events"], held["held_at"]) == (position, 2, since)
    assert len(await press.rows("blog_posts", key)) == 1
    assert await press.differences() == []


async def test_who_asks_is_told_what_came_of_it(press: Press, key: WorkflowKey) -> None:
    fine = new_key()
    await press.record(key, requested())
    await press.record(fine, requested())
    position = await press.publish(key, 2, b"no JSON")
    async with press.projecting():
        await press.until_projected()
        held = await ask(press, key)
        assert (held.outcome, held.position, held.events) == (Outcome.HELD, position, 1)
        assert "is not JSON" in (held.why or "")
        assert (await ask(press, fine)).outcome is Outcome.NOT_HELD
        assert (await ask(press, new_key())).outcome is Outcome.UNKNOWN
    assert await press.differences() == []


async def test_what_the_database_refused_is_let_go_when_that_is_mended(own_press: Press) -> None:
    bad, owner = new_key(), await own_press.database()
    await own_press.project()
    await owner.execute("ALTER TABLE read_1.blog_posts ADD CONSTRAINT forbids CHECK (title <> 'Forbidden')")
    await own_press.record(bad, requested(), blog_written(title="Forbidden"))
    await own_press.record(bad, *everything()[2:], completed())
    async with own_press.projecting():
        await own_press.until_projected()
        held = await ask(own_press, bad)
        assert (held.outcome, held.position) == (Outcome.HELD, 2)
        assert "violates check constraint" in (held.why or "")
        assert await own_press.differences() == []
        await owner.execute("ALTER TABLE read_1.blog_posts DROP CONSTRAINT forbids")
        assert (await ask(own_press, bad)).outcome is Outcome.FOLDED
        assert await own_press.differences() == []
        await own_press.until_projected(await own_press.record(new_key(), requested()))
    checkpoint = await own_press.checkpoint()
    assert (checkpoint["applied"], checkpoint["held"]) == (checkpoint["position"], 0)


async def test_request_that_makes_no_sense_is_not_answered(press: Press, key: WorkflowKey) -> None:
    await press.record(key, requested())
    async with press.projecting():
        await press.until_projected()
        await (await press.connection(GATEWAY)).publish(REFOLD, b"no JSON", reply="nobody")
        assert (await ask(press, key)).outcome is Outcome.NOT_HELD
