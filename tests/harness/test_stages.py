"""Each stage's gates are fixed, and a Plan can't leave one out unseen."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.gates import all_gates, by_id
from harness.model import Stage
from harness.plan_types import Launch
from harness.profiles import runs_catalogue
from harness.stages import NOT_BUILT, REQUIRED, check_gates, selected, why_not_judged
from tests.builders import a_plan, a_waiver

INTERNAL = {
    "baseline_latency",
    "load_generator",
    "sustained_latency",
    "availability",
    "first_attempts",
    "spike_latency",
    "capacity",
    "zone_failure",
    "rollback",
    "shadow_agreement",
    "model_quality",
}
OPTIONAL = {"gpu_engine", "fault_tolerance"}
"""Gates of no stage: a Plan names them in `launch.gates`, or names experiments."""
LATER = {"disaster_recovery"}
"""Gates that later stages require; a Plan that names drills is held to them at any."""


def plan(*gates: str, stage: Stage = Stage.INTERNAL, waived: str = ""):  # noqa: ANN201 - a Plan
    waivers = (a_waiver(waived),) if waived else ()
    return replace(a_plan(), launch=Launch(stage=stage, gates=gates or None), waivers=waivers)


def test_stage_internal_requires_exactly_its_eleven_gates_and_all_exist() -> None:
    assert set(REQUIRED[Stage.INTERNAL]) == INTERNAL == set(all_gates()) - OPTIONAL - LATER


def test_later_stages_require_more_and_what_does_not_exist_is_named() -> None:
    assert set(REQUIRED[Stage.LOAD]) < INTERNAL < set(REQUIRED[Stage.BETA]) < set(REQUIRED[Stage.GA])
    assert set(REQUIRED[Stage.GA]) - INTERNAL - LATER == set(NOT_BUILT)


def test_no_gates_and_two_of_one_id_are_errors() -> None:
    gate = all_gates()["rollback"]
    with pytest.raises(ValueError, match="no gates found"):
        by_id([])
    with pytest.raises(ValueError, match="two gates are called rollback"):
        by_id([gate, gate])


def test_a_plan_without_a_list_is_judged_by_its_stage() -> None:
    assert check_gates(plan(), all_gates()) == ()
    assert set(selected(plan(), runs_catalogue=False)) == INTERNAL


def test_leaving_out_a_required_gate_needs_a_waiver() -> None:
    rest = sorted(INTERNAL - {"rollback"})
    (message,) = check_gates(plan(*rest), all_gates())
    assert "'rollback'" in message
    assert check_gates(plan(*rest, waived="rollback"), all_gates()) == ()
    assert "rollback" in selected(plan(*rest, waived="rollback"), runs_catalogue=False)


def test_an_unknown_gate_is_named() -> None:
    assert "'rolback'" in check_gates(plan(*INTERNAL, "rolback"), all_gates())[0]
    assert "'rolback'" in check_gates(plan(waived="rolback"), all_gates())[0]


def test_a_plan_may_add_gates() -> None:
    added = plan(*REQUIRED[Stage.LOAD], "model_quality", stage=Stage.LOAD)
    assert check_gates(added, all_gates()) == ()
    assert selected(added, runs_catalogue=False)[-1] == "model_quality"


def test_experiments_of_the_plan_are_judged_where_the_profile_runs_them_or_the_plan_names_their_gate() -> None:
    named = plan(*INTERNAL, "fault_tolerance")
    assert set(selected(plan(), runs_catalogue=True)) == INTERNAL | {"fault_tolerance"}
    assert "fault_tolerance" in selected(named, runs_catalogue=False)
    without = replace(plan(), experiments={})
    assert "fault_tolerance" not in selected(without, runs_catalogue=True)
    assert why_not_judged("fault_tolerance", plan(), "quick") == "profile quick leaves the catalogue of experiments out"
    assert "names no experiment" in why_not_judged("fault_tolerance", without, "standard")


def test_a_profile_that_is_not_known_is_taken_to_run_the_catalogue() -> None:
    assert [runs_catalogue(name) for name in ("quick", "standard", "of-another-version")] == [False, True, True]
