"""Reads what the edge itself sees: the health of each host and the counters of each cluster.

Rule: reads only, over Envoy's admin socket. The edge's view is detection; whether a zone is dead is proven elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Self

import httpx

if TYPE_CHECKING:
    from pathlib import Path

ANSWER_LIMIT_S = 2.0
"""Envoy answers from memory in milliseconds."""

_COUNTERS = "upstream_(rq_(total|completed|retry.*|timeout|per_try_timeout|pending_overflow)|cx_connect_fail)"
_FILTER = rf"^cluster\.[^.]+\.{_COUNTERS}$"
_FLAGS = (
    "failed_active_health_check",
    "failed_outlier_check",
    "failed_active_degraded_check",
    "pending_dynamic_removal",
)
_UNHEALTHY = frozenset({"failed_active_health_check", "failed_outlier_check"})


class Host(NamedTuple):
    """One process as the edge sees it. `flags` says why it is not healthy, comma-separated."""

    cluster: str
    zone: str
    address: str
    healthy: bool
    flags: str
    rq_total: int
    rq_error: int
    cx_connect_fail: int


class EdgeAdmin:
    """Reads one Envoy's admin socket; a context manager. Raises httpx.HTTPError if Envoy is gone."""

    def __init__(self, admin_socket: Path | str) -> None:
        transport = httpx.HTTPTransport(uds=str(admin_socket))
        self._http = httpx.Client(transport=transport, base_url="http://edge", timeout=ANSWER_LIMIT_S)

    def hosts(self) -> list[Host]:
        """Every host of every cluster, as of now."""
        clusters = self._read("/clusters", format="json").get("cluster_statuses", [])
        return [_host(cluster["name"], host) for cluster in clusters for host in cluster.get("host_statuses", [])]

    def counters(self) -> dict[str, dict[str, int]]:
        """Per cluster, Envoy's own names: `upstream_rq_total`, `upstream_rq_retry` and what else _COUNTERS matches."""
        counted: dict[str, dict[str, int]] = {}
        for stat in self._read("/stats", format="json", filter=_FILTER)["stats"]:
            if "value" in stat:
                _, cluster, counter = stat["name"].split(".", 2)
                counted.setdefault(cluster, {})[counter] = int(stat["value"])
        return counted

    def destinations(self) -> set[str]:
        """The clusters that the routes in force send to, as Envoy itself says; mirrors are not among them."""
        dump = self._read("/config_dump", resource="dynamic_route_configs").get("configs", [])
        hosts = [host for entry in dump for host in entry["route_config"]["virtual_hosts"]]
        return {route["route"]["cluster"] for host in hosts for route in host["routes"] if "route" in route}

    def close(self) -> None:
        """Close the connection to Envoy."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _read(self, path: str, **parameters: str) -> Any:
        answer = self._http.get(path, params=parameters)
        answer.raise_for_status()
        return answer.json()


def _host(cluster: str, host: dict[str, Any]) -> Host:
    where = host["address"]["socket_address"]
    stats = {stat["name"]: int(stat.get("value", 0)) for stat in host.get("stats", [])}
    flags = [flag for flag in _FLAGS if host.get("health_status", {}).get(flag)]
    return Host(
        cluster=cluster,
        zone=host.get("locality", {}).get("zone", ""),
        address=f"{where['address']}:{where['port_value']}",
        healthy=_UNHEALTHY.isdisjoint(flags),
        flags=",".join(flags),
        rq_total=stats.get("rq_total", 0),
        rq_error=stats.get("rq_error", 0),
        cx_connect_fail=stats.get("cx_connect_fail", 0),
    )
