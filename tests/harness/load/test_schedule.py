"""The schedule is pure, sorted, follows its law, and splits over workers without loss, whatever its phases."""

from __future__ import annotations

import dataclasses
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from harness.load.schedule import BLOCK, PHASES_MAX, phase_starts_ns, schedule
from harness.load.spec import LoadSpec, Phase
from tests.harness.load.schedules import cumulative, specs
from tests.harness.load.test_spec import a_spec

CHANCE_MIN = 1e-9
"""A count stranger than this is no Poisson count: with 200 drawn schedules, a false alarm once in 10⁶ suites."""
ALPHA = 0.001
"""Level of each test of a law; the seeds are fixed, so a schedule that passes once passes always."""
properties = settings(max_examples=200, deadline=None, derandomize=True)


def poisson_like(count: int, expected: float) -> bool:
    law = stats.poisson(expected)
    return bool(law.cdf(count) > CHANCE_MIN and law.sf(count - 1) > CHANCE_MIN)


@given(specs())
@properties
def test_is_sorted_and_every_instant_lies_in_its_phase(spec: LoadSpec) -> None:
    plan, edges = schedule(spec), np.array(phase_starts_ns(spec))
    assert (np.diff(plan.intended_ns) >= 0).all()
    assert (np.diff(plan.phase) >= 0).all()
    assert (plan.intended_ns >= edges[plan.phase]).all()
    assert (plan.intended_ns < edges[plan.phase + 1]).all()
    assert (plan.intended_ns.dtype, plan.phase.dtype) == (np.int64, np.int16)


@given(specs())
@properties
def test_has_as_many_arrivals_as_its_law_expects_in_each_phase_and_in_all(spec: LoadSpec) -> None:
    counts = np.bincount(schedule(spec).phase, minlength=len(spec.phases))
    expected = [phase.expected for phase in spec.phases]
    for count, due in zip([*counts, counts.sum()], [*expected, sum(expected)], strict=True):
        assert abs(count - due) <= 1 if spec.arrivals == "constant" else poisson_like(count, due)


@pytest.mark.parametrize(
    ("expected", "count"), [(0.4, 0), (0.6, 1), (1.4, 1), (1.6, 2), (BLOCK - 0.4, BLOCK), (BLOCK + 0.6, BLOCK + 1)]
)
def test_constant_arrivals_are_the_expected_number_rounded(expected: float, count: int) -> None:
    assert len(schedule(a_spec(phases=(Phase("hold", 100.0, expected / 100.0),), arrivals="constant"))) == count


@given(specs(), st.integers(1, 7))
@properties
def test_workers_together_are_the_schedule_of_one(spec: LoadSpec, workers: int) -> None:
    whole, parts = schedule(spec), [schedule(spec, worker, workers) for worker in range(workers)]
    numbers = np.concatenate([part.sequence for part in parts])
    order = np.argsort(numbers)
    np.testing.assert_array_equal(numbers[order], np.arange(len(whole)))  # none lost, none twice
    for column in ("intended_ns", "phase"):
        merged = np.concatenate([getattr(part, column) for part in parts])[order]
        np.testing.assert_array_equal(merged, getattr(whole, column))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@given(specs())
@properties
def test_is_a_pure_function_of_its_specification(spec: LoadSpec) -> None:
    again = LoadSpec.from_json(spec.to_json())
    first, _, second = schedule(spec), schedule(a_spec(seed=spec.seed + 1)), schedule(again)
    np.testing.assert_array_equal(first.intended_ns, second.intended_ns)
    np.testing.assert_array_equal(first.phase, second.phase)
    assert first.digest == second.digest


@given(specs().filter(lambda spec: sum(phase.expected for phase in spec.phases) > 30))
@properties
def test_digest_changes_with_whatever_changes_the_load(spec: LoadSpec) -> None:
    busiest = max(range(len(spec.phases)), key=lambda index: spec.phases[index].expected)
    others = [schedule(spec, 0, 2), schedule(spec, 1, 2), schedule(spec, 1, 3)]
    for field in ("rate_rps", "duration_s", "end_rate_rps"):
        phases = list(spec.phases)
        value = getattr(phases[busiest], field)
        phases[busiest] = dataclasses.replace(phases[busiest], **{field: 1.25 * (value or 40.0)})
        others.append(schedule(dataclasses.replace(spec, phases=tuple(phases))))
    arrivals = "poisson" if spec.arrivals == "constant" else "constant"
    others.append(schedule(dataclasses.replace(spec, arrivals=arrivals, seed=spec.seed + 1)))
    if spec.arrivals == "poisson":
        others.append(schedule(dataclasses.replace(spec, seed=spec.seed + 1)))
    digests = {schedule(spec).digest, *(other.digest for other in others)}
    assert len(digests) == len(others) + 1


@given(specs())
@properties
def test_constant_arrivals_are_evenly_spaced_along_the_cumulative_rate(spec: LoadSpec) -> None:
    spec = dataclasses.replace(spec, arrivals="constant")
    plan = schedule(spec)
    due = cumulative(spec, plan.intended_ns)
    rate_max = max(max(phase.rate_rps, phase.last_rate_rps) for phase in spec.phases)
    np.testing.assert_allclose(due, np.arange(len(plan)) + 0.5, rtol=0, atol=1e-6 + 2e-9 * rate_max)  # 2 ns of arrivals


@pytest.mark.parametrize("rate_rps", [3.0, 1000.0, 70_000.0])
def test_constant_arrivals_at_one_rate_keep_one_distance(rate_rps: float) -> None:
    plan = schedule(a_spec(phases=(Phase("hold", rate_rps, 2.0),), arrivals="constant"))
    assert plan.intended_ns[0] == pytest.approx(0.5e9 / rate_rps, abs=1)
    gaps = np.diff(plan.intended_ns)
    assert gaps.max() - gaps.min() <= 1
    assert gaps.mean() == pytest.approx(1e9 / rate_rps, abs=0.5)


LAWS = {
    "one rate": (Phase("hold", 500.0, 20.0),),
    "from nothing": (Phase("rise", 0.0, 20.0, 1000.0),),
    "to nothing": (Phase("fall", 1000.0, 20.0, 0.0),),
    "steep": (Phase("calm", 10.0, 5.0), Phase("rise", 10.0, 0.1, 100_000.0), Phase("fall", 100_000.0, 0.05, 1.0)),
    "spike": (Phase("before", 100.0, 10.0), Phase("peak", 900.0, 5.0), Phase("after", 100.0, 10.0)),
    "all together": (Phase("a", 50.0, 20.0), Phase("b", 50.0, 20.0, 300.0), Phase("c", 300.0, 5.0, 0.0)),
}


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("shape", sorted(LAWS))
def test_poisson_arrivals_follow_the_law(shape: str, seed: int) -> None:
    """Mapped through the cumulative rate, gaps are exponential with mean 1, and arrivals uniform; both by KS."""
    spec = a_spec(phases=LAWS[shape], seed=seed)
    total, due = sum(phase.expected for phase in spec.phases), cumulative(spec, schedule(spec).intended_ns)
    gaps = np.diff(due, prepend=0.0)
    assert stats.kstest(gaps, "expon").pvalue > ALPHA
    assert stats.kstest(due / total, "uniform").pvalue > ALPHA
    assert abs(np.corrcoef(gaps[1:], gaps[:-1])[0, 1]) < stats.norm.isf(ALPHA / 2) / len(gaps) ** 0.5
    assert poisson_like(len(due), total)


def test_counts_of_many_seeds_vary_as_poisson_counts_do() -> None:
    counts = [len(schedule(a_spec(phases=(Phase("rise", 0.0, 1.0, 400.0),), seed=seed))) for seed in range(300)]
    dispersion = np.var(counts, ddof=1) / np.mean(counts) * (len(counts) - 1)
    assert stats.chi2.ppf(ALPHA / 2, len(counts) - 1) < dispersion < stats.chi2.isf(ALPHA / 2, len(counts) - 1)
    assert np.mean(counts) == pytest.approx(200, abs=4 * (200 / 300) ** 0.5)


def test_an_arrival_at_a_phases_very_end_is_still_inside_it() -> None:
    plan = schedule(a_spec(phases=(Phase("a", 1.0, 0.5), Phase("b", 1.0, 1.5)), arrivals="constant"))
    assert (plan.intended_ns.tolist(), plan.phase.tolist()) == ([499_999_999, 1_500_000_000], [0, 1])


def test_phase_without_an_arrival_keeps_its_time() -> None:
    phases = (Phase("short", 1.0, 1e-10), Phase("rare", 0.01, 1.0), Phase("hold", 100.0, 1.0))
    plan = schedule(a_spec(phases=phases, arrivals="constant"))
    assert set(plan.phase) == {2}
    assert (plan.intended_ns >= 10**9).all()


@pytest.mark.parametrize("arrivals", ["poisson", "constant"])
def test_a_schedule_of_many_blocks_is_still_one_process(arrivals: str) -> None:
    spec = a_spec(phases=(Phase("hold", 10_000.0, 3.5 * BLOCK / 10_000.0),), arrivals=arrivals)
    plan = schedule(spec)
    near = np.abs(plan.sequence[1:] % BLOCK) < 2  # around each seam
    gaps_s = np.diff(plan.intended_ns) / 1e9
    assert len(plan) == pytest.approx(3.5 * BLOCK, abs=1 if arrivals == "constant" else 5 * (3.5 * BLOCK) ** 0.5)
    assert near.sum() == 7
    assert gaps_s[near].max() < 20 / 10_000.0
    if arrivals == "poisson":
        assert stats.kstest(gaps_s, "expon", args=(0, 1 / 10_000.0)).pvalue > ALPHA


def test_workers_split_many_blocks_as_they_split_one() -> None:
    spec = a_spec(phases=(Phase("hold", 10_000.0, 2.5 * BLOCK / 10_000.0),))
    whole, parts = schedule(spec), [schedule(spec, worker, 3) for worker in range(3)]
    for worker, part in enumerate(parts):
        np.testing.assert_array_equal(part.intended_ns, whole.intended_ns[worker::3])
        np.testing.assert_array_equal(part.sequence, whole.sequence[worker::3])


def test_long_soak_takes_no_more_memory_than_twice_its_result() -> None:
    spec = a_spec(phases=(Phase("hold", 1000.0, 3000.0),))
    tracemalloc.start()
    try:
        plan = schedule(spec)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert plan.intended_ns.nbytes + plan.phase.nbytes == 10 * len(plan)
    assert peak < 2.2 * 10 * len(plan) + 10e6


def test_worker_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="worker"):
        schedule(a_spec(), 2, 2)


def test_more_phases_than_can_be_numbered_are_refused() -> None:
    phases = tuple(Phase(str(index), 1.0, 1.0) for index in range(PHASES_MAX + 1))
    assert schedule(a_spec(phases=phases[:-1], arrivals="constant")).phase.max() == PHASES_MAX - 1
    with pytest.raises(ValueError, match="at most 32,767 phases"):
        schedule(a_spec(phases=phases))
