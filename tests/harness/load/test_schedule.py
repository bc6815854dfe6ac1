"""The schedule is pure, sorted, follows its law, and splits over workers without loss."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from harness.load.schedule import phase_starts_ns, schedule
from harness.load.spec import LoadSpec, Phase
from tests.harness.load.test_spec import a_spec

RATES = st.floats(0.0, 300.0) | st.just(0.0)


@st.composite
def specs(draw: st.DrawFn) -> LoadSpec:
    count = draw(st.integers(1, 4))
    phases = tuple(
        Phase(f"phase-{index}", draw(st.floats(0.5, 300.0)), draw(st.floats(0.05, 5.0)), draw(st.none() | RATES))
        for index in range(count)
    )
    return a_spec(
        phases=phases, seed=draw(st.integers(0, 2**32)), arrivals=draw(st.sampled_from(["poisson", "constant"]))
    )


@given(specs())
@settings(max_examples=200, deadline=None)
def test_is_sorted_and_every_instant_lies_in_its_phase(spec: LoadSpec) -> None:
    plan = schedule(spec)
    edges = np.array(phase_starts_ns(spec))
    assert (np.diff(plan.intended_ns) >= 0).all()
    assert (plan.intended_ns >= edges[plan.phase] - 1).all()
    assert (plan.intended_ns <= edges[plan.phase + 1] + 1).all()


@given(specs(), st.integers(1, 5))
@settings(max_examples=100, deadline=None)
def test_workers_together_are_the_schedule_of_one(spec: LoadSpec, workers: int) -> None:
    whole, parts = schedule(spec), [schedule(spec, worker, workers) for worker in range(workers)]
    order = np.argsort(np.concatenate([part.sequence for part in parts]))
    for column in ("sequence", "intended_ns", "phase"):
        merged = np.concatenate([getattr(part, column) for part in parts])[order]
        np.testing.assert_array_equal(merged, getattr(whole, column))


@given(specs())
@settings(max_examples=100, deadline=None)
def test_constant_arrivals_are_as_many_as_the_area_under_the_rate(spec: LoadSpec) -> None:
    spec = dataclasses.replace(spec, arrivals="constant")
    assert len(schedule(spec)) == pytest.approx(sum(phase.expected for phase in spec.phases), abs=0.5 + 1e-9)


def test_same_specification_same_digest_and_another_seed_another() -> None:
    assert schedule(a_spec()).digest == schedule(a_spec()).digest
    assert schedule(a_spec()).digest != schedule(a_spec(seed=2)).digest
    assert schedule(a_spec()).digest != schedule(a_spec(), 0, 2).digest


def test_constant_arrivals_are_evenly_spaced() -> None:
    plan = schedule(a_spec(phases=(Phase("hold", 1000.0, 1.0),), arrivals="constant"))
    assert plan.intended_ns[0] == 500_000
    assert set(np.diff(plan.intended_ns)) == {1_000_000}


def test_poisson_gaps_follow_the_exponential_law() -> None:
    plan = schedule(a_spec(phases=(Phase("hold", 500.0, 20.0),)))
    gaps_s = np.diff(plan.intended_ns) / 1e9
    assert stats.kstest(gaps_s, "expon", args=(0, 1 / 500)).pvalue > 0.01
    assert len(plan) == pytest.approx(10_000, abs=4 * 100)  # four standard deviations


def test_ramp_arrives_by_the_square_of_time() -> None:
    plan = schedule(a_spec(phases=(Phase("rise", 0.0, 20.0, end_rate_rps=1000.0),)))
    share = (plan.intended_ns / 20e9) ** 2  # of all arrivals, those due by t: uniform if the law holds
    assert stats.kstest(share, "uniform").pvalue > 0.01


def test_worker_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="worker"):
        schedule(a_spec(), 2, 2)
