"""The installed files are read without importing the package, and mean what the code takes them to mean."""

from __future__ import annotations

import sys
from importlib import util

import numpy as np
import pytest

from reference_service.training import data
from reference_service.training.data import PACKAGE, Data, DataError, read
from reference_service.training.windows import WINDOWS


@pytest.fixture(scope="module")
def real() -> Data:
    return read()


def test_every_flight_is_read_without_importing_the_package(real: Data) -> None:
    assert len(real.flights) == 336_776
    assert int((~np.isnan(real.flights.late)).sum()) == 327_346
    assert PACKAGE not in sys.modules


def test_the_first_flight_is_the_one_in_the_file(real: Data) -> None:
    flights = real.flights
    # UA 1545 EWR-IAH, 5:15 in New York to 8:19 in Houston, an hour behind: 244 minutes; 11 minutes late, so not late.
    first = (flights.carrier[0], flights.number[0], flights.origin[0], flights.destination[0])
    assert first == ("UA", 1545, "EWR", "IAH")
    assert (flights.day[0], flights.hour[0], flights.minute[0]) == (1, 5, 15)
    assert flights.block_minutes[0] == 244
    assert flights.late[0] == 0
    assert flights.utc_hour[0] % 24 == 10


def test_no_outcome_is_open_when_the_next_day_begins(real: Data) -> None:
    flights = real.flights
    arrived = ~np.isnan(flights.late)
    settled = flights.hour * 60 + flights.minute + flights.block_minutes + data.LATE_MINUTES
    assert settled[arrived].max() < (24 + flights.hour[arrived].min()) * 60


@pytest.mark.parametrize("version", WINDOWS)
def test_windows_follow_one_another_and_hold_out_enough(real: Data, version: str) -> None:
    windows = WINDOWS[version]
    assert windows.fit.last < windows.validate.first <= windows.validate.last < windows.holdout.first
    assert len(windows.holdout.rows(real.flights)) >= 20_000


def test_a_missing_package_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(util, "find_spec", lambda _name: None)
    with pytest.raises(DataError, match=r"pip install 'gonogo\[train\]'"):
        read()
