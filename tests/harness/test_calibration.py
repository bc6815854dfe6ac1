"""The generator is credited with what it showed once, less a margin, and looked for where it is not enough."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.calibration import MARGIN, RUNS_MAX, Trial, able_rps, covers, facts, next_trial_rps, refusal
from harness.gates import all_gates
from harness.model import Outcome
from tests.builders import a_trial, healthy

LIMIT_MS = 2.5
GATE = all_gates()["load_generator"]


def search(limit_rps: float, asked_rps: float, hiccups: tuple[int, ...] = ()) -> list[Trial]:
    """The trials with a generator that can do `limit_rps`; those numbered in `hiccups` are late for other reasons."""
    trials: list[Trial] = []
    while (rate := next_trial_rps(trials, asked_rps, LIMIT_MS)) is not None:
        late = rate > limit_rps or len(trials) in hiccups
        trials.append(a_trial(rate_rps=rate, lag_ms_p99=40.0 if late else 0.3))
    return trials


def test_one_trial_is_enough_for_a_generator_that_can_do_it() -> None:
    trials = search(5000, 1000)
    assert [trial.rate_rps for trial in trials] == [1250]
    assert able_rps(trials, LIMIT_MS) == 1000


def test_a_hiccup_costs_a_second_trial_and_nothing_else() -> None:
    trials = search(5000, 1000, hiccups=(0,))
    assert [trial.rate_rps for trial in trials] == [1250, 1250]
    assert able_rps(trials, LIMIT_MS) == 1000


@given(st.floats(1, 10_000))
@settings(deadline=None, derandomize=True)
def test_less_than_that_is_found_by_halves(limit_rps: float) -> None:
    trials = search(limit_rps, 1000)
    able = able_rps(trials, LIMIT_MS) * MARGIN
    assert able <= limit_rps
    assert len(trials) <= RUNS_MAX
    if able and able < 1250:
        assert able >= limit_rps / 1.25 or len(trials) == RUNS_MAX
    if limit_rps > 250:
        assert able >= limit_rps * 0.7 or able == 1250


@pytest.mark.parametrize(
    "bad",
    [{"lag_ms_p99": 2.6}, {"lag_ms_p99": None}, {"unsent": 1}, {"failed": 1}, {"finished": False}, {"drained": False}],
)
def test_a_trial_must_be_punctual_whole_and_answered(bad: dict[str, Any]) -> None:
    assert a_trial(lag_ms_p99=2.5).valid(LIMIT_MS)
    assert not a_trial(**bad).valid(LIMIT_MS)


@given(st.floats(0.01, 1e6))
@settings(derandomize=True)
def test_a_rate_that_was_asked_and_shown_is_covered(asked_rps: float) -> None:
    assert covers(able_rps([a_trial(rate_rps=asked_rps * MARGIN)], LIMIT_MS), asked_rps)


def test_a_refusal_names_both_numbers() -> None:
    assert refusal(1000, 1000) == ""
    assert refusal(812.3, 1000) == "refused: this generator can do 812 req/s here, 1000 asked"


def test_the_evidence_says_what_was_tried_and_whether_more_is_possible() -> None:
    enough, short = (facts(search(limit, 1000), 1000, LIMIT_MS, 1) for limit in (5000, 720))
    assert (enough["valid_rps"], enough["is_lower_bound"]) == (1000, True)
    assert 560 < short["valid_rps"] < 720 / MARGIN
    assert not short["is_lower_bound"]
    assert [step["valid"] for step in short["steps"]] == [False, False, True, False, False, True]


def test_the_gate_goes_by_the_trials_and_the_plans_limit() -> None:
    check = healthy().checks(GATE)["calibration"]
    assert (check.outcome, check.observed, check.limit) == (Outcome.PASS, 600, 300)
    boasting = healthy().with_facts(
        "calibration", valid_rps=9000, steps=facts([a_trial(rate_rps=250)], 9, 1, 1)["steps"]
    )
    check = boasting.checks(GATE)["calibration"]
    assert (check.outcome, check.observed) == (Outcome.UNKNOWN, 200)
    assert "the generator, not the service: the generator was shown to do 200 req/s here" in check.reason
    late = healthy().with_facts("calibration", steps=facts([a_trial(lag_ms_p99=2.0)], 600, 2.5, 1)["steps"])
    assert late.result("load_generator").outcome is Outcome.PASS
    assert late.with_slo(latency_ms_p99=30).checks(GATE)["calibration"].outcome is Outcome.UNKNOWN


def test_without_a_calibration_the_load_is_unknown() -> None:
    assert healthy().without("calibration").result("load_generator").outcome is Outcome.UNKNOWN
