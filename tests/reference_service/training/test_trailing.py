"""Trailing rates know strictly earlier days and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from reference_service.training.trailing import trailing_rates

DAY = np.array([1, 1, 2, 2, 3])
GROUP = np.array([0, 1, 0, 1, 0])
LATE = np.array([1.0, 0.0, 0.0, np.nan, 1.0])


def rates(late: np.ndarray, *, prior_flights: float = 1.0) -> np.ndarray:
    return trailing_rates(GROUP, DAY, late, half_life_days=1, prior=0.5, prior_flights=prior_flights)


def test_the_rates_are_those_worked_out_by_hand() -> None:
    # Day 3 of group 0: one flight not late yesterday (weight 1), one late the day before (weight 1/2), the prior (1).
    expected = [0.5, 0.5, (1 + 0.5) / 2, (0 + 0.5) / 2, (0.5 + 0.5) / 2.5]
    assert rates(LATE) == pytest.approx(expected)


@pytest.mark.parametrize("day", [1, 2, 3])
def test_an_outcome_changes_no_rate_of_its_own_day_or_before(day: int) -> None:
    planted = np.where((day == DAY) & ~np.isnan(LATE), 1 - LATE, LATE)
    assert (rates(planted)[day >= DAY] == rates(LATE)[day >= DAY]).all()


def test_an_outcome_does_change_the_rate_of_the_next_day() -> None:
    planted = LATE.copy()
    planted[0] = 0.0
    assert rates(planted)[2] < rates(LATE)[2]


def test_an_unknown_arrival_adds_nothing() -> None:
    without = np.delete(np.arange(5), 3)
    alone = trailing_rates(GROUP[without], DAY[without], LATE[without], half_life_days=1, prior=0.5, prior_flights=1.0)
    assert alone == pytest.approx(rates(LATE)[without])


def test_a_rare_group_leans_on_the_prior() -> None:
    assert abs(rates(LATE, prior_flights=100)[2] - 0.5) < abs(rates(LATE, prior_flights=1)[2] - 0.5)
