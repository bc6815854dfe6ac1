"""The statistics agree with brute force: exact sums of fractions, formulas written out, simulated laws, resampling."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, comb
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import special, stats

from harness.binomial import lower_bound, proves, upper_bound
from harness.bursts import Prefixes
from harness.checks import proportion
from harness.model import Outcome
from harness.stats import design_effect, judge_proportion, quantile, quantile_interval

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.stats import Counts, Reals

CONFIDENCES = st.sampled_from([0.9, 0.95, 0.99])
LIMITS = st.sampled_from([0.001, 0.01, 0.05, 0.3])
often = settings(max_examples=200, deadline=None, derandomize=True)


def at_most(t: int, n: int, ratio: Fraction) -> Fraction:
    """P(Binom(n, ratio) ≤ t), term by term."""
    return sum((comb(n, k) * ratio**k * (1 - ratio) ** (n - k) for k in range(t + 1)), Fraction(0))


@given(st.integers(0, 60), st.integers(1, 60), st.integers(1, 199).map(lambda part: Fraction(part, 200)), CONFIDENCES)
@often
def test_a_limit_is_proven_exactly_when_the_summed_tail_is_small(t: int, n: int, limit: Fraction, c: float) -> None:
    tail = at_most(min(t, n), n, limit)
    assume(abs(tail - (1 - Fraction(c))) > Fraction(1, 10**9))  # floats can't tell closer ones apart
    assert bool(proves(np.array([min(t, n)]) * 1.0, np.array([n]) * 1.0, float(limit), c)[0]) == (
        tail <= 1 - Fraction(c)
    )


@given(st.integers(0, 60), st.integers(1, 60), CONFIDENCES)
@often
def test_bounds_are_where_the_summed_tails_cross_the_confidence(t: int, n: int, confidence: float) -> None:
    t = min(t, n)
    upper, lower = (Fraction(bound(t, n, confidence)) for bound in (upper_bound, lower_bound))
    assert upper == 1 if t == n else float(at_most(t, n, upper)) == pytest.approx(1 - confidence, abs=1e-9)
    assert lower == 0 if t == 0 else float(1 - at_most(t - 1, n, lower)) == pytest.approx(1 - confidence, abs=1e-9)


@given(st.floats(0, 1e5), st.floats(1.0, 1e7), st.floats(1e-4, 0.5), CONFIDENCES)
@settings(often, max_examples=500)
def test_the_quick_way_to_prove_never_says_other_than_the_exact_one(t: float, n: float, limit: float, c: float) -> None:
    t = min(t, n)
    exact = special.betaincc(t + 1, max(n - t, np.finfo(np.float64).tiny), limit) <= 1 - c
    assert proves(np.array([t]), np.array([n]), limit, c)[0] == exact


counts = st.lists(st.integers(0, 9), min_size=2, max_size=40)


@given(counts, st.integers(9, 300))
@often
def test_design_effect_is_the_formula_written_out(over: list[int], size: int) -> None:
    bad, n, blocks = sum(over), size * len(over), len(over)
    assume(0 < bad < n)
    observed = sum((count - bad / blocks) ** 2 for count in over) / (blocks - 1)
    if_independent = bad / blocks * (n - bad) / (n - 1)
    expected = max(1.0, observed / if_independent)
    assert design_effect(np.array(over), np.full(blocks, size)) == pytest.approx(expected)


@pytest.mark.parametrize("copies", [1, 3, 10])
def test_design_effect_of_bad_ones_that_come_so_many_at_a_time_is_that_many(copies: int) -> None:
    rng = np.random.default_rng(1)
    effects = [design_effect(copies * rng.binomial(1000, 0.003, 400), np.full(400, 1000)) for _ in range(30)]
    assert np.mean(effects) == pytest.approx(copies, rel=0.05)


@given(counts)
@often
def test_parts_at_their_most_concentrated_are_what_no_arrangement_exceeds(over: list[int]) -> None:
    """Brute force by chance: any so many of the bad ones have at most that sum of squares in their blocks."""
    rng, parts = np.random.default_rng(sum(over)), Prefixes.of(np.array(over))
    owners = np.repeat(np.arange(len(over)), over)
    for t in rng.integers(0, len(owners) + 1, 20):
        chosen = np.bincount(rng.permutation(owners)[:t], minlength=len(over))
        assert (chosen**2).sum() <= parts.squares[t]
    assert list(parts.squares) == [squares_of_fullest(over, t) for t in range(sum(over) + 1)]


def squares_of_fullest(over: list[int], t: int) -> int:
    total = 0
    for count in sorted(over, reverse=True):
        taken = min(count, t)
        total, t = total + taken**2, t - taken
    return total


def rule_as_designed(bad: int, n: int, limit: float, confidence: float) -> Outcome:
    """The three-valued rule of independent requests, transcribed with an independent binomial."""
    if stats.binom.cdf(bad, n, limit) <= 1 - confidence:
        return Outcome.PASS
    if stats.binom.sf(bad - 1, n, limit) <= 1 - confidence:
        return Outcome.FAIL
    return Outcome.UNKNOWN


def evenly(bad: int, n: int, blocks: int) -> tuple[Counts, Counts]:
    edges = np.arange(blocks + 1) * n // blocks
    return np.diff(edges * bad // n), np.diff(edges)


@given(st.integers(0, 10), st.integers(100, 20_000), LIMITS, CONFIDENCES)
@settings(often, max_examples=500)
def test_for_single_bad_ones_far_apart_the_ruling_is_the_rule_as_designed(
    bad: int, n: int, limit: float, confidence: float
) -> None:
    assert judge_proportion(*evenly(bad, n, 50), limit, confidence).outcome is rule_as_designed(
        bad, n, limit, confidence
    )


@given(st.lists(st.integers(0, 30), min_size=5, max_size=100), st.integers(30, 400), LIMITS, CONFIDENCES)
@settings(often, max_examples=500)
def test_whatever_the_blocks_a_pass_is_one_for_independent_requests_too_and_so_is_a_fail(
    over: list[int], size: int, limit: float, confidence: float
) -> None:
    ruling = judge_proportion(np.array(over), np.full(len(over), size), limit, confidence)
    if ruling.outcome is not Outcome.UNKNOWN:
        assert ruling.outcome is rule_as_designed(sum(over), size * len(over), limit, confidence)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=100), st.integers(9, 400), LIMITS, CONFIDENCES)
@settings(often, max_examples=500)
def test_the_interval_shown_says_the_same_as_the_outcome(
    over: list[int], size: int, limit: float, confidence: float
) -> None:
    blocks = np.array(over), np.full(len(over), size)
    check = proportion("failed", blocks, limit, confidence, what="failed")
    assert check.interval is not None
    lower, upper = check.interval
    assert lower <= sum(over) / (size * len(over)) <= upper
    if check.outcome is Outcome.PASS:
        assert upper <= limit * (1 + 1e-9)
    elif check.outcome is Outcome.FAIL:
        assert lower >= limit
    else:
        assert lower < limit <= upper * (1 + 1e-9)
    bad, n, effect = sum(over), size * len(over), design_effect(*blocks)
    assert lower == pytest.approx(lower_bound(bad / effect, n / effect, confidence))
    assert upper >= upper_bound(bad / effect, n / effect, confidence) - 1e-12


def test_intervals_of_a_ratio_hold_as_often_as_each_side_promises() -> None:
    """Exact means at least: for independent requests each bound misses the truth in at most one of twenty runs."""
    rng, truth, runs = np.random.default_rng(2), 0.004, 600
    over = rng.binomial(100, truth, (runs, 60))
    rulings = [judge_proportion(row, np.full(60, 100), 0.01, 0.95) for row in over]
    allowed = 0.05 + 3 * (0.05 * 0.95 / runs) ** 0.5
    assert np.mean([ruling.lower > truth for ruling in rulings]) <= allowed
    assert np.mean([ruling.upper < truth for ruling in rulings]) <= allowed


LAWS: dict[str, tuple[Callable[[np.random.Generator, int], Reals], Callable[[float], float]]] = {
    "exponential": (lambda rng, n: rng.exponential(size=n), stats.expon.ppf),
    "heavy tail": (lambda rng, n: rng.pareto(1.2, n), stats.lomax(1.2).ppf),
    "two modes": (
        lambda rng, n: np.where(rng.random(n) < 0.97, rng.uniform(0, 1, n), rng.uniform(9, 10, n)),
        lambda share: share / 0.97 if share <= 0.97 else 9 + (share - 0.97) / 0.03,
    ),
    "whole milliseconds": (lambda rng, n: rng.geometric(0.1, n) * 1.0, stats.geom(0.1).ppf),
}


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
@pytest.mark.parametrize("law", sorted(LAWS))
def test_quantile_intervals_cover_the_truth_whatever_the_law(law: str, share: float) -> None:
    draw, ppf = LAWS[law]
    rng, runs, truth = np.random.default_rng(8), 500, float(ppf(share))
    found = [quantile_interval(np.sort(draw(rng, 600)), share, 0.95) for _ in range(runs)]
    intervals = np.array([interval for interval in found if interval is not None])
    assert len(intervals) == runs
    allowed = 0.05 + 3 * (0.05 * 0.95 / runs) ** 0.5
    assert np.mean(intervals[:, 0] > truth) <= allowed
    assert np.mean(intervals[:, 1] < truth) <= allowed


@given(st.integers(0, 2**32), st.integers(400, 3000), st.sampled_from([0.5, 0.9, 0.98]))
@settings(often, max_examples=25)
def test_quantile_intervals_lie_where_resampling_puts_them(seed: int, n: int, share: float) -> None:
    """The bootstrap's 5th and 95th percentile of the quantile, in ranks: within a few of the exact ones."""
    rng = np.random.default_rng(seed)
    ranks = np.arange(1.0, n + 1)
    again = np.array([quantile(np.sort(rng.choice(ranks, n)), share) for _ in range(400)])
    found = quantile_interval(ranks, share, 0.95)
    assert found is not None
    sigma = (n * share * (1 - share)) ** 0.5
    for bound, resampled in zip(found, np.quantile(again, [0.05, 0.95]), strict=True):
        assert abs(bound - resampled) <= 2 + 0.5 * sigma


@given(st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=60), st.integers(1, 100))
@often
def test_quantile_is_the_smallest_value_that_enough_do_not_exceed(values: list[float], percent: int) -> None:
    enough = ceil(Fraction(percent, 100) * len(values))
    expected = min(value for value in values if sum(other <= value for other in values) >= enough)
    assert quantile(np.sort(values), percent / 100) == expected
