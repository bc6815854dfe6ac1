"""The judging rule errs as seldom as it says on streams with memory, where the plain binomial test errs all the time.

The larger table, with streams whose bursts are too long for a short run, is tests/benchmarks/test_error_rates.py.
"""

from __future__ import annotations

import numpy as np
import pytest

from harness.bursts import joined
from harness.model import Outcome
from harness.stats import design_effect, judge_proportion
from tests.harness.streams import CONFIDENCE, LIMIT, STREAMS, blocks, error_rates, margin

RUN_S, RUNS = 120.0, 100
WRONG_MAX = 1 - CONFIDENCE


@pytest.mark.parametrize("name", sorted(STREAMS))
def test_each_stream_has_the_share_of_bad_ones_that_it_is_asked_for(name: str) -> None:
    rng = np.random.default_rng(3)
    shares = [STREAMS[name](rng, 100.0, 0.02).mean() for _ in range(400)]
    assert np.mean(shares) == pytest.approx(0.02, abs=4 * np.std(shares) / 20 + 1e-12)


@pytest.mark.parametrize(
    "name", ["independent", "stalls of 0.2 s", "bursts of 0.2 s, half bad", "level drifts in 0.3 s"]
)
def test_wrong_passes_and_wrong_fails_are_as_rare_as_promised(name: str) -> None:
    found = error_rates(name, RUN_S, RUNS)
    assert found.wrong_pass <= margin(WRONG_MAX, RUNS)
    assert found.wrong_fail <= margin(WRONG_MAX, RUNS)
    if name != "independent":
        assert found.naive_wrong_pass > 5 * WRONG_MAX
        assert found.naive_wrong_fail > 4 * WRONG_MAX


def test_bursts_that_outlast_a_block_are_seen_too() -> None:
    """One bad one in each second of a bad stretch: no second stands out, but the stretch does."""
    n, spread, stretch = np.full(64, 100), np.zeros(64, np.int64), np.zeros(64, np.int64)
    spread[::4], stretch[20:36] = 1, 1
    assert design_effect(spread, n) == design_effect(stretch, n) == 1
    assert judge_proportion(spread, n, 0.005, CONFIDENCE).outcome is Outcome.PASS
    ruling = judge_proportion(stretch, n, 0.005, CONFIDENCE)
    assert ruling.outcome is Outcome.UNKNOWN
    n[-1] += ruling.needed
    assert judge_proportion(stretch, n, 0.005, CONFIDENCE).outcome is Outcome.PASS


@pytest.mark.parametrize(("seconds", "sizes"), [(19, 1), (20, 2), (400, 6), (1001, 7), (9999, 7)])
def test_joined_blocks_show_no_bursts_where_there_are_none(seconds: int, sizes: int) -> None:
    rng, n = np.random.default_rng(5), np.full(seconds, 1000)
    drawn = [joined(rng.binomial(n, LIMIT), n) for _ in range(100)]
    effects = np.array([[part.design_effects(int(n.sum()))[-1] for part in parts] for parts in drawn])
    assert effects.shape == (100, sizes)
    assert effects.mean(axis=0).max() < 1.25  # at least 1 each: the mean of what is above it by chance


def test_caution_does_not_cost_the_power_to_pass() -> None:
    rng = np.random.default_rng(4)
    better = [blocks(rng, STREAMS["independent"](rng, 36.0, 0.5 * LIMIT)) for _ in range(50)]
    outcomes = [judge_proportion(over, n, LIMIT, CONFIDENCE).outcome for over, n in better]
    assert outcomes.count(Outcome.PASS) >= 48
