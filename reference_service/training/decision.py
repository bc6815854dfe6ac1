"""The decision threshold: warn of as many flights as are late.

Rule: chosen on flights after the training window and before the hold-out; measured on the hold-out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def choose_threshold(late: NDArray[np.uint8], probability: NDArray[np.float64]) -> float:
    """The probability from which on as many flights are flagged as were late, to three digits."""
    return round(float(np.quantile(probability, 1.0 - late.mean())), 3)


def measure_decision(late: NDArray[np.uint8], probability: NDArray[np.float64], threshold: float) -> dict[str, float]:
    """What the threshold does: the share flagged, and precision, recall and accuracy of the flags."""
    flagged = probability >= threshold
    hits = float((flagged & (late == 1)).sum())
    shares = {
        "flagged_share": flagged.mean(),
        "precision": hits / max(1, flagged.sum()),
        "recall": hits / max(1, late.sum()),
        "accuracy": (flagged == (late == 1)).mean(),
    }
    return {name: round(float(share), 6) for name, share in shares.items()}
