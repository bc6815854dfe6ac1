"""Flights and weather of an invented year, small enough to train on in a blink."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from reference_service.training.data import Data, Flights

DAYS = 364
FLIGHTS_PER_DAY = 40


@pytest.fixture(scope="session")
def invented() -> Data:
    """A year of flights from two airports, later late in the day; every 25th without a known arrival."""
    random = np.random.default_rng(0)
    n = DAYS * FLIGHTS_PER_DAY
    day = np.repeat(np.arange(1, DAYS + 1), FLIGHTS_PER_DAY)
    hour = random.integers(5, 23, n)
    origin = random.choice(["EWR", "JFK"], n)
    late = (random.random(n) < 0.1 + 0.02 * (hour - 5)).astype(float)
    late[::25] = np.nan
    flights = Flights(
        day=day,
        hour=hour,
        minute=random.integers(0, 60, n),
        utc_hour=(day - 1) * 24 + hour,
        carrier=random.choice(["AA", "UA", "DL"], n),
        number=random.integers(1, 50, n),
        origin=origin,
        destination=random.choice(["LAX", "ORD", "MIA"], n),
        distance_miles=random.choice([740.0, 1090.0, 2475.0], n),
        block_minutes=random.integers(120, 390, n).astype(float),
        late=late,
    )
    return Data(flights=flights, weather=_weather(random), source="invented", digest="0" * 64)


def _weather(random: np.random.Generator) -> pd.DataFrame:
    hours = DAYS * 24
    tables = [
        pd.DataFrame(
            {
                "origin": origin,
                "utc_hour": np.arange(hours),
                "temp": random.normal(50, 15, hours),
                "dewp": random.normal(40, 15, hours),
                "humid": random.uniform(30, 100, hours),
                "wind_dir": random.choice([10.0, 200.0, np.nan], hours),
                "wind_speed": random.uniform(0, 25, hours),
                "wind_gust": random.choice([30.0, np.nan], hours),
                "precip": random.choice([0.0, 0.1], hours),
                "pressure": random.choice([1000.0, 1020.0, np.nan], hours),
                "visib": random.choice([1.0, 10.0], hours),
            }
        )
        for origin in ("EWR", "JFK")
    ]
    return pd.concat(tables, ignore_index=True)
