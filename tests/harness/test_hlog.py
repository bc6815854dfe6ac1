"""The log holds every good answer once, to HdrHistogram's precision, and accounts for every other row."""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader

from harness.hlog import SIGNIFICANT_FIGURES, hlog
from harness.model import Status
from harness.slices import Requests, requests
from tests.builders import AS_OF, SECOND_NS, every, healthy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.builders import World

PRECISION = 10.0**-SIGNIFICANT_FIGURES


def text_of(world: World) -> str:
    return hlog(requests(world.evidence["ledger"]), "the-run", "model@1", AS_OF)


def read(text: str, path: Path) -> Iterator[HdrHistogram]:
    """What HdrHistogram's own reader finds in the log."""
    path.write_text(text, encoding="ascii")
    reader = HistogramLogReader(str(path), HdrHistogram(1, 3_600_000_000, SIGNIFICANT_FIGURES))
    while (histogram := reader.get_next_interval_histogram()) is not None:
        yield histogram
    reader.close()


def by_second(world: World) -> dict[tuple[str, int], Any]:
    """Response times in microseconds of the good answers by tag and second, straight from the table."""
    table = world.evidence["ledger"].tables["requests"]
    good = table[(table["status"] == 0) & table["done_ns"].notna()]
    groups = good.groupby([good["scenario"] + "/" + good["phase"], good["intended_ns"] // SECOND_NS])
    return {key: np.sort((part["done_ns"] - part["intended_ns"]).to_numpy() / 1000) for key, part in groups}


def test_reading_it_back_gives_each_second_of_each_phase(tmp_path: Path) -> None:
    truth, start_s = by_second(healthy()), dt.datetime.fromisoformat(AS_OF).timestamp()
    for histogram in read(text_of(healthy()), tmp_path / "log"):
        second = histogram.get_start_time_stamp() / 1000 - start_s
        assert histogram.get_end_time_stamp() - histogram.get_start_time_stamp() == 1000
        times_us = truth.pop((histogram.get_tag(), second))
        assert histogram.get_total_count() == len(times_us)
        for percentile in (50, 99):
            place = max(int(percentile / 100 * len(times_us) + 0.5), 1) - 1  # HdrHistogram's rank of a percentile
            expected = pytest.approx(times_us[place], rel=PRECISION, abs=0.5)
            assert histogram.get_value_at_percentile(percentile) == expected
        assert histogram.get_max_value() == pytest.approx(times_us[-1], rel=PRECISION, abs=0.5)
        assert histogram.get_min_value() == pytest.approx(times_us[0], rel=PRECISION, abs=0.5)
    assert not truth


def test_every_row_that_is_in_no_histogram_is_accounted_for(tmp_path: Path) -> None:
    world = healthy()
    for status, n in ((14, 50), (Status.OPEN_AT_CUTOFF, 70), (Status.CAP_FULL, 110), (Status.GENERATOR_LATE, 130)):
        world = world.with_rows(lambda rows, n=n: every(rows, n, "sustained", "hold"), status=status)
    table = world.evidence["ledger"].tables["requests"]
    statuses = Counter(table.loc[(table["scenario"] == "sustained") & (table["phase"] == "hold"), "status"])
    text = text_of(world)
    line = next(line for line in text.splitlines() if line.startswith("#sustained/hold: "))
    numbers = [int(number) for number in re.findall(r"\d+", line)]
    assert numbers == [sum(statuses.values()), *(statuses[status] for status in (0, 14, -1, -2, -3))]
    assert min(numbers) > 0
    held = sum(item.get_total_count() for item in read(text, tmp_path / "log") if item.get_tag() == "sustained/hold")
    assert held == statuses[0]


def a_ledger(response_ns: list[float], **columns: list[Any]) -> Requests:
    n = len(response_ns)
    text = {"scenario": ["s"] * n, "phase": ["p"] * n} | columns
    intended = np.arange(n) * 1000.0 + columns.get("start_ns", [0])[0]
    return Requests(
        request_id=np.arange(n, dtype=np.uint64),
        scenario=pd.Categorical(text["scenario"]),
        phase=pd.Categorical(text["phase"]),
        intended_ns=intended,
        sent_ns=intended,
        done_ns=intended + np.array(response_ns),
        status=np.array(text.get("status", [0] * n), np.int64),
        zone=pd.Categorical([""] * n),
        model_version=pd.Categorical([""] * n),
    )


def test_no_answer_is_too_fast_or_too_slow_to_be_held(tmp_path: Path) -> None:
    week_ns = 7 * 86_400 * 1e9
    (histogram,) = read(hlog(a_ledger([0, 499, 1e6, week_ns]), "r", "s", AS_OF), tmp_path / "log")
    assert histogram.get_total_count() == 4
    assert histogram.get_max_value() == pytest.approx(week_ns / 1000, rel=PRECISION)
    assert histogram.get_count_at_value(0) == 2


def test_histograms_of_different_seconds_can_be_added(tmp_path: Path) -> None:
    ledger = a_ledger([5e5, 9e9], phase=["short", "long"])
    short, long = sorted(read(hlog(ledger, "r", "s", AS_OF), tmp_path / "log"), key=HdrHistogram.get_max_value)
    short.add(long)
    assert (short.get_total_count(), short.get_min_value()) == (2, 500)


def test_names_cannot_break_the_format(tmp_path: Path) -> None:
    ledger = a_ledger([1e6, 1e6, 1e6], scenario=["a b,c\n", "x", "x/y"], phase=["d", "y/z", "z"])
    text = hlog(ledger, "r\n1,2,3,x", "é\n", AS_OF)
    tags = [item.get_tag() for item in read(text, tmp_path / "log")]
    assert sorted(tags) == ["a%20b%2Cc%0A/d", "x%2Fy/z", "x/y%2Fz"]
    assert sum(line.startswith(("#", '"', "Tag=")) for line in text.splitlines()) == len(text.splitlines())


def test_without_a_good_answer_only_the_account_is_left(tmp_path: Path) -> None:
    text = hlog(a_ledger([1e6, 1e6], status=[14, -3]), "r", "s", AS_OF)
    assert not list(read(text, tmp_path / "log"))
    assert "#s/p: 2 scheduled = 0 good answers + 1 failed + 0 open at cut-off + 0 not sent, too many open" in text


def test_a_request_due_before_the_run_is_refused_not_dropped() -> None:
    with pytest.raises(ValueError, match="due before the run began"):
        hlog(a_ledger([1e6], start_ns=[-1]), "r", "s", AS_OF)
