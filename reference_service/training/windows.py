"""Which days each version is fitted, tuned and measured on.

Rule: the windows follow one another in time and never overlap, and all versions share one hold-out, so that they can
be compared on the same flights.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np

from reference_service.training.data import YEAR

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from reference_service.training.data import Flights


@dataclass(frozen=True, slots=True)
class Window:
    """Days from `first` to `last`, both included."""

    first: date
    last: date

    def rows(self, flights: Flights) -> NDArray[np.intp]:
        """The flights of the window whose arrival is known, in the order of the data."""
        first, last = (day.timetuple().tm_yday for day in (self.first, self.last))
        chosen = (flights.day >= first) & (flights.day <= last) & ~np.isnan(flights.late)
        return np.asarray(np.flatnonzero(chosen), dtype=np.intp)

    def dates(self) -> list[str]:
        """First and last day as ISO dates."""
        return [self.first.isoformat(), self.last.isoformat()]


@dataclass(frozen=True, slots=True)
class Windows:
    """What a version fits, chooses its threshold, and is measured on."""

    fit: Window
    validate: Window
    holdout: Window


_FIRST = date(YEAR, 1, 15)  # two weeks for the trailing rates to fill
_HOLDOUT = Window(date(YEAR, 11, 1), date(YEAR, 12, 30))  # no weather after 30 December


def _fitted_through(last: date, validated_through: date) -> Windows:
    return Windows(Window(_FIRST, last), Window(last + timedelta(days=1), validated_through), _HOLDOUT)


WINDOWS: Mapping[str, Windows] = {
    "1": _fitted_through(date(YEAR, 7, 31), date(YEAR, 8, 31)),
    "2": _fitted_through(date(YEAR, 9, 30), date(YEAR, 10, 31)),
}
