"""Three zones of the reference service and a candidate, under a small load: faults lose nothing, routes lead right.

Rule: one fleet for the module; every test leaves it as it found it.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.fleet.client import FleetError
from harness.fleet.edge import EdgeAdmin
from harness.fleet.lifecycle import Fleet, start_fleet
from harness.fleet.spec import SERVICE_COMMAND, FleetSpec
from reference_service.protocol.messages import infer_request
from tests.harness.fleet.fleet_support import Load, all_gone, wait_until
from tests.reference_service.running import recorded
from tests.reference_service.tiny_registry import MODEL, tiny_rows, write_tiny_version

if TYPE_CHECKING:
    from collections.abc import Iterator

REQUEST = infer_request(MODEL, "features", tiny_rows(1)).SerializeToString()
TTD_LIMIT_S = 2.0
RETURN_LIMIT_S = 10.0
ROUTE_LIMIT_S = 2.0


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    registry = tmp_path_factory.mktemp("registry")
    for version in ("1", "2"):
        write_tiny_version(registry, version)
    spec = FleetSpec(
        zones=("zone-a", "zone-b", "zone-c"),
        registry=registry,
        model=MODEL,
        version="1",
        candidate="2",
        directory=tmp_path_factory.mktemp("fleet"),
        service_command=(*SERVICE_COMMAND, "--allow-unsigned"),
    )
    with start_fleet(spec, lease=True) as running:
        yield running


@pytest.fixture
def edge(fleet: Fleet) -> Iterator[EdgeAdmin]:
    with EdgeAdmin(fleet.admin) as reader:
        yield reader


def healthy(edge: EdgeAdmin, zone: str) -> bool:
    return all(host.healthy for host in edge.hosts() if host.zone == zone)


def prediction_ids(fleet: Fleet, group: str) -> set[str]:
    status = fleet.client.status()
    logs = {**status["zones"], "candidate": status["candidate"]}[group]["prediction_logs"]
    return {prediction["request_id"] for log in logs for prediction in recorded(Path(log))}


def test_a_killed_zone_loses_no_request_stays_down_and_returns(fleet: Fleet, edge: EdgeAdmin) -> None:
    with Load(fleet, REQUEST) as load:
        pids = fleet.client.kill("zone-a")["pids"]
        assert pids
        assert all_gone(pids)
        wait_until(lambda: not healthy(edge, "zone-a"), TTD_LIMIT_S, "the edge sees that zone-a is dead")
        out_s = time.monotonic()
        wait_until(lambda: len(load.since(out_s)) > 50, 10, "50 answers without zone-a")
        assert {answer.zone for answer in load.since(out_s)} == {"zone-b", "zone-c"}
        assert fleet.client.status()["zones"]["zone-a"]["state"] == "down"
        fleet.client.start("zone-a")
        wait_until(lambda: healthy(edge, "zone-a"), RETURN_LIMIT_S, "the edge sees that zone-a is back")
        back_s = time.monotonic()
        wait_until(lambda: "zone-a" in {a.zone for a in load.since(back_s)}, 10, "zone-a answers again")
    assert load.failures() == []
    assert fleet.client.status()["zones"]["zone-a"]["state"] == "up"


def test_a_frozen_zone_loses_no_request_and_returns(fleet: Fleet, edge: EdgeAdmin) -> None:
    with Load(fleet, REQUEST) as load:
        fleet.client.freeze("zone-b")
        wait_until(lambda: fleet.client.status()["zones"]["zone-b"]["state"] == "frozen", 2, "zone-b is frozen")
        wait_until(lambda: not healthy(edge, "zone-b"), TTD_LIMIT_S, "the edge sees that zone-b is frozen")
        fleet.client.thaw("zone-b")
        wait_until(lambda: healthy(edge, "zone-b"), RETURN_LIMIT_S, "the edge sees that zone-b is back")
    assert load.failures() == []
    assert fleet.client.status()["zones"]["zone-b"]["state"] == "up"


def test_the_route_moves_all_traffic_to_the_candidate_and_back(fleet: Fleet) -> None:
    with Load(fleet, REQUEST) as load:
        for to, version in (("candidate", "2"), ("primary", "1")):
            before_ns = time.monotonic_ns()
            replaced_ns = fleet.client.route(to, mirror=False)["t_monotonic_ns"]
            assert before_ns <= replaced_ns <= time.monotonic_ns()
            settled_s = replaced_ns / 1e9 + 1
            wait_until(lambda since=settled_s: len(load.since(since)) > 20, 10, "20 answers after the switch")  # type: ignore[misc]  # a loop's variable needs a default
            assert {answer.version for answer in load.since(settled_s)} == {version}
            assert fleet.client.status()["route"] == {"to": to, "mirror": False}
    assert load.failures() == []


def test_a_mirrored_request_reaches_the_candidate_under_its_own_id(fleet: Fleet) -> None:
    switched_s = fleet.client.route("primary", mirror=True)["t_monotonic_ns"] / 1e9 + ROUTE_LIMIT_S / 2
    with Load(fleet, REQUEST) as load:
        wait_until(lambda: len(load.since(switched_s)) > 20, 10, "20 answers with mirroring")
    fleet.client.route("primary", mirror=False)
    mirrored = {answer.request_id for answer in load.since(switched_s)}
    wait_until(lambda: mirrored <= prediction_ids(fleet, "candidate"), 5, "the candidate logged each of them")
    assert {answer.version for answer in load.answers} == {"1"}
    assert load.failures() == []


def test_the_edge_counts_what_the_load_sent(fleet: Fleet, edge: EdgeAdmin) -> None:
    before = edge.counters()["primary"]["upstream_rq_completed"]
    with Load(fleet, REQUEST) as load:
        pass
    counters = edge.counters()["primary"]
    assert counters["upstream_rq_completed"] - before == len(load.answers)
    assert {"upstream_rq_total", "upstream_rq_retry", "upstream_rq_retry_overflow"} <= counters.keys()
    hosts = edge.hosts()
    assert {(host.cluster, host.zone) for host in hosts} == {
        *(("primary", f"zone-{letter}") for letter in "abc"),
        ("candidate", "candidate"),
    }
    assert sum(host.rq_total for host in hosts if host.cluster == "primary") >= len(load.answers)


def test_a_process_that_dies_unasked_is_shown_and_not_restarted(fleet: Fleet, edge: EdgeAdmin) -> None:
    [pid] = fleet.client.status()["zones"]["zone-c"]["pids"]
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not healthy(edge, "zone-c"), TTD_LIMIT_S, "the edge sees that zone-c is dead")
    zone = fleet.client.status()["zones"]["zone-c"]
    assert zone["state"] == "down"
    assert (zone["processes"][0]["died_unasked"], zone["processes"][0]["exit_code"]) == (True, -signal.SIGKILL)
    fleet.client.start("zone-c")
    wait_until(lambda: healthy(edge, "zone-c"), RETURN_LIMIT_S, "the edge sees that zone-c is back")


def test_what_cannot_be_done_is_refused_in_words(fleet: Fleet) -> None:
    with pytest.raises(FleetError, match="no zone 'zone-z': this fleet has zone-a, zone-b, zone-c, candidate"):
        fleet.client.kill("zone-z")
    with pytest.raises(FleetError, match="zone-a is not down but up: kill it first"):
        fleet.client.start("zone-a")
    with pytest.raises(FleetError, match="cannot route to 'nowhere'"):
        fleet.client.route("nowhere", mirror=False)
    with pytest.raises(FleetError, match="needs both"):
        fleet.client.route("candidate", mirror=True)
    with pytest.raises(FleetError, match="does not know 'dance'"):
        fleet.client._ask("dance")
    with pytest.raises(FleetError, match="not a request that the supervisor understands"):
        fleet.client._ask("kill")
