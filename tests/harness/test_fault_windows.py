"""Each fault is found within its own experiment, and one that can't be told from another's is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from harness.fault_windows import Fault, fault_of, fault_windows, outside
from harness.slices import events
from tests.builders import FAULT_S, FAULT_ZONE, FAULTS, World, healthy, ns

if TYPE_CHECKING:
    from collections.abc import Callable


def edited(change: Callable[[pd.DataFrame], pd.DataFrame]) -> World:
    return healthy().with_table("timeline", "events", change)


def table(world: World) -> pd.DataFrame:
    return events(world.evidence["timeline"])


def without(event: str, scenario: str) -> World:
    """The timeline without that event of one experiment."""
    span = (ns(scenario, 0), ns(scenario, 18))
    return edited(lambda rows: rows[~((rows["event"] == event) & rows["t_ns"].between(*span))])


def test_fault_windows_end_five_seconds_after_the_proven_removal() -> None:
    windows = fault_windows(table(healthy()))
    assert windows == [(ns(name, FAULT_S[0]), ns(name, FAULT_S[1] + 5)) for name in FAULTS]
    stamps = np.array([windows[0][0] - 1, windows[0][0], windows[0][1], windows[0][1] + 1])
    assert list(outside(stamps, windows)) == [True, False, False, True]


@pytest.mark.parametrize("gone", ["fault_requested", "fault_removed"])
def test_a_fault_with_one_end_is_refused(gone: str) -> None:
    with pytest.raises(ValueError, match="one request and one proven removal"):
        fault_windows(table(without(gone, "zone_crash")))


def test_a_removal_proven_twice_ends_the_window_at_the_first_proof() -> None:
    def again(rows: pd.DataFrame) -> pd.DataFrame:
        return pd.concat([rows, rows[rows["event"] == "fault_removed"].assign(t_ns=ns("zone_crash", 15))])

    assert fault_windows(table(edited(again))) == fault_windows(table(healthy()))


def test_a_fault_requested_twice_and_removed_once_is_refused() -> None:
    def again(rows: pd.DataFrame) -> pd.DataFrame:
        return pd.concat([rows, rows[rows["event"] == "fault_requested"].assign(t_ns=ns("zone_crash", 4))])

    with pytest.raises(ValueError, match="one request and one proven removal"):
        fault_windows(table(edited(again)))


@pytest.mark.parametrize("scenario", FAULTS)
@pytest.mark.parametrize(
    ("gone", "reason"),
    [
        ("fault_requested", "fault not requested"),
        ("fault_in_place", "fault not in place"),
        ("fault_removed", "fault not removed"),
        ("experiment_started", "skipped"),
        ("experiment_ended", "interrupted"),
    ],
)
def test_each_thing_missing_of_a_fault_has_its_own_reason_whatever_other_experiments_did(
    scenario: str, gone: str, reason: str
) -> None:
    found = fault_of(table(without(gone, scenario)), scenario, [FAULT_ZONE])
    assert isinstance(found, str)
    assert found.startswith(reason)
    (other,) = set(FAULTS) - {scenario}
    assert fault_of(table(without(gone, scenario)), other, [FAULT_ZONE]) == fault_of(
        table(healthy()), other, [FAULT_ZONE]
    )


def broken_too(subject: str, later_s: float) -> World:
    """In zone_freeze another subject is broken too, that much later."""

    def more(rows: pd.DataFrame) -> pd.DataFrame:
        mine = rows["t_ns"].between(ns("zone_freeze", 1), ns("zone_freeze", 16))
        extra = rows[mine].assign(subject=subject)
        return pd.concat([rows, extra.assign(t_ns=extra["t_ns"] + round(later_s * 1e9))])

    return edited(more)


def test_the_fault_of_several_is_in_place_with_the_last_and_gone_with_the_last() -> None:
    found = fault_of(table(broken_too("zone-c", 0.5)), "zone_freeze", [FAULT_ZONE, "zone-c"])
    instants = (ns("zone_freeze", FAULT_S[0]), ns("zone_freeze", FAULT_S[0] + 0.6), ns("zone_freeze", FAULT_S[1] + 0.5))
    assert found == Fault(*instants)
    one_missing = fault_of(table(healthy()), "zone_freeze", [FAULT_ZONE, "zone-c"])
    assert one_missing == "fault not requested: nothing on the timeline says when that of zone-c began"


def test_a_fault_that_the_file_does_not_name_is_told() -> None:
    found = fault_of(table(broken_too("edge", 0.5)), "zone_freeze", [FAULT_ZONE])
    assert found == "a fault of edge was made that the file does not name"


@pytest.mark.parametrize("scenario", FAULTS)
def test_the_load_of_an_experiment_whose_fault_is_not_on_the_timeline_spares_nothing(scenario: str) -> None:
    def silent(rows: pd.DataFrame) -> pd.DataFrame:
        mine = rows["t_ns"].between(ns(scenario, 0), ns(scenario, 18))
        return rows[~(mine & rows["event"].isin(["fault_requested", "fault_removed"]))]

    for gate in ("availability", "first_attempts"):
        result = edited(silent).result(gate)
        assert f"the load of {scenario} is in the ledger but no fault is on the timeline" in result.reason, gate
