"""The shapes of load have the phases and rates that their names promise."""

from __future__ import annotations

import pytest

from harness.load.phases import ramp, soak, spike, staircase, sustained
from harness.load.spec import Phase


def test_sustained_keeps_its_warmup_apart() -> None:
    assert sustained(200.0, 30.0, 3.0) == (Phase("warmup", 200.0, 3.0), Phase("hold", 200.0, 30.0))
    assert sustained(200.0, 30.0) == (Phase("hold", 200.0, 30.0),)


def test_spike_steps_up_and_back() -> None:
    assert [(phase.name, phase.rate_rps) for phase in spike(200.0, 600.0, 3.0, 10.0, 5.0)] == [
        ("before", 200.0),
        ("peak", 600.0),
        ("after", 200.0),
    ]


def test_ramp_is_a_line_up_or_down_and_may_hold_its_end() -> None:
    assert ramp(0.0, 800.0, 60.0) == (Phase("ramp", 0.0, 60.0, 800.0),)
    assert ramp(800.0, 200.0, 60.0, 5.0) == (Phase("ramp", 800.0, 60.0, 200.0), Phase("hold", 200.0, 5.0))


def test_staircase_climbs_in_equal_steps() -> None:
    steps = staircase(200.0, 1000.0, 5, 4.0)
    assert [phase.name for phase in steps] == ["step-0200", "step-0400", "step-0600", "step-0800", "step-1000"]
    assert {phase.duration_s for phase in steps} == {4.0}


def test_staircase_goes_down_too() -> None:
    assert [step.rate_rps for step in staircase(1000.0, 200.0, 3, 4.0)] == [1000.0, 600.0, 200.0]


def test_staircase_without_steps_is_refused() -> None:
    with pytest.raises(ValueError, match="steps"):
        staircase(200.0, 1000.0, 0, 4.0)


@pytest.mark.parametrize(("low", "high", "steps"), [(200, 200, 5), (200, 201, 5), (1, 3, 5), (200, 1000, 5), (9, 3, 4)])
def test_steps_of_any_staircase_have_names_of_their_own(low: float, high: float, steps: int) -> None:
    phases = staircase(low, high, steps, 1)
    assert len({phase.name for phase in phases}) == len(phases) == (1 if low == high else steps)
    assert (phases[0].rate_rps, phases[-1].rate_rps) == (low, high)


def test_soak_is_one_rate_in_periods_of_one_length() -> None:
    phases = soak(200.0, 4 * 3600.0, 900.0, 60.0)
    assert [phase.name for phase in phases[:3]] == ["warmup", "period-01", "period-02"]
    assert (phases[-1].name, {phase.rate_rps for phase in phases}) == ("period-16", {200.0})
    assert {phase.duration_s for phase in phases[1:]} == {900.0}


@pytest.mark.parametrize(("hold_s", "period_s", "count"), [(10.0, 3.0, 3), (10.0, 7.0, 1), (10.0, 60.0, 1)])
def test_soak_lasts_as_long_as_asked_whatever_the_period(hold_s: float, period_s: float, count: int) -> None:
    phases = soak(50.0, hold_s, period_s)
    assert len(phases) == count
    assert sum(phase.duration_s for phase in phases) == pytest.approx(hold_s)
    assert len({phase.duration_s for phase in phases}) == 1


@pytest.mark.parametrize(("hold_s", "period_s"), [(0.0, 5.0), (5.0, 0.0), (5.0, -1.0), (float("nan"), 1.0)])
def test_soak_without_length_is_refused(hold_s: float, period_s: float) -> None:
    with pytest.raises(ValueError, match="above 0 s"):
        soak(50.0, hold_s, period_s)
