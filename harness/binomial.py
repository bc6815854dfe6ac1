"""The exact binomial test and the bounds that follow from it, for counts that need not be whole.

Rule: pure. Counts divided by a design effect are real numbers; the regularised incomplete beta function serves them.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import special

Reals = NDArray[np.float64]


def upper_bound(over: float, n: float, confidence: float) -> float:
    """Exact one-sided upper bound of a ratio (Clopper and Pearson, Biometrika 26, 1934), for real-valued counts."""
    return 1.0 if over >= n else float(special.betaincinv(over + 1, n - over, confidence))


def lower_bound(over: float, n: float, confidence: float) -> float:
    """Exact one-sided lower bound of a ratio (Clopper and Pearson, Biometrika 26, 1934), for real-valued counts."""
    return 0.0 if over <= 0 else float(special.betaincinv(over, n - over + 1, 1 - confidence))


def proves(over: Reals, n: Reals, ratio_max: float, confidence: float) -> NDArray[np.bool_]:
    """P(Binom(n, ratio_max) ≤ over) ≤ 1 − confidence, by the regularised incomplete beta function.

    P(Binom(n, q) ≤ t) = I_{1−q}(n − t, t + 1) = 1 − I_q(t + 1, n − t) (NIST DLMF 8.17.5), which also serves reals.
    Where Hoeffding's bound exp(−n·D(t/n, q)) is far below already (Journal of the American Statistical Association 58,
    1963, theorem 1), the function, fifty times as costly, is not asked.
    """
    share = np.clip((over + 1) / n, 0.0, 1.0)  # one more, so that reals are covered too
    divergence = special.rel_entr(share, ratio_max) + special.rel_entr(1 - share, 1 - ratio_max)
    proven = (share < ratio_max) & (n * divergence > 3 - math.log1p(-confidence))
    asked = np.flatnonzero(~proven)
    clean = np.maximum(n[asked] - over[asked], np.finfo(np.float64).tiny)
    proven[asked] = special.betaincc(over[asked] + 1, clean, ratio_max) <= 1 - confidence
    return np.asarray(proven)
