"""The measures agree with scikit-learn's, and their intervals respect days."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, roc_auc_score

from reference_service.training.measures import Outcomes, calibration, compare

RANDOM = np.random.default_rng(3)
DAY = np.repeat(np.arange(40), 60)
TRUTH = np.clip(RANDOM.beta(2, 5, 40)[DAY] + RANDOM.normal(0, 0.1, len(DAY)), 0.01, 0.99)
LATE = (RANDOM.random(len(DAY)) < TRUTH).astype(np.uint8)
NOISY = np.round(np.clip(TRUTH + RANDOM.normal(0, 0.2, len(DAY)), 0.01, 0.99), 2)  # with ties


def measured(model: np.ndarray, baseline: np.ndarray) -> dict:
    return compare(Outcomes(LATE, DAY), model, baseline, seed=1)


def test_auc_and_brier_are_scikit_learns() -> None:
    metrics = measured(TRUTH, NOISY)
    assert metrics["auc"]["value"] == pytest.approx(roc_auc_score(LATE, TRUTH), abs=1e-6)
    assert metrics["baseline_auc"]["value"] == pytest.approx(roc_auc_score(LATE, NOISY), abs=1e-6)
    assert metrics["brier"]["value"] == pytest.approx(brier_score_loss(LATE, TRUTH), abs=1e-6)


def test_a_better_model_gains_with_an_interval_above_zero_and_the_mirror_below() -> None:
    assert measured(TRUTH, NOISY)["auc_gain"]["interval"][0] > 0
    assert measured(NOISY, TRUTH)["auc_gain"]["interval"][1] < 0


def test_a_model_gains_nothing_over_itself() -> None:
    gain = measured(NOISY, NOISY)["auc_gain"]
    assert (gain["value"], gain["interval"]) == (0.0, [0.0, 0.0])


def test_the_interval_is_wider_than_one_that_takes_flights_as_independent() -> None:
    def width(day: np.ndarray) -> float:
        low, high = compare(Outcomes(LATE, day), TRUTH, NOISY, seed=1)["auc"]["interval"]
        return high - low

    assert width(DAY) > 1.2 * width(RANDOM.permutation(DAY))


def test_resampling_a_day_twice_is_having_its_flights_twice() -> None:
    twice = np.concatenate([np.arange(len(DAY)), np.flatnonzero(DAY == 7)])
    from reference_service.training.measures import _auc, _ranking

    weights = np.ones((1, 40))
    weights[0, 7] = 2
    weighted = _auc(_ranking(Outcomes(LATE, DAY), NOISY), weights)[0]
    assert weighted == pytest.approx(roc_auc_score(LATE[twice], NOISY[twice]), abs=1e-9)


def test_calibration_of_a_constant_is_its_distance_from_the_share() -> None:
    constant = calibration(LATE, np.full(len(LATE), 0.9))
    assert constant["expected_calibration_error"] == pytest.approx(abs(0.9 - LATE.mean()), abs=1e-6)
    assert sum(row["flights"] for row in constant["table"]) == len(LATE)
