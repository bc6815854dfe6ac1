"""Streams of requests whose long-run share of bad ones is known, and how often a rule errs on them.

Rule: pure, seeded. A stream is the chance of a bad one in each tick, drawn at random but stationary from its first
tick, so that its mean over all runs is the share asked for, exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import signal, stats

from harness.binomial import Reals, lower_bound, upper_bound
from harness.model import Outcome
from harness.stats import judge_proportion

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from harness.bursts import Counts

TICK_S = 0.05
RATE_RPS = 200.0
LIMIT, CONFIDENCE = 0.01, 0.95
ABOVE, BELOW = 1.02 * LIMIT, 0.98 * LIMIT
"""Just above the limit every PASS is wrong, just below it every FAIL."""


def independent(rng: np.random.Generator, run_s: float, ratio: float) -> Reals:
    """No memory: the law that the plain binomial test assumes."""
    del rng
    return np.full(round(run_s / TICK_S), ratio)


def bursts(mean_s: float, share_bad: float) -> Callable[[np.random.Generator, float, float], Reals]:
    """A two-state Markov process: in a burst, `mean_s` long in the mean, `share_bad` are bad; otherwise none is.

    With `share_bad` 1 it is a service that stalls.
    """

    def stream(rng: np.random.Generator, run_s: float, ratio: float) -> Reals:
        time_share = ratio / share_bad
        calm_s, inside = mean_s * (1 - time_share) / time_share, rng.random() < time_share
        ends, ticks = [0.0], np.arange(round(run_s / TICK_S) + 1) * TICK_S
        in_burst = [0.0]  # seconds in a burst until each end
        while ends[-1] < run_s:
            stay_s = rng.exponential(mean_s if inside else calm_s)
            ends.append(ends[-1] + stay_s)
            in_burst.append(in_burst[-1] + stay_s * inside)
            inside = not inside
        return np.minimum(np.diff(np.interp(ticks, ends, in_burst)) / TICK_S, 1.0) * share_bad

    return stream


def drifting(time_constant_s: float, strength: float = 1.0) -> Callable[[np.random.Generator, float, float], Reals]:
    """Latency with a slowly moving level, AR(1): a request is bad where level and noise together pass a threshold."""

    def stream(rng: np.random.Generator, run_s: float, ratio: float) -> Reals:
        keep = np.exp(-TICK_S / time_constant_s)
        steps = rng.standard_normal(round(run_s / TICK_S)) * np.sqrt(1 - keep**2)
        steps[0] /= np.sqrt(1 - keep**2)
        level = signal.lfilter([1.0], [1.0, -keep], steps)
        threshold = stats.norm.isf(ratio) * np.hypot(strength, 1.0)
        return np.asarray(stats.norm.sf(threshold - strength * level))

    return stream


STREAMS: Mapping[str, Callable[[np.random.Generator, float, float], Reals]] = {
    "independent": independent,
    "stalls of 0.2 s": bursts(0.2, 1.0),
    "stalls of 1 s": bursts(1.0, 1.0),
    "bursts of 0.2 s, half bad": bursts(0.2, 0.5),
    "bursts of 1 s, a tenth bad": bursts(1.0, 0.1),
    "bursts of 5 s, a tenth bad": bursts(5.0, 0.1),
    "bursts of 20 s, a twentieth bad": bursts(20.0, 0.05),
    "level drifts in 0.3 s": drifting(0.3),
    "level drifts in 1 s": drifting(1.0),
    "level drifts in 5 s": drifting(5.0),
    "level drifts weakly in 5 s": drifting(5.0, 0.5),
    "level drifts in 20 s": drifting(20.0),
}


def blocks(rng: np.random.Generator, chances: Reals) -> tuple[Counts, Counts]:
    """Bad ones and requests in each second, of Poisson arrivals."""
    n = rng.poisson(RATE_RPS * TICK_S, len(chances))
    over = rng.binomial(n, chances)
    each = round(1 / TICK_S)
    return over.reshape(-1, each).sum(axis=1), n.reshape(-1, each).sum(axis=1)


@dataclass(frozen=True)
class Rates:
    """How often each rule errs, as shares of the runs; `unseen` is how many runs met no bad one at all.

    `naive` is the exact binomial test on all requests, as if they were independent.
    """

    runs: int
    wrong_pass: float
    wrong_fail: float
    naive_wrong_pass: float
    naive_wrong_fail: float
    unseen: float


def error_rates(name: str, run_s: float, runs: int, seed: int = 1) -> Rates:
    """Judge `runs` runs of `run_s` seconds with a share just above the limit, and as many with one just below."""
    rng, found = np.random.default_rng(seed), np.zeros(5)
    for _ in range(runs):
        over, n = blocks(rng, STREAMS[name](rng, run_s, ABOVE))
        bad, total = int(over.sum()), int(n.sum())
        wrong_pass = judge_proportion(over, n, LIMIT, CONFIDENCE).outcome is Outcome.PASS
        found += [wrong_pass, 0, upper_bound(bad, total, CONFIDENCE) <= LIMIT, 0, bad == 0]
        over, n = blocks(rng, STREAMS[name](rng, run_s, BELOW))
        wrong_fail = judge_proportion(over, n, LIMIT, CONFIDENCE).outcome is Outcome.FAIL
        found += [0, wrong_fail, 0, lower_bound(int(over.sum()), int(n.sum()), CONFIDENCE) >= LIMIT, 0]
    return Rates(runs, *(float(share) for share in found / runs))


def margin(share: float, runs: int) -> float:
    """`share` and three standard errors: what a simulation of `runs` may show where `share` is the truth."""
    return share + 3 * float(np.sqrt(share * (1 - share) / runs))
