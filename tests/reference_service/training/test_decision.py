"""The threshold warns of as many flights as are late."""

from __future__ import annotations

import numpy as np
import pytest

from reference_service.training.decision import choose_threshold, measure_decision


def test_as_many_are_flagged_as_are_late() -> None:
    probability = np.linspace(0, 1, 1001)
    late = np.zeros(1001, np.uint8)
    late[:300] = 1
    threshold = choose_threshold(late, probability)
    assert (probability >= threshold).mean() == pytest.approx(0.3, abs=0.002)


def test_the_shares_are_those_counted_by_hand() -> None:
    late = np.array([1, 1, 0, 0, 0], np.uint8)
    probability = np.array([0.9, 0.1, 0.5, 0.2, 0.2])
    expected = {"flagged_share": 0.4, "precision": 0.5, "recall": 0.5, "accuracy": 0.6}
    assert measure_decision(late, probability, 0.5) == expected
