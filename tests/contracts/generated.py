"""What hypothesis makes up: any event that the models allow, and any history that the decider allows."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from annotated_types import Ge, Le, MinLen
from hypothesis import settings
from hypothesis import strategies as st
from pydantic import AwareDatetime
from pydantic.fields import FieldInfo

from contracts.commands import CancelWorkflow, Command, CompleteWorkflow, ResumeWorkflow
from contracts.events import EVENT_TYPES, Event, Made, Part, WorkClaimed, WorkflowRequested
from contracts.platforms import Platform
from contracts.workflow import Phase, RuleBroken, Workflow, decide, due, evolve, fold
from contracts.works import Kind, Work
from tests.contracts.given import NOON, blog_written, claim, drawn, fail, give_up, posted, record, researched

quick = settings(deadline=None, derandomize=True, max_examples=60)
"""The same examples on every machine, and few enough for a slow one."""

tokens = st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True)
times = st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
topics = st.text(min_size=1, max_size=30).filter(lambda text: text.strip() and "\0" not in text)

STEPS_MAX = 60
"""Of a made-up history: enough for a request with two platforms to fail, to be resumed and to be completed."""


# ---------------------------------------------------------------- any event


def events() -> st.SearchStrategy[Event]:
    """Any event whatever, of any type, that its model allows."""
    return st.one_of([_built(kind) for kind in EVENT_TYPES.values()])


def _built(model: type[Any]) -> st.SearchStrategy[Any]:
    told = {name: field for name, field in model.model_fields.items() if name not in ("type", "version")}
    return st.builds(model, **{name: _field(name, field) for name, field in told.items()})


def _field(name: str, field: FieldInfo) -> st.SearchStrategy[Any]:
    return topics if name == "topic" else _values(field.annotation, field.metadata)


def _values(kind: Any, limits: list[Any]) -> st.SearchStrategy[Any]:
    least: Any = next((limit.ge for limit in limits if isinstance(limit, Ge)), None)
    most: Any = next((limit.le for limit in limits if isinstance(limit, Le)), None)
    length_min = next((limit.min_length for limit in limits if isinstance(limit, MinLen)), 0)
    if get_origin(kind) is Annotated:
        told, *more = get_args(kind)
        return _values(told, [*limits, *(limit for field in more for limit in getattr(field, "metadata", []))])
    if get_origin(kind) in (Union, UnionType):
        return st.one_of([_values(one, limits) for one in get_args(kind)])
    if get_origin(kind) is tuple:
        return st.lists(_values(get_args(kind)[0], []), min_size=length_min, max_size=3, unique=True).map(tuple)
    if kind is AwareDatetime:
        return times
    if kind is int:
        return st.integers(least, most)
    if kind is float:
        return st.floats(least, most, allow_nan=False, allow_infinity=False)
    if kind is str:
        return st.text(max_size=20)
    if issubclass(kind, Part):
        return _built(kind)
    return st.sampled_from(kind) if issubclass(kind, StrEnum) else st.from_type(kind)


# ---------------------------------------------------------------- any history


def requests() -> st.SearchStrategy[WorkflowRequested]:
    """Any request: with and without research, for any platforms."""
    platforms = st.lists(st.sampled_from(Platform), min_size=1, max_size=3, unique=True).map(tuple)
    return st.builds(WorkflowRequested, topic=st.just("Tea"), research=st.booleans(), platforms=platforms)


@st.composite
def histories(draw: st.DrawFn) -> tuple[Event, ...]:
    """Any legal path of a workflow: claims, crashes, failures, late answers, cancelled and resumed runs."""
    history: list[Event] = [draw(requests())]
    state = fold(history)
    for _ in range(draw(st.integers(0, STEPS_MAX))):
        command = draw(st.sampled_from(_moves(state, history)))
        try:
            event = decide(command, state)
        except RuleBroken:
            continue
        if event is not None:
            history.append(event)
            state = evolve(state, event)
    return tuple(history)


def _moves(state: Workflow, history: list[Event]) -> list[Command]:
    """What may be said next. Whoever claimed may answer at any time, however late."""
    late = NOON + timedelta(days=1)
    held = [event for event in history if isinstance(event, WorkClaimed)]
    if state.phase is not Phase.OPEN:
        return [ResumeWorkflow(), *(record(answer(one)) for one in held)]
    return [
        *(record(answer(one)) for one in held if state.artefact(one.work) is None),
        *(claim(work, run=state.run, now=late) for work in due(state)),
        *(give_up(work, run=state.run) for work in due(state)),
        CompleteWorkflow(run=state.run),
        *(fail(one.work, one.attempt, run=one.run) for one in held[-2:]),
        *(fail(one.work, one.attempt, run=one.run, retry_at=None) for one in held[-1:]),
        CancelWorkflow(),
    ]


def answer(held: WorkClaimed) -> Made:
    """What the holder of this claim makes in the end."""
    match held.work.kind:
        case Kind.RESEARCH:
            return researched(held.attempt, run=held.run)
        case Kind.BLOG:
            return blog_written(held.attempt, run=held.run)
        case Kind.SOCIAL:
            return posted(Work(held.work).platform, held.attempt, run=held.run)
        case Kind.ILLUSTRATION:
            return drawn(held.attempt, run=held.run)
