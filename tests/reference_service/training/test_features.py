"""Features know what is known at scheduled departure, and nothing of the future."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from reference_service.training.features import WEEKDAYS, build

if TYPE_CHECKING:
    from reference_service.training.data import Data


def test_columns_are_named_float32_and_finite(invented: Data) -> None:
    features = build(invented)
    assert features.matrix.dtype == np.float32
    assert features.matrix.shape == (len(invented.flights), len(features.names))
    assert len(set(features.names)) == len(features.names)
    assert np.isfinite(features.matrix).all()


@pytest.mark.parametrize("day", [20, 200])
def test_shuffling_the_outcomes_of_a_day_changes_only_later_days(invented: Data, day: int) -> None:
    flights = invented.flights
    late = flights.late.copy()
    late[flights.day == day] = 1.0  # every flight of the day late: more than any shuffle could do
    before = build(invented).matrix
    after = build(replace(invented, flights=replace(flights, late=late))).matrix
    assert (after[flights.day <= day] == before[flights.day <= day]).all()
    assert (after[flights.day == day + 1] != before[flights.day == day + 1]).any()


def test_weather_of_the_departure_hour_or_later_changes_nothing(invented: Data) -> None:
    flights, row = invented.flights, 5000
    weather = invented.weather.copy()
    numbers = weather.columns.difference(["origin", "utc_hour"])
    weather.loc[weather["utc_hour"] >= flights.utc_hour[row], numbers] = 99.0
    earlier = flights.utc_hour <= flights.utc_hour[row]
    before, after = (build(data).matrix[earlier] for data in (invented, replace(invented, weather=weather)))
    assert (before == after).all()


def test_weather_of_the_hour_before_is_used(invented: Data) -> None:
    flights, row = invented.flights, 5000
    weather = invented.weather.copy()
    here = (weather["utc_hour"] == flights.utc_hour[row] - 1) & (weather["origin"] == flights.origin[row])
    weather.loc[here, "temp"] = 99.0
    features = build(replace(invented, weather=weather))
    assert features.matrix[row, features.names.index("temperature_f")] == 99.0


def test_the_first_of_january_2013_was_a_tuesday(invented: Data) -> None:
    features = build(invented)
    columns = [features.names.index(f"weekday_{name}") for name in WEEKDAYS]
    assert features.matrix[0, columns].tolist() == [0, 1, 0, 0, 0, 0, 0]
    assert (features.matrix[:, columns].sum(axis=1) == 1).all()


def test_a_value_that_is_not_finite_is_refused_by_name(invented: Data) -> None:
    broken = replace(invented.flights, block_minutes=np.full(len(invented.flights), np.nan))
    with pytest.raises(ValueError, match="block_minutes"):
        build(replace(invented, flights=broken))
