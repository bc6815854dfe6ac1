"""Each fault of a zone, made by the supervisor under a small load: no request is lost, and it is mended whole.

Rule: one fleet of stand-ins for the module; every test leaves it as it found it.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.answers import fleet_text
from harness.fleet.client import FleetError
from harness.fleet.edge import EdgeAdmin
from harness.fleet.edge_process import SHARED_MEMORY
from harness.fleet.lifecycle import Fleet, start_fleet
from harness.fleet.ports import LOOPBACK
from tests.harness.fleet.fleet_support import Load, all_gone, standin_spec, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

TTD_LIMIT_S = 2.0
RETURN_LIMIT_S = 12.0
"""An ejection of 6 s, which a passed health check does not end, and some."""


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with start_fleet(standin_spec(tmp_path_factory.mktemp("fleet"), candidate="2"), lease=True) as running:
        yield running


def zone(fleet: Fleet, name: str) -> dict[str, Any]:
    found: dict[str, Any] = fleet.client.status()["zones"][name]
    return found


def at_edge(fleet: Fleet, name: str) -> dict[str, bool]:
    """Whether the edge holds each address of a zone healthy."""
    with EdgeAdmin(fleet.admin) as edge:
        return {host.address: host.healthy for host in edge.hosts() if host.zone == name}


def own(fleet: Fleet, name: str) -> dict[str, bool]:
    return {f"{LOOPBACK}:{port}": True for port in zone(fleet, name)["ports"]}


def test_an_isolated_zone_runs_on_silent_and_no_request_is_lost(fleet: Fleet) -> None:
    [address] = own(fleet, "zone-a")
    with Load(fleet) as load:
        assert fleet.client.isolate("zone-a")["sockets"] >= 2, "the listener and what the edge holds open"
        assert zone(fleet, "zone-a")["faults"] == {"isolated": True}
        assert zone(fleet, "zone-a")["state"] == "up"
        assert not fleet.reach.serves(address)
        wait_until(lambda: at_edge(fleet, "zone-a") == {address: False}, TTD_LIMIT_S, "the edge sees the silence")
        fleet.client.rejoin("zone-a")
        assert fleet.reach.serves(address)
        wait_until(lambda: at_edge(fleet, "zone-a") == {address: True}, RETURN_LIMIT_S, "the edge sends there again")
    assert load.failures() == []
    assert zone(fleet, "zone-a")["faults"] == {}


def test_a_zone_that_fails_every_call_and_passes_its_checks_is_put_out_and_returns_whole(fleet: Fleet) -> None:
    with Load(fleet) as load:
        broken = fleet.client.disturb("zone-b", share_percent=100, code="UNAVAILABLE")
        [front] = [f"{LOOPBACK}:{port}" for port in broken["ports"]]
        wait_until(lambda: at_edge(fleet, "zone-b") == {front: False}, TTD_LIMIT_S, "the edge sees the errors")
        assert fleet.reach.serves(front)
        out_s = time.monotonic()
        wait_until(lambda: len(load.since(out_s)) > 50, 10, "50 answers without zone-b")
        assert {answer.zone for answer in load.since(out_s)} == {"zone-a", "zone-c"}
        with pytest.raises(FleetError, match="zone-b is disturbed already, otherwise"):
            fleet.client.disturb("zone-b", share_percent=50, code="UNAVAILABLE")
        assert fleet.client.disturb("zone-b", share_percent=100, code="UNAVAILABLE")["pid"] == broken["pid"]
        fleet.client.undisturb("zone-b")
        wait_until(lambda: at_edge(fleet, "zone-b") == own(fleet, "zone-b"), RETURN_LIMIT_S, "zone-b is back")
        wait_until(lambda: all_gone([broken["pid"]]), 6, "the sidecar is gone")
    assert load.failures() == []
    assert zone(fleet, "zone-b")["faults"] == {}


def test_a_zone_that_holds_every_call_back_is_put_out_although_it_passes_its_checks(fleet: Fleet) -> None:
    with Load(fleet) as load:
        broken = fleet.client.disturb("zone-c", share_percent=100, delay_s=1.0)
        [front] = [f"{LOOPBACK}:{port}" for port in broken["ports"]]
        wait_until(lambda: at_edge(fleet, "zone-c") == {front: True}, 2, "the edge has found it healthy")
        wait_until(lambda: at_edge(fleet, "zone-c") == {front: False}, 3, "the edge sees the slowness")
        fleet.client.undisturb("zone-c")
        wait_until(lambda: at_edge(fleet, "zone-c") == own(fleet, "zone-c"), RETURN_LIMIT_S, "zone-c is back")
    assert load.failures() == []


def test_the_edge_is_replaced_under_load_and_no_request_is_lost(fleet: Fleet) -> None:
    with Load(fleet) as load, EdgeAdmin(fleet.admin) as reader:
        former, latter = fleet.client.restart_edge()["pids"]
        assert not all_gone([former, latter])
        with pytest.raises(FleetError, match="being restarted already"):
            fleet.client.restart_edge()
        wait_until(lambda: all_gone([former]), 10, "the former edge has left")
        assert len(reader.hosts()) == 4, "whoever reads the edge finds the new one at the old socket"
        gone_s = time.monotonic()
        wait_until(lambda: len(load.since(gone_s)) > 50, 10, "50 answers through the new edge")
    assert load.failures() == []
    assert fleet.client.status()["edge"]["pid"] == latter


def test_a_zone_started_anew_has_no_fault_of_its_former_process(fleet: Fleet) -> None:
    fleet.client.isolate("zone-b")
    for kind in ("memory_cap", "disk_full"):
        fleet.client.cap("zone-b", kind)
    assert set(zone(fleet, "zone-b")["faults"]) == {"isolated", "memory_cap", "disk_full"}
    [line] = [line for line in fleet_text(fleet.client.status()).splitlines() if line.startswith("zone-b")]
    assert line.endswith("faults: disk_full, isolated, memory_cap")
    fleet.client.kill("zone-b")
    for undo in (fleet.client.rejoin, fleet.client.undisturb):
        undo("zone-b")
    fleet.client.uncap("zone-b", "disk_full")
    fleet.client.start("zone-b")
    assert zone(fleet, "zone-b")["faults"] == {}
    wait_until(lambda: at_edge(fleet, "zone-b") == own(fleet, "zone-b"), RETURN_LIMIT_S, "zone-b is back")


def test_what_can_not_be_done_to_a_zone_is_refused_in_words(fleet: Fleet) -> None:
    with pytest.raises(FleetError, match="cannot cap 'patience': known are memory_cap and disk_full"):
        fleet.client.cap("zone-a", "patience")
    with pytest.raises(FleetError, match="only a zone can be disturbed"):
        fleet.client.disturb("candidate", share_percent=100, delay_s=1)
    with pytest.raises(FleetError, match="no zone 'zone-z'"):
        fleet.client.isolate("zone-z")
    fleet.client.freeze("zone-a")
    try:
        wait_until(lambda: zone(fleet, "zone-a")["state"] == "frozen", 2, "the kernel has stopped zone-a")
        with pytest.raises(FleetError, match="zone-a is frozen, so it would not hear that it is to leave"):
            fleet.client.drain("zone-a")
    finally:
        fleet.client.thaw("zone-a")
    fleet.client.kill("zone-a")
    for fault in (fleet.client.drain, fleet.client.isolate):
        with pytest.raises(FleetError, match="zone-a is down"):
            fault("zone-a")
    fleet.client.start("zone-a")


def test_the_end_of_the_fleet_ends_its_sidecars_and_both_edges(tmp_path: Path) -> None:
    with start_fleet(standin_spec(tmp_path), lease=True) as running:
        pids = [running.client.disturb("zone-a", share_percent=1, delay_s=0.1)["pid"]]
        pids += running.client.restart_edge()["pids"]
        shared = Path(SHARED_MEMORY.format(base_id=running.client.status()["supervisor"]["pid"]))
        assert shared.exists()
    wait_until(lambda: all_gone(pids), 5, "sidecar and both edges are gone")
    assert not shared.exists()
    assert not os.path.lexists(running.admin)
