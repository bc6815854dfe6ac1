"""Trailing delay rates: how often flights like this one were late lately, as of the day before.

Rule: the rate of a day is made of strictly earlier days. That is what is known when the day's first flight leaves:
every flight of a day is late or not by its scheduled arrival plus 15 minutes, which in these data is before five
o'clock the next morning, when the first flight leaves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

PRIOR_SHARE = 0.2
"""The share assumed late before anything is known; forgotten by the day from which versions train (15 January)."""


def trailing_rates(
    group: NDArray[np.int64],
    day: NDArray[np.int64],
    late: NDArray[np.float64],
    *,
    half_life_days: float,
    prior: NDArray[np.float64] | float,
    prior_flights: float,
) -> NDArray[np.float64]:
    """The share of late flights of each flight's `group` on the days before its `day`.

    An exponentially weighted mean over days, drawn toward `prior` with the weight of `prior_flights` flights.
    `late` is NaN where the arrival is unknown; those flights get a rate but add nothing to any.
    """
    known = ~np.isnan(late)
    shape = (int(group.max()) + 1, int(day.max()) + 1)
    flights, lates = np.zeros(shape), np.zeros(shape)
    np.add.at(flights, (group[known], day[known]), 1.0)
    np.add.at(lates, (group[known], day[known]), late[known])
    keep = 0.5 ** (1.0 / half_life_days)
    weight, weighted = _before(flights, keep)[group, day], _before(lates, keep)[group, day]
    return np.asarray((weighted + prior_flights * prior) / (weight + prior_flights), dtype=np.float64)


def _before(daily: NDArray[np.float64], keep: float) -> NDArray[np.float64]:
    """Column d is the decayed sum of the columns before d: the day itself never enters."""
    total = np.zeros_like(daily)
    for day in range(1, daily.shape[1]):
        total[:, day] = keep * total[:, day - 1] + daily[:, day - 1]
    return total
