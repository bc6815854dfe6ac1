"""Every number by which the edge decides, each with the reason for it.

Rule: constants only. Envoy's own defaults are written out where they decide something, so that a reader need not
know them. Times are in seconds, as Envoy's `Duration` wants them.
"""

from __future__ import annotations

# Health checks: `grpc.health.v1` to every process, whatever the traffic does.
HEALTH_INTERVAL_S = 0.5
"""A frozen zone must be out within 2 s: at worst interval + timeout = 0.8 s."""
HEALTH_TIMEOUT_S = 0.3
"""Six times the p99 that the reference Plan allows."""
HEALTH_FAILURES_TO_EJECT = 1
HEALTH_SUCCESSES_TO_RETURN = 1
"""A process that answers SERVING once has loaded its model; outlier detection catches it if it then fails."""

# Outlier detection: what the traffic itself tells, sooner than the next health check.
OUTLIER_GATEWAY_FAILURES = 2
"""In a row, answered 502/503/504 or UNAVAILABLE, reset, refused or out of its try's time. One may be chance."""
OUTLIER_INTERVAL_S = 0.5
"""How often ejected hosts are looked at again; the ejection itself is immediate."""
OUTLIER_BASE_EJECTION_S = 2.0
OUTLIER_MAX_EJECTION_S = 10.0
"""Ejections grow by the base each time up to here; a passed health check ends one early."""
OUTLIER_MAX_EJECTED_PERCENT = 67
"""Two of three zones may be out; the last one is kept whatever it does."""
PANIC_THRESHOLD_PERCENT = 0
"""Envoy's 50 would send to dead hosts as soon as two of three zones are out."""

# Retries: every ModelInfer is idempotent, so a request that got no answer may be tried elsewhere.
RETRY_ON = "connect-failure,refused-stream,reset,unavailable,cancelled,deadline-exceeded"
RETRIES = 3
PER_TRY_TIMEOUT_S = 0.25
"""Five times the p99 that the reference Plan allows; four tries and their pauses fit into the route's 2 s."""
RETRY_PAUSE_S = 0.005
RETRY_PAUSE_MAX_S = 0.05
"""Envoy's 25 ms is for retries on the same host; these go to another one."""
OTHER_HOST_ATTEMPTS = 5
"""Picks of the balancer before a host already tried is accepted after all."""
RETRY_BUDGET_PERCENT = 25.0
RETRIES_ALWAYS_ALLOWED = 50
"""At 600 req/s a third, 200 req/s, waits on a frozen zone for one try of 0.25 s: 50 requests must then move at once.
Beyond it retries may be a quarter of the requests in flight, so that they cannot multiply an outage."""

# Connections.
KEEPALIVE_INTERVAL_S = 1.0
KEEPALIVE_TIMEOUT_S = 0.5
"""HTTP/2 PING on connections to the service: a frozen peer keeps its sockets open, so only silence shows it."""
CONNECT_TIMEOUT_S = 0.25
"""On loopback a connection opens at once or the peer is not there."""
MAX_CONNECTIONS = 1024
MAX_PENDING_REQUESTS = 1024
MAX_REQUESTS = 1024
"""Twice the load engine's cap on requests in flight (512): the edge never refuses what the harness sends."""
