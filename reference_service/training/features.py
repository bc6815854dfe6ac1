"""The feature matrix: what is known of a flight at its scheduled departure, as named float32 columns.

Rule: a feature uses the published schedule, the weather of an earlier hour and outcomes of earlier days, and nothing
else; no value depends on which window a version trains on, so versions can be compared row by row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from reference_service.training.trailing import PRIOR_SHARE, trailing_rates
from reference_service.training.weather import weather_columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from reference_service.training.data import Data, Flights

CARRIERS = ("9E", "AA", "AS", "B6", "DL", "EV", "F9", "FL", "HA", "MQ", "OO", "UA", "US", "VX", "WN", "YV")
ORIGINS = ("EWR", "JFK", "LGA")
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
FIRST_WEEKDAY = 1
"""1 January 2013 was a Tuesday."""

HALF_LIVES_DAYS = (1, 5, 21)
GROUPINGS: tuple[tuple[str, tuple[str, ...], float], ...] = (
    ("origin", ("origin",), 50),
    ("carrier", ("carrier",), 50),
    ("destination", ("destination",), 30),
    ("origin_hour", ("origin", "hour"), 30),
    ("origin_carrier", ("origin", "carrier"), 30),
    ("route", ("carrier", "destination", "origin"), 20),
    ("flight_number", ("carrier", "number"), 5),
)
"""Name, fields, and the weight of the overall rate in flights: the rarer the group, the sooner its own rate counts."""


@dataclass(frozen=True, slots=True)
class Features:
    """`matrix` f32[flights, columns]; `names` are the columns'."""

    matrix: NDArray[np.float32]
    names: tuple[str, ...]


def build(data: Data) -> Features:
    """The features of every flight in the data, in its order."""
    flights = data.flights
    columns = {
        **_schedule(flights),
        **_indicators("carrier", flights.carrier, CARRIERS),
        **_indicators("origin", flights.origin, ORIGINS),
        **_history(flights),
        **weather_columns(flights, data.weather),
    }
    matrix = np.stack([np.asarray(values, dtype=np.float32) for values in columns.values()], axis=1)
    if not np.isfinite(matrix).all():
        unfit = [name for name, values in columns.items() if not np.isfinite(values).all()]
        raise ValueError(f"features that are not finite for some flights: {', '.join(unfit)}")
    return Features(matrix, tuple(columns))


def _schedule(flights: Flights) -> dict[str, NDArray[np.float64]]:
    time_h = flights.hour + flights.minute / 60
    turn = 2 * np.pi * time_h / 24
    weekday = np.array(WEEKDAYS)[(flights.day - 1 + FIRST_WEEKDAY) % 7]
    return {
        "departure_h": time_h,
        "departure_sin": np.sin(turn),
        "departure_cos": np.cos(turn),
        "departure_sin_2": np.sin(2 * turn),
        "departure_cos_2": np.cos(2 * turn),
        **_indicators("weekday", weekday, WEEKDAYS),
        "distance_miles": flights.distance_miles,
        "distance_log": np.log(flights.distance_miles),
        "block_minutes": flights.block_minutes,
        "departures_in_hour": _sizes(_codes(flights.origin, flights.utc_hour)),
        "departures_in_day": _sizes(_codes(flights.origin, flights.day)),
    }


def _indicators(prefix: str, values: NDArray[np.str_], known: Sequence[str]) -> dict[str, NDArray[np.float64]]:
    return {f"{prefix}_{name}": (values == name).astype(np.float64) for name in known}


def _history(flights: Flights) -> dict[str, NDArray[np.float64]]:
    everything = np.zeros(len(flights), dtype=np.int64)
    columns = {}
    for half_life in HALF_LIVES_DAYS:
        overall = _rates(flights, everything, half_life, prior=PRIOR_SHARE, prior_flights=50)
        columns[f"late_share_{half_life}d"] = overall
        for name, fields, prior_flights in GROUPINGS:
            group = _codes(*(getattr(flights, field) for field in fields))
            rates = _rates(flights, group, half_life, prior=overall, prior_flights=prior_flights)
            columns[f"late_share_{half_life}d_{name}"] = rates
    return columns


def _rates(
    flights: Flights,
    group: NDArray[np.int64],
    half_life: float,
    *,
    prior: NDArray[np.float64] | float,
    prior_flights: float,
) -> NDArray[np.float64]:
    return trailing_rates(
        group, flights.day, flights.late, half_life_days=half_life, prior=prior, prior_flights=prior_flights
    )


def _codes(*fields: NDArray[np.str_] | NDArray[np.int64]) -> NDArray[np.int64]:
    """A small number per combination of the fields' values."""
    combined = np.zeros(len(fields[0]), dtype=np.int64)
    for field in fields:
        values, codes = np.unique(field, return_inverse=True)
        combined = combined * len(values) + codes
    return np.asarray(np.unique(combined, return_inverse=True)[1], dtype=np.int64)


def _sizes(group: NDArray[np.int64]) -> NDArray[np.float64]:
    """How many flights share each flight's group."""
    return np.bincount(group)[group].astype(np.float64)
