"""The shapes of load have the phases and rates that their names promise."""

from __future__ import annotations

import pytest

from harness.load.phases import ramp, spike, sustained
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


def test_ramp_climbs_in_equal_steps() -> None:
    steps = ramp(200.0, 1000.0, 5, 4.0)
    assert [phase.name for phase in steps] == ["step-0200", "step-0400", "step-0600", "step-0800", "step-1000"]
    assert {phase.duration_s for phase in steps} == {4.0}


def test_ramp_without_steps_is_refused() -> None:
    with pytest.raises(ValueError, match="steps"):
        ramp(200.0, 1000.0, 0, 4.0)


@pytest.mark.parametrize(("low", "high", "steps"), [(200, 200, 5), (200, 201, 5), (1, 3, 5), (200, 1000, 5)])
def test_steps_of_any_ramp_have_names_of_their_own(low: float, high: float, steps: int) -> None:
    phases = ramp(low, high, steps, 1)
    assert len({phase.name for phase in phases}) == len(phases) == (1 if low == high else steps)
    assert (phases[0].rate_rps, phases[-1].rate_rps) == (low, high)
