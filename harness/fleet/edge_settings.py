"""Every number by which the edge decides, each with the reason for it.

Rule: constants only. Envoy's own defaults are written out where they decide something, so that a reader need not
know them. Times are in seconds, as Envoy's `Duration` wants them.

How overload is refused: by a bound on the requests in hand, which follows from the Plan (`harness.collect`): rate times
time allowed, so that who is let in can be answered in time. Envoy's adaptive concurrency was tried against it on the
same two cores, at 6,000 and 8,000 req/s on zones that carry about 3,000, TLS and keys on. 64 in hand: 2,956 answered a
second, p99 75 ms; 128: 2,930, 148 ms; 1,024, which is no bound: 2,005, 554 ms, with other work on the machine. Adaptive
(a fixed ideal of 20 to 50 ms, at p50 or p90): 3,079 a second with 173 ms at best, but beside other work it took the
slowness for overload and let 708 to 1,864 in, where bounds of 128 and 256 let in 1,302 to 2,464. Refusals took 11 to 72
ms at the median, all of it waiting for a core.

What the filters cost, in µs of a core for each call that Envoy answers itself (40,000 calls by h2load, one run): 8.0
with the router alone; TLS 0.8 more; the rate limit 1.2; the bound on messages 1.2; the identity 4.7 for a stranger and
6.5 with a key to hash; all of it together 17.2.

A zone that is busy is not dead. On two cores shared with other work, all zones stopped four times for 0.4 s or 0.6 s
while one was dead and 200 req/s came in: health timeout 0.3 s, try 0.25 s, 2 failures, 67 % ejected and 50 retries
lost 299 to 338 of 1,737 and 510 to 550 of 1,892 requests, because the edge put every living zone out; the numbers
below lost none. A killed zone is still out after 0.1 to 0.3 s, and a frozen one after 1.0 to 1.2 s, also with four
busy loops beside it.
"""

from __future__ import annotations

# Health checks: `grpc.health.v1` to every process, whatever the traffic does.
HEALTH_INTERVAL_S = 0.5
HEALTH_TIMEOUT_S = 1.0
"""A frozen zone is out after interval + timeout = 1.5 s at worst, inside the 2 s that the reference Plan allows; the
port of a killed one refuses at once. Shorter timeouts put busy zones out (see above)."""
HEALTH_FAILURES_TO_EJECT = 1
HEALTH_SUCCESSES_TO_RETURN = 1
"""A process that answers SERVING once has loaded its model; outlier detection catches it if it then fails."""

# Outlier detection: what the traffic itself tells, sooner than the next health check.
OUTLIER_GATEWAY_FAILURES = 2
"""In a row, answered UNAVAILABLE or its like by the process itself: it says that it cannot serve. One may be chance."""
OUTLIER_SILENCES = 5
"""In a row, refused or reset: a dead process is out after five requests, 75 ms at 200 req/s."""
OUTLIER_SILENT_PERCENT = 40
OUTLIER_SILENT_CALLS = 5
"""Of at least so many calls in an interval, got a stream and no answer in their try's time. A zone that never answers
shows 50 %, because Envoy counts each such call twice, as a success and a failure (see above); after a stall of 0.6 s it
is a sixth."""
OUTLIER_INTERVAL_S = 0.5
"""How often that share is counted and ejected hosts are looked at again; other ejections are immediate."""
OUTLIER_BASE_EJECTION_S = 6.0
OUTLIER_MAX_EJECTION_S = 10.0
"""Ejections grow by the base each time up to here. A passed health check ends none, because it says nothing of other
calls. Six seconds show five in a row without the zone, which is how long an SLO must hold to count as recovered."""
OUTLIER_MAX_EJECTED_PERCENT = 34
"""One of three zones. Zones out by health check do not count here, so that with one dead and two ejected (67 %) none
would be left."""
PANIC_THRESHOLD_PERCENT = 0
"""Envoy's 50 would send to dead hosts as soon as two of three zones are out."""
UPDATE_MERGE_WINDOW_S = 0
"""Envoy's 1 s holds back every change of health that follows another within it: traffic kept going to a zone that the
admin page already showed as out, and in one of five kills right after the start 19 to 71 requests were lost."""

# Retries: every ModelInfer is idempotent, so a request that got no answer may be tried elsewhere.
RETRY_ON = "connect-failure,refused-stream,reset,unavailable,cancelled,deadline-exceeded"
RETRIES = 3
PER_TRY_TIMEOUT_S = 0.5
"""Ten times the p99 that the reference Plan allows, and four tries fill the route's 2 s; at 0.25 s a stall of the
machine turned into a storm of retries (see above)."""
RETRY_PAUSE_S = 0.005
RETRY_PAUSE_MAX_S = 0.05
"""Envoy's 25 ms is for retries on the same host; these go to another one."""
OTHER_HOST_ATTEMPTS = 5
"""Picks of the balancer before a host already tried is accepted after all."""
RETRY_BUDGET_PERCENT = 25.0
RETRIES_ALWAYS_ALLOWED = 100
"""At 600 req/s a third, 200 req/s, waits on a frozen zone for one try of 0.5 s: 100 requests must then move at once.
Beyond it retries may be a quarter of the requests in flight, so that they cannot multiply an outage."""

# Connections.
KEEPALIVE_INTERVAL_S = 1.0
KEEPALIVE_TIMEOUT_S = 1.0
"""HTTP/2 PING on connections to the service: a frozen peer keeps its sockets open, so only silence shows it. As
patient as the health check, because it resets every request on the connection."""
CONNECT_TIMEOUT_S = 0.25
"""On loopback the kernel opens a connection at once or refuses it, however busy the process is."""
MAX_CONNECTIONS = 1024
MAX_PENDING_REQUESTS = 1024
"""Only while a connection is opened, which takes milliseconds; requests in hand are bounded by the fleet's own number
(`Rates.in_flight_max`)."""

# What one caller may do, before anything of it reaches a zone.
STRANGERS_RPS = 20
"""Of all who show no valid key, by address: enough for a mistyped one, and for health checks from outside."""
CLIENT_BURST_S = 0.25
"""What a client may send at once, in seconds of its rate. 200 req/s make 50, less than half of what the reference
Plan lets the zones have in hand: so one client's burst leaves room for the others'."""
BUCKETS_MAX = 1024
"""Clients and addresses counted at once; the one unused longest is forgotten first, and starts with a full bucket."""
RETRY_CLIENT_S = 1.0
"""A bucket is full again after a second."""
RETRY_OVERLOAD_S = 1.0
FRAME_BYTES = 5
"""gRPC writes this many before each message."""
MESSAGE_BYTES_MAX = (1 << 20) + FRAME_BYTES
"""The service's own limit, so that one answer means the same wherever it was given."""
HEADERS_KIB_MAX = 8
HEADERS_MAX = 64
"""A call of the harness has a dozen in half a KiB."""
STREAMS_MAX = 512
"""Of one connection: the load engine's cap on requests in flight."""
STREAM_WINDOW_BYTES = 256 << 10
CONNECTION_WINDOW_BYTES = 4 << 20
"""What a caller may have sent before the edge took it: 4 GiB for all connections, not Envoy's 24 GiB."""
CONNECTION_BUFFER_BYTES = 1 << 20
HANDSHAKE_TIMEOUT_S = 5.0
HEADERS_TIMEOUT_S = 5.0
REQUEST_TIMEOUT_S = 15.0
"""Of a request of 1 MiB that is 70 KB/s; slower, and a caller could hold a stream for ever by a byte now and then."""
STREAM_IDLE_S = 30.0
STREAM_LIMIT_S = 60.0
"""Of watches and reflection."""
IDLE_CONNECTION_S = 300.0
CALLER_KEEPALIVE_INTERVAL_S = 30.0
CALLER_KEEPALIVE_TIMEOUT_S = 10.0
"""A caller that vanished is noticed without traffic; nobody else needs the answer soon."""

# Hot restart: the new edge listens, then the old one asks its callers to go.
DRAIN_S = 2
"""Over this time the old edge tells each connection, at its next answer, to open another (GOAWAY)."""
DRAINED_AFTER_S = 4
"""Then it ends: two seconds longer than the last call of a drained connection may take."""
