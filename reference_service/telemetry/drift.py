"""How far live inputs and scores have moved from the training reference.

Rule: counted where predictions are recorded, on their thread, over the latest rows of each version; of fewer rows than
say anything, nothing is said. The measure is the population stability index, the sum of (live − training) × ln(live /
training) over the bins (Siddiqi, Credit Risk Scorecards, 2006), with half a row added to each bin, because an empty one
has no logarithm. By custom 0.1 asks for a look and 0.25 for action.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from reference_service.reference import Reference

ROWS_MAX: Final = 10_000
"""Rows looked back on: a minute or so of the traffic that the reference Plan launches with."""
ROWS_MIN: Final = 1_000
"""Of n rows from the training distribution itself, the index of ten bins is 9 / n on average (a chi-squared of 9
degrees of freedom over n): 0.009 here, far below what asks for a look."""
_ADDED: Final = 0.5


class Drift:
    """Counts the rows of one version by the bins of its `reference`; `add` and the readings may be of two threads."""

    def __init__(self, reference: Reference, rows_max: int = ROWS_MAX) -> None:
        self._columns = reference.columns
        self._edges = [np.array(item.edges, np.float32) for item in reference.columns]
        self._counts = [np.zeros(len(item.shares), np.int64) for item in reference.columns]
        self._outside = np.zeros(len(reference.columns), np.int64)
        self._low = np.array([item.min for item in reference.columns], np.float32)
        self._high = np.array([item.max for item in reference.columns], np.float32)
        self._rows_max = rows_max
        self._recent: deque[tuple[list[NDArray[np.int64]], NDArray[np.int64], int]] = deque()
        self.rows = 0

    def add(self, batch: NDArray[np.float32], scores: NDArray[np.float32]) -> None:
        """Count rows `batch` [n, columns] with their `scores` [n]."""
        table = np.column_stack([batch, scores])
        counts = [
            np.bincount(np.searchsorted(edges, table[:, place], "right"), minlength=len(edges) + 1)
            for place, edges in enumerate(self._edges)
        ]
        outside = ((table < self._low) | (table > self._high)).sum(axis=0)
        self._recent.append((counts, outside, len(table)))
        self._count(counts, outside, len(table), 1)
        while self.rows - self._recent[0][2] >= self._rows_max:
            self._count(*self._recent.popleft(), -1)

    def psi(self) -> dict[str, float]:
        """The index of each column and of the score; NaN until there are enough rows."""
        enough = self.rows >= ROWS_MIN
        return {
            item.name: _index(np.array(item.shares), counts) if enough else math.nan
            for item, counts in zip(self._columns, self._counts, strict=True)
        }

    def outside(self) -> dict[str, float]:
        """The share of rows outside the range seen in training, of each column and the score; NaN without rows."""
        shares = self._outside / self.rows if self.rows else np.full(len(self._columns), math.nan)
        return dict(zip((item.name for item in self._columns), shares.tolist(), strict=True))

    def _count(self, counts: list[NDArray[np.int64]], outside: NDArray[np.int64], rows: int, sign: int) -> None:
        self._counts = [total + sign * change for total, change in zip(self._counts, counts, strict=True)]
        self._outside += sign * outside
        self.rows += sign * rows


def _index(training: NDArray[np.float64], counts: NDArray[np.int64]) -> float:
    live = (counts + _ADDED) / (counts.sum() + _ADDED * len(counts))
    kept = np.maximum(training, 1e-6)  # a bin that training left empty
    return float(((live - kept) * np.log(live / kept)).sum())
