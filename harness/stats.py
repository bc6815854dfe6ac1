"""The statistics of judging: what a count, a percentile or a ratio proves, and what it does not.

Rule: pure, exact and three-valued. Every formula names its source. A claim is made only at the confidence asked for;
where the samples don't carry it the answer is UNKNOWN, with how many more would.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from harness.model import Outcome

Counts = NDArray[np.int64]
Reals = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """What `over` bad ones among `n` say about a limit on their ratio.

    `lower` and `upper` each bound the true ratio at the confidence asked for, on counts divided by the design effect.
    `needed` is how many more requests, none of them bad, would make an UNKNOWN a PASS.
    """

    outcome: Outcome
    over: int
    n: int
    lower: float
    upper: float
    design_effect: float
    needed: int | None = None

    @property
    def ratio(self) -> float:
        """Share of bad ones observed; 0 when nothing was observed."""
        return self.over / self.n if self.n else 0.0


def judge_proportion(over: Counts, n: Counts, ratio_max: float, confidence: float) -> Ruling:
    """Is the true ratio of bad ones at most `ratio_max`, given bad ones `over` among `n` in each block?

    Bad ones come in bursts, so both counts are divided by the design effect before an exact binomial test (Rao and
    Scott, "A simple method for the analysis of clustered binary data", Biometrics 48, 1992). FAIL uses the design
    effect observed. PASS must hold for every smaller number of bad ones too, at its most concentrated: a design effect
    alone falls when more bad ones come evenly spread, and more bad ones must never turn UNKNOWN into PASS.

    `over` and `n` have one element a block, 0 ≤ over ≤ n; blocks without requests are left out. Raises ValueError.
    """
    if over.shape != n.shape or np.any(over < 0) or np.any(over > n):
        raise ValueError("each block must have 0 ≤ over ≤ n")
    prefixes = _Prefixes.of(over[n > 0])
    total, bad = int(n.sum()), int(over.sum())
    if total == 0:
        needed: int | None = _needed(prefixes, 0, ratio_max, confidence)
        return Ruling(outcome=Outcome.UNKNOWN, over=0, n=0, lower=0.0, upper=1.0, design_effect=1.0, needed=needed)
    effect = float(prefixes.design_effects(total)[-1])
    lower = lower_bound(bad / effect, total / effect, confidence)
    proven = bool(_proves(np.float64(bad), np.float64(total), ratio_max, confidence))  # cheap, and necessary
    proven = proven and prefixes.prove(total, ratio_max, confidence)
    upper = prefixes.upper(total, confidence) if proven else upper_bound(bad / effect, total / effect, confidence)
    outcome = Outcome.PASS if proven else Outcome.FAIL if bad and lower >= ratio_max else Outcome.UNKNOWN
    needed = _needed(prefixes, total, ratio_max, confidence) if outcome is Outcome.UNKNOWN else None
    return Ruling(outcome=outcome, over=bad, n=total, lower=lower, upper=upper, design_effect=effect, needed=needed)


def upper_bound(over: float, n: float, confidence: float) -> float:
    """Exact one-sided upper bound of a ratio (Clopper and Pearson, Biometrika 26, 1934), for real-valued counts."""
    return 1.0 if over >= n else float(special.betaincinv(over + 1, n - over, confidence))


def lower_bound(over: float, n: float, confidence: float) -> float:
    """Exact one-sided lower bound of a ratio (Clopper and Pearson, Biometrika 26, 1934), for real-valued counts."""
    return 0.0 if over <= 0 else float(special.betaincinv(over, n - over + 1, 1 - confidence))


def design_effect(over: Counts, n: Counts) -> float:
    """Variance of the counts in blocks over the binomial's, at least 1 (Kish, "Survey Sampling", 1965, §5.4)."""
    used = n > 0
    return float(_Prefixes.of(over[used]).design_effects(int(n.sum()))[-1]) if used.any() else 1.0


def quantile(values: Reals, share: float) -> float:
    """The smallest value that at least `share` of the values don't exceed (nearest rank); `values` must be sorted."""
    return float(values[_rank(values, share)])


def quantile_of(values: Reals, share: float) -> float:
    """`quantile` of values in any order."""
    rank = _rank(values, share)
    return float(np.partition(values, rank)[rank])


def _rank(values: Reals, share: float) -> int:
    return max(0, math.ceil(share * len(values) - 1e-9) - 1)


def quantile_interval(
    values: Reals, share: float, confidence: float, effect: float = 1.0
) -> tuple[float, float] | None:
    """Order statistics that bound the true quantile, each at `confidence`; None when the samples can't bound it.

    Distribution-free (David and Nagaraja, "Order Statistics", 3rd edition, §7.1): the number of values below the
    quantile is binomial. `values` must be sorted; n is divided by the design effect `effect`, ranks scaled back.
    """
    n = math.floor(len(values) / effect)
    if n == 0:
        return None

    def chance(below: int) -> float:
        """P(at most that many values lie below the quantile)."""
        return float(special.bdtr(below, n, share))

    low_rank = bisect_right(range(n), 1 - confidence, key=chance)
    high_rank = bisect_left(range(n), confidence, key=chance) + 1
    if low_rank == 0 or high_rank > n:
        return None
    scale = len(values) / n
    low, high = values[math.floor(low_rank * scale) - 1], values[min(math.ceil(high_rank * scale), len(values)) - 1]
    return (float(low), float(high)) if math.isfinite(high) else None


@dataclass(frozen=True, slots=True)
class _Prefixes:
    """Every number t' = 0 … t of bad ones at its most concentrated: fullest block first.

    The sum of squares of such a prefix is the largest that t' bad ones can have within the observed counts, and it
    only grows when a block's count grows (majorisation: Marshall, Olkin and Arnold, "Inequalities", 2nd edition, §1.A).
    """

    counts: Reals
    squares: Reals
    blocks: int

    @classmethod
    def of(cls, over: Counts) -> _Prefixes:
        fullest_first = np.sort(over)[::-1].astype(np.float64)
        ends = np.concatenate(([0.0], np.cumsum(fullest_first)))
        squares = np.concatenate(([0.0], np.cumsum(fullest_first**2)))
        counts = np.arange(int(ends[-1]) + 1, dtype=np.float64)
        whole = np.searchsorted(ends, counts, side="right") - 1
        return cls(counts, squares[whole] + (counts - ends[whole]) ** 2, len(over))

    def design_effects(self, total: int) -> Reals:
        """Sample variance over blocks / binomial variance of a block, both unbiased; one bad one alone shows no burst.

        With a single block nothing shows independence, so all bad ones count as one.
        """
        if self.blocks < 2:  # noqa: PLR2004 - a variance needs two
            return np.maximum(1.0, self.counts)
        variance = (self.squares - self.counts**2 / self.blocks) / (self.blocks - 1)
        binomial = self.counts / self.blocks * (total - self.counts) / max(total - 1, 1)
        effects = np.divide(variance, binomial, out=np.ones_like(variance), where=binomial > 0)
        return np.maximum(1.0, effects)

    def prove(self, total: int, ratio_max: float, confidence: float) -> bool:
        effects = self.design_effects(total)
        return bool(np.all(_proves(self.counts / effects, total / effects, ratio_max, confidence)))

    def upper(self, total: int, confidence: float) -> float:
        effects = self.design_effects(total)
        return float(np.max(special.betaincinv(self.counts / effects + 1, (total - self.counts) / effects, confidence)))


def _proves(over: Reals | np.float64, n: Reals | np.float64, ratio_max: float, confidence: float) -> NDArray[np.bool_]:
    """P(Binom(n, ratio_max) ≤ over) ≤ 1 − confidence, by the regularised incomplete beta function.

    P(Binom(n, q) ≤ t) = I_{1−q}(n − t, t + 1) = 1 − I_q(t + 1, n − t) (NIST DLMF 8.17.5), which also serves reals.
    """
    clean = np.maximum(n - over, np.finfo(np.float64).tiny)
    return np.asarray(special.betaincc(over + 1, clean, ratio_max) <= 1 - confidence)


def _needed(prefixes: _Prefixes, total: int, ratio_max: float, confidence: float) -> int:
    """How many more clean requests make the ruling PASS: doubling, then bisection (the test is monotone in n)."""
    high = max(total, 1)
    while not prefixes.prove(high, ratio_max, confidence):
        high *= 2
    low = total
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if prefixes.prove(middle, ratio_max, confidence) else (middle, high)
    return high - total
