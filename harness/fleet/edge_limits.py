"""How much the edge takes: of each client, of each message, of each connection, and in all.

Rule: pure. A refusal says so in words, with a gRPC status that no client mistakes for an outage, and with a
`google.rpc.RetryInfo` where trying again later helps. Refused is refused before a zone has work from it.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from harness.fleet import edge_settings as settings
from harness.fleet.spec import LOAD_CLIENT

Json = dict[str, Any]
BUFFER = "envoy.filters.http.buffer"
_HTTP = "type.googleapis.com/envoy.extensions.filters.http"
_CONNECTIONS = (
    "type.googleapis.com/envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig"
)
EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]


@dataclass(frozen=True, slots=True)
class Rates:
    """Requests per second that each client may send, and that the harness's load may.

    At most `in_flight_max` requests are with the zones of a cluster at once.
    """

    client_rps: float
    load_rps: float
    in_flight_max: int


def rate_limit_filter(rates: Rates) -> Json:
    """One bucket for each client by its verified name, one for all strangers of an address."""
    descriptors = [
        _descriptor(_bucket(rates.load_rps), {"key": "client", "value": LOAD_CLIENT}),
        _descriptor(_bucket(rates.client_rps, settings.CLIENT_BURST_S), {"key": "client"}),
        _descriptor(_bucket(settings.STRANGERS_RPS), {"key": "stranger"}, {"key": "remote_address"}),
    ]
    config = {
        "@type": f"{_HTTP}.local_ratelimit.v3.LocalRateLimit",
        "stat_prefix": "clients",
        "filter_enabled": {"default_value": {"numerator": 100}},
        "filter_enforced": {"default_value": {"numerator": 100}},
        "rate_limited_as_resource_exhausted": True,
        "enable_x_ratelimit_headers": "DRAFT_VERSION_03",
        "token_bucket": _bucket(settings.STRANGERS_RPS),  # of whoever is neither: nobody, unless identity fails
        "always_consume_default_token_bucket": False,
        "descriptors": descriptors,
        "max_dynamic_descriptors": settings.BUCKETS_MAX,
        "rate_limits": [
            {"actions": [_identity("client")]},
            {"actions": [_identity("stranger"), {"remote_address": {}}]},
        ],
    }
    return {"name": "envoy.filters.http.local_ratelimit", "typed_config": config}


def _descriptor(bucket: Json, *entries: Json) -> Json:
    return {"entries": list(entries), "token_bucket": bucket}


def _bucket(rate_rps: float, burst_s: float = 1.0) -> Json:
    """Refilled all the time at the rate; full, it holds what the rate gives in `burst_s`."""
    size = max(1, round(rate_rps * burst_s))
    return {"max_tokens": size, "tokens_per_fill": max(1, round(rate_rps)), "fill_interval": "1s"}


def _identity(name: str) -> Json:
    key = {"key": "gonogo", "path": [{"key": name}]}
    return {"metadata": {"descriptor_key": name, "metadata_key": key, "source": "DYNAMIC"}}


def message_filter() -> Json:
    """Takes a whole message before a zone hears of it: a large one is refused, a slow one costs no zone a stream."""
    config = {"@type": f"{_HTTP}.buffer.v3.Buffer", "max_request_bytes": settings.MESSAGE_BYTES_MAX}
    return {"name": BUFFER, "typed_config": config}


def unbuffered() -> Json:
    """For routes whose calls go on as they come: of a stream, the edge would wait for the end."""
    return {BUFFER: {"@type": f"{_HTTP}.buffer.v3.BufferPerRoute", "disabled": True}}


def connection_limits() -> Json:
    """What a single connection may ask for, as fields of the HTTP connection manager."""
    return {
        "max_request_headers_kb": settings.HEADERS_KIB_MAX,
        "common_http_protocol_options": {
            "idle_timeout": _duration(settings.IDLE_CONNECTION_S),
            "max_headers_count": settings.HEADERS_MAX,
        },
        "http2_protocol_options": {
            "max_concurrent_streams": settings.STREAMS_MAX,
            "initial_stream_window_size": settings.STREAM_WINDOW_BYTES,
            "initial_connection_window_size": settings.CONNECTION_WINDOW_BYTES,
            "connection_keepalive": {
                "interval": _duration(settings.CALLER_KEEPALIVE_INTERVAL_S),
                "timeout": _duration(settings.CALLER_KEEPALIVE_TIMEOUT_S),
            },
        },
        "request_headers_timeout": _duration(settings.HEADERS_TIMEOUT_S),
        "request_timeout": _duration(settings.REQUEST_TIMEOUT_S),
        "stream_idle_timeout": _duration(settings.STREAM_IDLE_S),
    }


def overload_manager() -> Json:
    """How many callers may be connected at once."""
    limit = {"@type": _CONNECTIONS, "max_active_downstream_connections": settings.MAX_CONNECTIONS}
    monitor = {"name": "envoy.resource_monitors.global_downstream_max_connections", "typed_config": limit}
    return {"resource_monitors": [monitor]}


def refusals() -> Json:
    """What the edge's own answers say where Envoy's would mislead, as `local_reply_config`."""
    too_much = "more requests than this client may send; wait, and send fewer"
    overloaded = "all zones have as much in hand as they can answer in time; try again later"
    too_large = f"expected a message of at most {settings.MESSAGE_BYTES_MAX - settings.FRAME_BYTES} bytes"
    return {
        "mappers": [
            _mapper(_status_is(429), too_much, settings.RETRY_CLIENT_S),
            _mapper({"response_flag_filter": {"flags": ["UO"]}}, overloaded, settings.RETRY_OVERLOAD_S),
            _mapper(_status_is(413), too_large, None),
        ]
    }


def _status_is(status: int) -> Json:
    value = {"default_value": status, "runtime_key": f"edge.status_{status}"}
    return {"status_code_filter": {"comparison": {"op": "EQ", "value": value}}}


def _mapper(matched: Json, text: str, retry_after_s: float | None) -> Json:
    headers = {"grpc-status": str(EXHAUSTED)}
    if retry_after_s is not None:
        headers["grpc-status-details-bin"] = _retry_info(text, retry_after_s)
        headers["retry-after"] = f"{retry_after_s:.0f}"
    added = [
        {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
        for name, value in headers.items()
    ]
    return {
        "filter": matched,
        "headers_to_add": added,
        "body_format_override": {"text_format_source": {"inline_string": text}},
    }


def _retry_info(text: str, retry_after_s: float) -> str:
    """A `google.rpc.Status` with the delay, as a binary header carries it."""
    delay, packed = Duration(), AnyMessage()
    delay.FromNanoseconds(round(retry_after_s * 1e9))
    packed.Pack(RetryInfo(retry_delay=delay))
    status = Status(code=EXHAUSTED, message=text, details=[packed])
    return base64.b64encode(status.SerializeToString()).decode().rstrip("=")


def _duration(seconds: float) -> str:
    return f"{seconds:g}s"
