"""A reading says no where there is no fault, and an undo where there is nothing to undo does nothing.

Rule: one fleet of stand-ins for the module, whole all the time.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from chaoslib.exceptions import ActivityFailed

from experiments import faults
from experiments.actions import calls as call_actions
from experiments.actions import edge as edge_actions
from experiments.actions import network, nothing, resources, zones
from experiments.fleet import client
from experiments.probes import calls, edge_process
from experiments.probes import network as network_readings
from experiments.probes import resources as resource_readings
from experiments.probes import zones as zone_readings
from harness.fault_journal import FAULTS_VARIABLE, FaultJournal
from harness.fleet.commands import SOCKET_VARIABLE
from harness.fleet.lifecycle import start_fleet
from tests.harness.fleet.fleet_support import standin_spec, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ZONE = "zone-b"


@pytest.fixture(scope="module")
def fleet() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="gonogo-test-") as short:
        spec = standin_spec(Path(short) / "fleet", control=Path(short) / "fleet" / "fleet.sock")
        with start_fleet(spec, lease=True) as running:
            yield running.client.socket_path


@pytest.fixture(autouse=True)
def journal(fleet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FaultJournal:
    monkeypatch.setenv(SOCKET_VARIABLE, str(fleet))
    monkeypatch.setenv(FAULTS_VARIABLE, str(tmp_path / "faults"))
    return FaultJournal(tmp_path / "faults")


@pytest.mark.parametrize(
    ("reading", "says"),
    [
        (lambda: zone_readings.zone_is_dead(ZONE, "zone_crash", 0.1), "processes of zone-b still run"),
        (lambda: zone_readings.zone_is_frozen(ZONE, "zone_freeze", 0.1), "processes of zone-b still run"),
        (lambda: network_readings.zone_is_silent(ZONE, "zone_black_hole", 0.1), "zone-b still answers connections"),
        (lambda: calls.calls_are_disturbed(ZONE, "zone_errors"), "no sidecar stands before zone-b"),
        (lambda: resource_readings.limit_is_low(ZONE, "memory_cap"), "Max data size of zone-b"),
        (lambda: edge_process.two_edges_run("edge_restart", 0.1), "no second edge runs"),
    ],
)
def test_a_fault_that_was_not_made_is_not_proven(reading: Callable[[], Any], says: str) -> None:
    with pytest.raises(ActivityFailed, match=says):
        reading()


def test_no_stop_is_taken_for_a_black_hole() -> None:
    client().freeze(ZONE)
    try:
        with pytest.raises(ActivityFailed, match="zone-b is dead or stopped, which is no black hole"):
            network_readings.zone_is_silent(ZONE, "zone_black_hole", 0.1)
    finally:
        client().thaw(ZONE)


UNDOS: dict[str, Callable[[], dict[str, Any]]] = {
    "zone_crash": lambda: zones.restore_zone(ZONE),
    "zone_freeze": lambda: zones.restore_thawed_zone(ZONE),
    "zone_black_hole": lambda: network.restore_network(ZONE),
    "zone_latency": lambda: call_actions.restore_calls(ZONE, "zone_latency"),
    "memory_cap": lambda: resources.restore_limits(ZONE, "memory_cap"),
    "edge_restart": edge_actions.settle_edge,
    "nothing": nothing.undo_nothing,
}
SUBJECTS = {"edge_restart": "edge", "nothing": "nothing"}


@pytest.mark.parametrize("fault", UNDOS)
def test_an_undo_without_a_fault_changes_nothing_and_closes_what_was_only_requested(
    fault: str, journal: FaultJournal
) -> None:
    before = client().status()
    UNDOS[fault]()
    faults.request(fault, SUBJECTS.get(fault, ZONE), undo=zones.restore_zone)
    assert len(journal.pending()) == 1
    for _ in range(2):
        UNDOS[fault]()
    assert journal.pending() == []
    after = client().status()
    assert (after["zones"], after["edge"]["pid"]) == (before["zones"], before["edge"]["pid"])


@pytest.mark.parametrize("share_percent", [pytest.param(10, marks=pytest.mark.long), 100])
def test_disturbed_calls_are_proven_by_about_their_share_and_proven_gone(
    share_percent: int, journal: FaultJournal
) -> None:
    call_actions.fail_calls(ZONE, share_percent, "RESOURCE_EXHAUSTED")
    try:
        seen = calls.calls_are_disturbed(ZONE, "zone_errors")
        assert seen["disturbed"] == share_percent if share_percent == 100 else 0 < seen["disturbed"] < 25
        assert journal.pending()
    finally:
        call_actions.restore_calls(ZONE, "zone_errors")
    assert journal.pending() == []


def test_what_is_capped_is_read_from_the_kernel_and_a_zone_that_died_of_it_is_started_anew(
    journal: FaultJournal,
) -> None:
    resources.cap_zone(ZONE, "memory_cap")
    [limit] = resource_readings.limit_is_low(ZONE, "memory_cap")["limits"].values()
    assert int(limit) > 0
    client().kill(ZONE)
    assert resources.uncap_zone(ZONE, "memory_cap")["revived"]
    wait_until(lambda: zone_readings.serves_within(ZONE, 1.0), 10, "zone-b serves again")
    resources.restore_limits(ZONE, "memory_cap")
    assert journal.pending() == []
