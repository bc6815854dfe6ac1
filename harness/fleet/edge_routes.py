"""Writes the route file: which calls pass the edge, where they go, and how often they are tried.

Rule: pure. Only what is listed here passes; the file is replaced whole while Envoy runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.fleet import edge_settings as settings
from harness.fleet.edge_identity import identity_of_route
from harness.fleet.edge_limits import unbuffered
from harness.fleet.spec import CANDIDATE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.fleet.edge_identity import KnownKey

Json = dict[str, Any]
ROUTE_NAME = "inference"
INFER = "/inference.GRPCInferenceService/ModelInfer"
ASKED = (
    *(
        f"/inference.GRPCInferenceService/{name}"
        for name in (
            *("ServerLive", "ServerReady", "ModelReady", "ServerMetadata", "ModelMetadata"),
            *("ModelConfig", "ModelStatistics"),
        )
    ),
    "/grpc.health.v1.Health/Check",
)
"""Calls of one answer. Those that load and unload models are not among them: through the edge they would change one
zone of several, whichever; who administers a zone calls it directly."""
STREAMED = (
    "/grpc.health.v1.Health/Watch",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
)
IDENTITY_HEADERS = ("x-client", "x-forwarded-client-cert", "x-gonogo-client")
"""Names by which services behind an edge are often told who calls; of a caller's own nothing is believed."""
_ROUTES = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
_PREVIOUS_HOSTS = "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"


def routes(to: str, *, mirror: bool, timeout_s: float, keys: Iterable[KnownKey] = ()) -> Json:
    """The route file: what may pass goes to cluster `to`, and a copy of each inference to the candidate if `mirror`."""
    unary: Json = {"cluster": to, "timeout": _duration(timeout_s), "retry_policy": _retry_policy()}
    infer = unary | ({"request_mirror_policies": [{"cluster": CANDIDATE}]} if mirror else {})
    streamed: Json = {"cluster": to, "timeout": _duration(settings.STREAM_LIMIT_S)}
    passing = [_passing(INFER, infer), *(_passing(path, unary) for path in ASKED)]
    passing += [_passing(path, streamed) | {"typed_per_filter_config": unbuffered()} for path in STREAMED]
    host = {
        "name": "any",
        "domains": ["*"],
        "routes": [*passing, *_refused()],
        "request_headers_to_remove": list(IDENTITY_HEADERS),
        "typed_per_filter_config": identity_of_route(keys),
    }
    return {"resources": [{"@type": _ROUTES, "name": ROUTE_NAME, "virtual_hosts": [host]}]}


def _passing(path: str, action: Json) -> Json:
    return {"match": {"path": path, "grpc": {}}, "route": action}


def _refused() -> list[Json]:
    """Everything else: Envoy turns 404 into UNIMPLEMENTED for who speaks gRPC; others get plain HTTP."""
    unknown = {
        "status": 404,
        "body": {"inline_string": "this call is not offered here; reflection says what is"},
    }
    foreign = {"status": 415, "body": {"inline_string": "expected gRPC: content-type application/grpc"}}
    return [
        {"match": {"prefix": "/", "grpc": {}}, "direct_response": unknown},
        {"match": {"prefix": "/"}, "direct_response": foreign},
    ]


def _retry_policy() -> Json:
    predicate = {"name": "envoy.retry_host_predicates.previous_hosts", "typed_config": {"@type": _PREVIOUS_HOSTS}}
    return {
        "retry_on": settings.RETRY_ON,
        "num_retries": settings.RETRIES,
        "per_try_timeout": _duration(settings.PER_TRY_TIMEOUT_S),
        "retry_host_predicate": [predicate],
        "host_selection_retry_max_attempts": settings.OTHER_HOST_ATTEMPTS,
        "retry_back_off": {
            "base_interval": _duration(settings.RETRY_PAUSE_S),
            "max_interval": _duration(settings.RETRY_PAUSE_MAX_S),
        },
    }


def _duration(seconds: float) -> str:
    return f"{seconds:g}s"
