"""Recovery and switches on requests written out by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from harness.recovery import lost, switch_s, ttr_s, zone_share
from harness.slices import SECOND_NS, Requests
from tests.builders import a_plan

PLAN = a_plan()
RATE = 400


def stream(seconds: float = 12.0) -> Requests:
    """A request every 2.5 ms, each answered by version 1 in zone-a after 5 ms."""
    due = np.arange(0, seconds * SECOND_NS, SECOND_NS / RATE)
    names = {"scenario": "zone_crash", "phase": "load", "zone": "zone-a", "model_version": "1"}
    return Requests(
        request_id=np.arange(len(due), dtype=np.uint64),
        intended_ns=due,
        sent_ns=due,
        done_ns=due + 5e6,
        status=np.zeros(len(due), dtype=np.int64),
        **{name: pd.Categorical([text], [text, "2"]).repeat(len(due)) for name, text in names.items()},
    )


def at(seconds: float) -> int:
    return round(seconds * RATE)


def test_one_failure_breaks_the_availability_of_its_windows() -> None:
    rows = stream()
    assert ttr_s(rows, 0.0, 0.0, PLAN) == 0
    rows.status[at(2)] = 14  # one of 400 is within the latency budget, and beyond 99.9 % availability
    assert ttr_s(rows, 0.0, 0.0, PLAN) == pytest.approx(2.1)


def test_slow_answers_break_a_window_only_beyond_one_in_a_hundred() -> None:
    rows = stream()
    rows.done_ns[at(2) : at(2) + 4] += 100e6
    assert ttr_s(rows, 0.0, 0.0, PLAN) == 0
    rows.done_ns[at(2) : at(2) + 5] += 100e6
    assert ttr_s(rows, 0.0, 0.0, PLAN) == pytest.approx(2.1)


def test_a_second_without_requests_is_no_recovery() -> None:
    rows = stream()
    gap = (rows.intended_ns < 3 * SECOND_NS) | (rows.intended_ns > 4.5 * SECOND_NS)
    assert ttr_s(rows.where(gap), 0.0, 0.0, PLAN) == pytest.approx(3.6, abs=0.11)


def test_load_that_ends_too_soon_shows_no_recovery() -> None:
    assert ttr_s(stream(4.5), 0.0, 0.0, PLAN) is None
    assert ttr_s(stream(0), 0.0, 0.0, PLAN) is None


def test_a_fault_that_bites_late_is_not_recovered_from_before_it_was_there() -> None:
    rows = stream()
    rows.status[at(6)] = 14
    in_place = 5.9 * SECOND_NS
    assert ttr_s(rows, 0.0, 0.0, PLAN) == 0
    assert ttr_s(rows, 0.0, in_place, PLAN) == pytest.approx(6.1)
    rows.status[at(6)] = 0
    assert ttr_s(rows, 0.0, in_place, PLAN) == 0


def test_load_that_ends_within_five_seconds_of_the_fault_shows_no_recovery() -> None:
    assert ttr_s(stream(12.0), 0.0, 6.9 * SECOND_NS, PLAN) == 0
    assert ttr_s(stream(12.0), 0.0, 7.1 * SECOND_NS, PLAN) is None


def test_lost_tells_certain_from_possible() -> None:
    rows = stream()
    rows.status[:8] = [1, 2, 4, -1, 14, 13, -2, -3]
    found = lost(rows)
    assert (found.definite, found.indeterminate, found.n) == (3, 4, len(rows) - 1)


def test_an_old_request_without_an_answer_counts_until_its_deadline() -> None:
    rows = stream()
    rows.model_version[at(3) :] = "2"
    assert switch_s(rows, 3.0 * SECOND_NS, np.inf, "2", 2.0) == pytest.approx(0.005, abs=0.003)
    rows.status[at(4)], rows.done_ns[at(4)] = -1, np.nan
    assert switch_s(rows, 3.0 * SECOND_NS, np.inf, "2", 2.0) == pytest.approx(3.0, abs=0.01)


def test_a_zones_share_is_of_all_requests_due() -> None:
    rows = stream()
    rows.status[: len(rows) // 2] = 14
    assert zone_share(rows, "zone-a") == pytest.approx(0.5)
    assert zone_share(rows, "zone-b") == 0
    assert zone_share(rows.where(np.zeros(len(rows), dtype=bool)), "zone-a") is None
