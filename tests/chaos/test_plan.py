"""The plan of a chaos run: drawn from the seed alone, and drawing every kind of fault sooner or later."""

import argparse
import json
import random
import re
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos.faults import LANES, STRIKES
from chaos.plan import ALL, KINDS, LONG_DOWN_S, MODEL_FAULTS, NoSuchFault, Plan, draw_model, never_fired, parts_of, plan
from chaos.run import BROKEN, HOLDS, NOT_CHECKED, Wanted, judged, repeated
from local.services import ROOT
from local.standin.faults import Do, When
from local.verbs import add_chaos

SEEDS = st.integers(min_value=0, max_value=2**24)


def drawn(seed: int, *faults: str, workflows: int = 20, nodes: int = 1) -> Plan:
    return plan(seed=seed, workflows=workflows, faults=faults or (ALL,), nodes=nodes)


class TestAPlan:
    @given(SEEDS)
    def test_the_same_seed_draws_the_same_plan(self, seed: int) -> None:
        assert drawn(seed) == drawn(seed)

    @given(SEEDS, st.sampled_from([1, 3]))
    def test_all_faults_named_one_by_one_draw_the_plan_of_all(self, seed: int, nodes: int) -> None:
        whole = drawn(seed, nodes=nodes)
        assert drawn(seed, *whole.faults, nodes=nodes) == whole

    @given(SEEDS, st.sampled_from([(ALL,), ("kills",), ("zombie", "nats-killed")]))
    def test_the_command_that_is_told_in_the_end_draws_it_again(self, seed: int, faults: tuple[str, ...]) -> None:
        first = drawn(seed, *faults)
        words = shlex.split(repeated(Wanted(first, None, 0.5)))
        parser = argparse.ArgumentParser()
        add_chaos(parser)
        chosen = parser.parse_args(words[2:])
        again = plan(seed=chosen.seed, workflows=chosen.workflows, faults=chosen.faults.split(","), nodes=chosen.nodes)
        assert again == first

    def test_another_seed_draws_another_plan(self) -> None:
        assert len({str(drawn(seed).steps) for seed in range(20)}) == 20

    @given(SEEDS)
    def test_it_can_be_written_down_as_json(self, seed: int) -> None:
        told = json.loads(json.dumps(drawn(seed).told()))
        assert [step["number"] for step in told["steps"]] == list(range(1, len(told["steps"]) + 1))

    @given(SEEDS, st.sampled_from([1, 3]))
    def test_all_faults_means_every_kind_that_fits_the_servers(self, seed: int, nodes: int) -> None:
        expected = {kind for kind, one in KINDS.items() if one.is_in_all and one.nodes in (None, nodes)}
        assert {step.kind for step in drawn(seed, nodes=nodes).steps} == expected

    @given(SEEDS, st.integers(min_value=1, max_value=60))
    def test_every_client_has_a_topic_of_its_own(self, seed: int, workflows: int) -> None:
        wishes = drawn(seed, workflows=workflows).wishes
        assert len({wish.topic for wish in wishes}) == workflows

    def test_some_clients_cancel_some_leave_and_some_are_slow(self) -> None:
        wishes = drawn(1, workflows=100).wishes
        assert any(wish.cancels_at for wish in wishes)
        assert any(wish.leaves_at for wish in wishes)
        assert any(wish.pause_s for wish in wishes)

    def test_nobody_cancels_where_every_workflow_has_to_be_completed(self) -> None:
        assert not any(wish.cancels_at for wish in drawn(1, "kills", workflows=100).wishes)

    def test_each_server_and_the_leader_are_cut_off_with_and_without_their_clients_within_some_seeds(self) -> None:
        drawn_ones = [drawn(seed, "partition", nodes=3).steps[0].choices for seed in range(60)]
        assert {(one["node"], one["clients"] == "stay") for one in drawn_ones} == {
            (node, stay) for node in (1, 2, 3, "leader") for stay in (True, False)
        }

    def test_object_store_is_down_for_a_minute_within_some_seeds_and_shortly_in_others(self) -> None:
        steps = [step for seed in range(20) for step in drawn(seed, "s3-down").steps]
        assert {step.choices["seconds"] for step in steps} == {6, LONG_DOWN_S}
        assert all(f"for {step.choices['seconds']} s" in step.when for step in steps)

    def test_exactly_one_brief_holds_the_canary(self) -> None:
        assert sum(wish.has_canary for wish in drawn(1).wishes) == 1

    def test_every_model_fault_occurs_within_some_seeds(self) -> None:
        seen = [rule["do"] for seed in range(40) for rule in draw_model(random.Random(seed))[2]["rules"]]
        assert [do for do in MODEL_FAULTS if do not in seen] == []

    def test_the_stand_in_understands_every_model_fault(self) -> None:
        for seed in range(40):
            for rule in draw_model(random.Random(seed))[2]["rules"]:
                Do.model_validate(rule["do"])
                When.model_validate(rule["when"])


class TestAPlanThatCannotBe:
    def test_an_unknown_fault_names_those_that_there_are(self) -> None:
        with pytest.raises(NoSuchFault, match=r"no fault 'rain'\. There are: all, pull, claim"):
            drawn(1, "rain")

    def test_a_fault_of_three_servers_needs_three(self) -> None:
        with pytest.raises(NoSuchFault, match="needs --nodes 3"):
            drawn(1, "leader")


class TestWhatNeverFired:
    def test_what_was_fired_once_of_each_kind_leaves_nothing_to_tell(self) -> None:
        whole = drawn(1)
        assert never_fired(whole, {part.number for step in whole.steps for part in parts_of(step)}) == []

    def test_kinds_without_any_fault_are_told_in_the_order_of_the_table(self) -> None:
        whole = drawn(1, "zombie", "upload", "repeats")
        kept = {step.number for step in whole.steps if step.kind == "repeats"}
        assert never_fired(whole, kept) == ["zombie", "upload"]

    def test_one_part_of_everything_is_a_fault_of_its_own_kind_and_of_everything(self) -> None:
        whole = drawn(1)
        part = parts_of(next(step for step in whole.steps if step.kind == "everything"))[0]
        assert set(whole.faults) - set(never_fired(whole, {part.number})) == {"everything", part.kind}

    def test_what_never_fired_of_all_faults_is_said_and_changes_no_verdict(self) -> None:
        told = judged(Wanted(drawn(1), None, 0.5), set(), HOLDS)
        assert told == (HOLDS, [f"never fired: {', '.join(drawn(1).faults)}"])

    def test_kind_that_was_asked_for_by_name_and_never_fired_is_no_success(self) -> None:
        whole = drawn(1, "zombie", "upload")
        kept = {step.number for step in whole.steps if step.kind == "upload"}
        code, said = judged(Wanted(whole, None, 0.5, named=frozenset(whole.faults)), kept, HOLDS)
        assert (code, said[0]) == (NOT_CHECKED, "never fired: zombie")
        assert said[1].startswith("This run says nothing about zombie, which was asked for by name")

    def test_broken_invariant_stays_one_whatever_never_fired(self) -> None:
        whole = drawn(1, "zombie")
        assert judged(Wanted(whole, None, 0.5, named=frozenset(whole.faults)), set(), BROKEN)[0] == BROKEN


class TestThePage:
    def test_every_kind_stands_there_with_its_number(self) -> None:
        page = (ROOT / "docs" / "reliability-chaos.md").read_text()
        rows = re.findall(r"^\| (\d+) \| (`[a-z0-9-]+`(?:, `[a-z0-9-]+`)*) \|", page, re.MULTILINE)
        told = {kind: int(number) for number, kinds in rows for kind in re.findall(r"[a-z0-9-]+", kinds)}
        assert told == {kind: one.number for kind, one in KINDS.items()}


class TestTheFaults:
    def test_every_kind_can_be_struck(self) -> None:
        assert set(STRIKES) == set(KINDS)

    def test_no_kind_is_in_two_lanes(self) -> None:
        assert sum(len(lane) for lane in LANES) == len(frozenset[str]().union(*LANES))
