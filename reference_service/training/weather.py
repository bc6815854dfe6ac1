"""The weather at the origin as known at scheduled departure: the observation of the hour before.

Rule: an hour's observation is made near that hour's end, so a flight scheduled at ten past could not have known it;
each flight gets the last observation of an earlier hour, and trends that end there. Gaps keep the last known value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from reference_service.training.data import Flights

HOURS_BEHIND = 1

_TYPICAL = {"pressure_hpa": 1013.25, "pressure_change_3h_hpa": 0.0}
"""Stand-ins for the hours of 1 January before the first observation; no version trains on that day."""


def weather_columns(flights: Flights, weather: pd.DataFrame) -> dict[str, NDArray[np.float64]]:
    """One array per weather feature, one value per flight."""
    series = {str(origin): _hourly(table) for origin, table in weather.groupby("origin")}
    names = list(next(iter(series.values())).columns)
    values = np.empty((len(flights), len(names)))
    for origin, hourly in series.items():
        here = flights.origin == origin
        position = flights.utc_hour[here] - HOURS_BEHIND - int(hourly.index[0])
        values[here] = hourly.to_numpy(float)[np.clip(position, 0, len(hourly) - 1)]
    return {name: values[:, column] for column, name in enumerate(names)}


def _hourly(table: pd.DataFrame) -> pd.DataFrame:
    """A row for every hour from the first observation to the last, none missing."""
    observed = table.set_index("utc_hour").sort_index()
    every = observed.reindex(range(int(observed.index[0]), int(observed.index[-1]) + 1))
    return _derived(every).fillna(_TYPICAL)


def _derived(raw: pd.DataFrame) -> pd.DataFrame:
    speed = raw["wind_speed"].ffill()
    towards = np.deg2rad(raw["wind_dir"])
    rain, pressure, visibility = raw["precip"].ffill(), raw["pressure"].ffill(), raw["visib"].ffill()
    return pd.DataFrame(
        {
            "temperature_f": raw["temp"].ffill(),
            "dew_point_f": raw["dewp"].ffill(),
            "humidity_percent": raw["humid"].ffill(),
            "wind_mph": speed,
            "gust_mph": raw["wind_gust"].fillna(speed),  # none is reported where the wind is steady
            "wind_east_mph": (np.sin(towards) * speed).fillna(0.0),  # no direction: calm or variable
            "wind_north_mph": (np.cos(towards) * speed).fillna(0.0),
            "rain_log": _log(rain),
            "rain_3h_log": _log(rain.rolling(3, min_periods=1).sum()),
            "rain_6h_log": _log(rain.rolling(6, min_periods=1).sum()),
            "pressure_hpa": pressure,
            "pressure_change_3h_hpa": pressure - pressure.shift(3),
            "visibility_miles": visibility,
            "visibility_3h_min_miles": visibility.rolling(3, min_periods=1).min(),
        }
    )


def _log(inches: Any) -> Any:
    """Rain spans three orders of magnitude: ln(1 + 20 inches) tells drizzle from dry and a downpour from rain."""
    return np.log1p(20.0 * inches)
