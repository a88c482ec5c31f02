"""Upcasters: an old body is led to today's shape, version by version; a new one is left alone."""

from typing import Any

import pytest
from hypothesis import given as for_any
from hypothesis import strategies as st

from contracts.events import EVENT_TYPES, Event
from contracts.upcasters import Body, Upcasters, upcast, upcasts
from tests.contracts.generated import events, quick

PAST: Upcasters = {}


@upcasts("tea-brewed", 1, registry=PAST)
def tea_brewed_v1_v2(body: Body) -> Body:
    """Version 1 told of minutes."""
    rest = {name: value for name, value in body.items() if name != "minutes"}
    return {**rest, "seconds": 60 * body.get("minutes", 3)}


@upcasts("tea-brewed", 2, registry=PAST)
def tea_brewed_v2_v3(body: Body) -> Body:
    """Version 2 knew one leaf only."""
    return {**body, "leaves": [body.get("leaf", "assam")]}


values = st.none() | st.booleans() | st.integers(-1, 9) | st.text(max_size=5)
bodies: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={"version": values, "minutes": st.integers(0, 9), "leaf": values, "leaves": values, "seconds": values},
)


class TestUpcast:
    def test_an_old_body_passes_through_every_version(self) -> None:
        old = {"version": 1, "minutes": 4, "leaf": "oolong"}
        assert upcast("tea-brewed", old, registry=PAST) == {
            "version": 3,
            "seconds": 240,
            "leaf": "oolong",
            "leaves": ["oolong"],
        }

    def test_a_chain_is_entered_where_the_body_stands(self) -> None:
        assert upcast("tea-brewed", {"version": 2, "minutes": 4}, registry=PAST) == {
            "version": 3,
            "minutes": 4,
            "leaves": ["assam"],
        }

    @pytest.mark.parametrize("version", [3, 4, None, "1"], ids=repr)
    def test_any_other_body_is_left_untouched(self, version: object) -> None:
        body = {"version": version, "minutes": 4}
        assert upcast("tea-brewed", body, registry=PAST) is body

    def test_other_types_are_left_untouched(self) -> None:
        body = {"version": 1, "minutes": 4}
        assert upcast("coffee-brewed", body, registry=PAST) is body

    def test_the_body_given_is_not_changed(self) -> None:
        body = {"version": 1, "minutes": 4}
        upcast("tea-brewed", body, registry=PAST)
        assert body == {"version": 1, "minutes": 4}

    @quick
    @for_any(bodies)
    def test_any_body_is_led_somewhere_for_good(self, body: dict[str, Any]) -> None:
        newest = upcast("tea-brewed", body, registry=PAST)
        assert upcast("tea-brewed", newest, registry=PAST) is newest


class TestTheRealOnes:
    @quick
    @for_any(st.sampled_from(sorted(EVENT_TYPES)), bodies)
    def test_any_body_of_any_event_is_led_somewhere_for_good(self, event: str, body: dict[str, Any]) -> None:
        newest = upcast(event, body)
        assert upcast(event, newest) is newest

    @quick
    @for_any(events())
    def test_todays_shape_is_led_nowhere(self, event: Event) -> None:
        body = event.model_dump(mode="json")
        assert upcast(event.type, body) is body


class TestUpcasts:
    def test_a_second_upcaster_of_a_version_is_refused(self) -> None:
        with pytest.raises(ValueError, match="tea-brewed v1 has an upcaster already"):
            upcasts("tea-brewed", 1, registry=PAST)(tea_brewed_v1_v2)

    def test_an_upcaster_stays_a_function_of_its_own(self) -> None:
        assert tea_brewed_v1_v2({"minutes": 1}) == {"seconds": 60}
