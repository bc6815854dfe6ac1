"""How clustered bad ones are: design effects of blocks, of blocks joined, and of every part of the bad ones.

Rule: pure, and monotone: a bad one more, anywhere, never makes any of these prove a limit that was not proven before.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from harness.binomial import Reals, proves, upper_bound

Counts = NDArray[np.int64]

GROUPS_MIN = 10
"""Neighbouring blocks are joined as long as this many groups remain: a variance of fewer says little."""
JOINED_MAX = 64
"""Most blocks joined, about a minute: longer ones would cost a long run its power against bursts seldom seen."""


@dataclass(frozen=True, slots=True)
class Prefixes:
    """Every number t' = 0 … t of bad ones at its most concentrated: fullest block first.

    The sum of squares of such a prefix is the largest that t' bad ones can have within the observed counts, and it
    only grows when a block's count grows (majorisation: Marshall, Olkin and Arnold, "Inequalities", 2nd edition, §1.A).
    """

    counts: Reals
    squares: Reals
    blocks: int

    def __len__(self) -> int:
        return len(self.counts)

    @classmethod
    def of(cls, over: Counts) -> Prefixes:
        """All of them, for the bad ones `over` in each block."""
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

    def allowed(self, total: int) -> Reals:
        """The design effects to prove with: their excess over 1 raised by 1 / the number of bursts, t / effect.

        As if one burst more had been seen: from few bursts a variance is underestimated, most of all where they were
        short by chance. The form is this project's; tests/benchmarks/test_error_rates.py measures what it achieves.
        """
        effects = self.design_effects(total)
        return np.asarray(1 + (effects - 1) * (1 + effects / np.maximum(self.counts, 1.0)))

    def effective(self, total: int) -> tuple[Reals, Reals]:
        """Bad ones and requests, both divided by the design effects to prove with."""
        effects = self.allowed(total)
        return self.counts / effects, total / effects

    def unproven(self, total: int, ratio_max: float, confidence: float) -> Prefixes:
        """Those that don't prove `ratio_max` among `total` requests."""
        left = ~proves(*self.effective(total), ratio_max, confidence)
        return Prefixes(self.counts[left], self.squares[left], self.blocks)

    def worst(self, total: int, confidence: float) -> Prefixes:
        """The one with the greatest upper bound, most likely."""
        over, n = self.effective(total)
        place = int(np.argmax((over + 1 + special.ndtri(confidence) * np.sqrt(over + 1)) / n))
        return Prefixes(self.counts[[place]], self.squares[[place]], self.blocks)

    def upper(self, total: int, confidence: float) -> float:
        """The greatest upper bound that any of them has; most are settled by that of the likely worst."""
        left, bound = self, 0.0
        while left:
            over, n = left.worst(total, confidence).effective(total)
            bound = max(bound * (1 + 1e-12), upper_bound(float(over[0]), float(n[0]), confidence))
            left = left.unproven(total, min(bound * (1 + 1e-12), 1.0), confidence)
        return bound

    def enough(self, total: int, ratio_max: float, confidence: float) -> int:
        """The fewest requests, at least `total`, among which all of them prove: each alone is monotone in n."""
        while left := self.unproven(total, ratio_max, confidence):
            worst, low = left.worst(total, confidence), total
            while worst.unproven(total, ratio_max, confidence):
                low, total = total, 2 * total
            while total - low > 1:
                middle = (low + total) // 2
                if worst.unproven(middle, ratio_max, confidence):
                    low = middle
                else:
                    total = middle
        return total


def joined(over: Counts, n: Counts) -> list[Prefixes]:
    """The blocks as they are, then two neighbours joined to one, four, eight …; without those that have no requests.

    Which are joined is a matter of their number alone, so that it can't change with the bad ones. Groups differ by one
    block at most: of unequal ones the counts would vary without any burst.
    """
    found, size = [Prefixes.of(over[n > 0])], 2
    while size <= JOINED_MAX and len(over) // size >= GROUPS_MIN:
        starts = np.linspace(0, len(over), len(over) // size, endpoint=False).astype(np.int64)
        found.append(Prefixes.of(np.add.reduceat(over, starts)[np.add.reduceat(n, starts) > 0]))
        size *= 2
    return found
