"""The statistics of judging: what a count, a percentile or a ratio proves, and what it does not.

Rule: pure, exact and three-valued. Every formula names its source. A claim is made only at the confidence asked for;
where the samples don't carry it the answer is UNKNOWN, with how many more would.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy import special

from harness.binomial import Reals, lower_bound, upper_bound
from harness.bursts import Counts, Prefixes, joined
from harness.model import Outcome

__all__ = [
    "Counts",
    "Reals",
    "Ruling",
    "design_effect",
    "judge_proportion",
    "lower_bound",
    "quantile",
    "quantile_interval",
    "quantile_of",
    "upper_bound",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """What `over` bad ones among `n` say about a limit on their ratio.

    `lower` and `upper` each bound the true ratio at the confidence asked for, by exact one-sided bounds on counts
    divided by the design effect; together they hold at 2·confidence − 1. PASS is `upper` ≤ limit, FAIL `lower` ≥ limit.
    `design_effect` is that of the blocks as they are. `needed` is how many more requests, none of them bad, would make
    an UNKNOWN a PASS.
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
    effect observed. PASS, which launches, must hold

    - for blocks joined in twos, fours and so on too, because bursts may outlast a block (Flyvbjerg and Petersen,
      "Error estimates on averages of correlated data", Journal of Chemical Physics 91, 1989);
    - with an allowance for a design effect that few bursts understate (`Prefixes.allowed`);
    - for every smaller number of bad ones, at its most concentrated: a design effect alone falls when more bad ones
      come evenly spread, and more bad ones must never turn UNKNOWN into PASS.

    What no block shows can't be allowed for: that a rare, long stall falls into no second of a short run.

    `over` and `n` have one element a block, 0 ≤ over ≤ n; blocks without requests are left out. Raises ValueError.
    """
    if over.shape != n.shape or np.any(over < 0) or np.any(over > n):
        raise ValueError("each block must have 0 ≤ over ≤ n")
    total, bad = int(n.sum()), int(over.sum())
    if total == 0:
        needed = Prefixes.of(over[n > 0]).enough(1, ratio_max, confidence)
        return Ruling(outcome=Outcome.UNKNOWN, over=0, n=0, lower=0.0, upper=1.0, design_effect=1.0, needed=needed)
    effect = design_effect(over, n)
    lower = lower_bound(bad / effect, total / effect, confidence)
    found = partial(Ruling, over=bad, n=total, lower=lower, design_effect=effect)
    if bad and lower >= ratio_max:
        return found(outcome=Outcome.FAIL, upper=upper_bound(bad / effect, total / effect, confidence))
    parts = joined(over, n)
    upper = max(part.upper(total, confidence) for part in parts)
    if not any(part.unproven(total, ratio_max, confidence) for part in parts):
        return found(outcome=Outcome.PASS, upper=upper)
    needed = max(part.enough(total, ratio_max, confidence) for part in parts) - total
    return found(outcome=Outcome.UNKNOWN, upper=upper, needed=needed)


def design_effect(over: Counts, n: Counts) -> float:
    """Variance of the counts in blocks over the binomial's, at least 1 (Kish, "Survey Sampling", 1965, §5.4)."""
    used = n > 0
    return float(Prefixes.of(over[used]).design_effects(int(n.sum()))[-1]) if used.any() else 1.0


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
