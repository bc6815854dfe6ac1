"""Writes Envoy's bootstrap: the listener with its filters, and the clusters that the route file sends to.

Rule: pure functions from addresses to dicts; Envoy accepts JSON wherever it wants YAML. Clusters never change while
Envoy runs, because a changed cluster is rebuilt and drops its connections; only the route file and the primary's
endpoints do. The filters stand in the order of what they cost and protect: who calls, how much, how large, and only
then a zone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.fleet import edge_limits
from harness.fleet import edge_settings as settings
from harness.fleet.edge_endpoints import assignment, socket_address
from harness.fleet.edge_identity import identity_filter
from harness.fleet.edge_routes import ROUTE_NAME
from harness.fleet.edge_tls import towards_callers, towards_zones
from harness.fleet.spec import PRIMARY

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from harness.fleet.credentials import Credentials
    from harness.fleet.edge_endpoints import Ports
    from harness.fleet.edge_limits import Rates

_HTTP_MANAGER = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_HTTP_ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
_UUID_REQUEST_ID = "type.googleapis.com/envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig"
_UPSTREAM_HTTP = "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions"

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class EdgeFiles:
    """Where the edge's files and sockets are. `routes` and `endpoints` have a directory each, which Envoy watches."""

    bootstrap: Path
    routes: Path
    endpoints: Path
    admin: Path


@dataclass(frozen=True, slots=True)
class EdgeRules:
    """What the edge shows and trusts, and how much it takes."""

    credentials: Credentials
    rates: Rates


def bootstrap(files: EdgeFiles, port: int, clusters: Mapping[str, Ports], rules: EdgeRules) -> Json:
    """Envoy's start-up configuration: HTTP/2 over TLS on loopback `port`, one cluster per entry of `clusters`."""
    return {
        "node": {"id": "edge", "cluster": "gonogo"},
        "admin": {"address": {"pipe": {"path": str(files.admin), "mode": 0o600}}},
        "static_resources": {
            "listeners": [_listener(files, port, rules)],
            "clusters": [_cluster(name, rules) | _found(files, name, ports) for name, ports in clusters.items()],
        },
        "overload_manager": edge_limits.overload_manager(),
    }


def _listener(files: EdgeFiles, port: int, rules: EdgeRules) -> Json:
    manager = {
        "@type": _HTTP_MANAGER,
        "stat_prefix": "edge",
        "codec_type": "HTTP2",
        "rds": {"route_config_name": ROUTE_NAME, "config_source": _watched(files.routes)},
        "http_filters": [
            identity_filter(),
            edge_limits.rate_limit_filter(rules.rates),
            edge_limits.message_filter(),
            {"name": "envoy.filters.http.router", "typed_config": {"@type": _HTTP_ROUTER}},
        ],
        "local_reply_config": edge_limits.refusals(),
        # The connection says who a stranger is; a header that claims to know better would make a bucket of its own.
        "use_remote_address": True,
        "skip_xff_append": True,
        "internal_address_config": {"cidr_ranges": [{"address_prefix": "255.255.255.255", "prefix_len": 32}]},  # nobody
        "forward_client_cert_details": "SANITIZE",
        # The harness's own request id joins ledger, shadow and logs, so Envoy must neither replace nor rewrite it.
        "preserve_external_request_id": True,
        "request_id_extension": {"typed_config": {"@type": _UUID_REQUEST_ID, "pack_trace_reason": False}},
        **edge_limits.connection_limits(),
    }
    filters = [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
    chain = {
        "filters": filters,
        "transport_socket": towards_callers(rules.credentials.edge),
        "transport_socket_connect_timeout": _duration(settings.HANDSHAKE_TIMEOUT_S),
    }
    return {
        "name": "edge",
        "address": socket_address(port),
        "enable_reuse_port": True,
        "per_connection_buffer_limit_bytes": settings.CONNECTION_BUFFER_BYTES,
        "filter_chains": [chain],
    }


def _watched(path: Path) -> Json:
    return {"path_config_source": {"path": str(path), "watched_directory": {"path": str(path.parent)}}}


def _found(files: EdgeFiles, name: str, ports: Ports) -> Json:
    """How a cluster knows its endpoints: the primary's are read from their file, others never change."""
    if name != PRIMARY:
        return {"type": "STATIC", "load_assignment": assignment(name, ports)}
    return {
        "type": "EDS",
        "eds_cluster_config": {"eds_config": _watched(files.endpoints)},
        "ignore_health_on_host_removal": True,  # else an address that was taken away gets traffic while it is healthy
    }


def _cluster(name: str, rules: EdgeRules) -> Json:
    return {
        "name": name,
        "lb_policy": "LEAST_REQUEST",  # a zone that stops answering keeps its requests, and so is picked less
        "connect_timeout": _duration(settings.CONNECT_TIMEOUT_S),
        "common_lb_config": {
            "healthy_panic_threshold": {"value": settings.PANIC_THRESHOLD_PERCENT},
            "update_merge_window": _duration(settings.UPDATE_MERGE_WINDOW_S),
        },
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": _upstream_http()
        },
        "health_checks": [_health_check()],
        "outlier_detection": _outlier_detection(),
        "circuit_breakers": {"thresholds": [_limits(rules.rates)]},
        "transport_socket": towards_zones(rules.credentials.edge_as_client, rules.credentials.ca),
    }


def _upstream_http() -> Json:
    keepalive = {
        "interval": _duration(settings.KEEPALIVE_INTERVAL_S),
        "timeout": _duration(settings.KEEPALIVE_TIMEOUT_S),
    }
    http2 = {"connection_keepalive": keepalive}
    return {"@type": _UPSTREAM_HTTP, "explicit_http_config": {"http2_protocol_options": http2}}


def _health_check() -> Json:
    interval = _duration(settings.HEALTH_INTERVAL_S)
    return {
        "interval": interval,
        "no_traffic_interval": interval,  # Envoy's 60 s would leave the candidate unchecked until its first request
        "timeout": _duration(settings.HEALTH_TIMEOUT_S),
        "unhealthy_threshold": settings.HEALTH_FAILURES_TO_EJECT,
        "healthy_threshold": settings.HEALTH_SUCCESSES_TO_RETURN,
        "grpc_health_check": {},
    }


def _outlier_detection() -> Json:
    return {
        "consecutive_gateway_failure": settings.OUTLIER_GATEWAY_FAILURES,
        "enforcing_consecutive_gateway_failure": 100,
        "split_external_local_origin_errors": True,
        "consecutive_local_origin_failure": settings.OUTLIER_SILENCES,
        "enforcing_consecutive_local_origin_failure": 100,
        "enforcing_failure_percentage_local_origin": 100,
        "failure_percentage_threshold": settings.OUTLIER_SILENT_PERCENT,
        "failure_percentage_minimum_hosts": 1,
        "failure_percentage_request_volume": settings.OUTLIER_SILENT_CALLS,
        "enforcing_local_origin_success_rate": 0,
        "enforcing_consecutive_5xx": 0,  # an INTERNAL or UNKNOWN answer is the model's, not the zone's
        "enforcing_success_rate": 0,  # Envoy's statistics want five hosts, and there are three
        "interval": _duration(settings.OUTLIER_INTERVAL_S),
        "base_ejection_time": _duration(settings.OUTLIER_BASE_EJECTION_S),
        "max_ejection_time": _duration(settings.OUTLIER_MAX_EJECTION_S),
        "max_ejection_percent": settings.OUTLIER_MAX_EJECTED_PERCENT,
        "successful_active_health_check_uneject_host": False,  # a zone may pass them and fail every other call
    }


def _limits(rates: Rates) -> Json:
    return {
        "max_connections": settings.MAX_CONNECTIONS,
        "max_pending_requests": settings.MAX_PENDING_REQUESTS,
        "max_requests": rates.in_flight_max,
        "retry_budget": {
            "budget_percent": {"value": settings.RETRY_BUDGET_PERCENT},
            "min_retry_concurrency": settings.RETRIES_ALWAYS_ALLOWED,
        },
    }


def _duration(seconds: float) -> str:
    return f"{seconds:g}s"
