"""Sends unary gRPC calls over HTTP/2 connections of its own (gRPC's "PROTOCOL-HTTP2" document).

Rule: what a plain gRPC client without retries does, at a fraction of its cost: a call to a peer that is not there fails
with UNAVAILABLE, one that is being connected to waits, a deadline ends a call on this side and is told to the peer.
"""

from __future__ import annotations

import asyncio
import functools
import struct
import time
from typing import TYPE_CHECKING

from harness.load.channel import Channel, Peer
from harness.load.hpack_blocks import RequestBlocks
from harness.load.http2_frames import LOST, NO_ERROR
from harness.load.sender import NOBODY
from reference_service.protocol.headers import REQUEST_ID

if TYPE_CHECKING:
    import ssl
    from collections.abc import Sequence

    from harness.load.hpack_blocks import Answer
    from harness.load.sender import Finish
    from harness.load.spec import LoadSpec

    Pairs = Sequence[tuple[str, str]]

CANCELLED, UNKNOWN, DEADLINE_EXCEEDED, PERMISSION_DENIED = 1, 2, 4, 7
RESOURCE_EXHAUSTED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, UNAUTHENTICATED = 8, 12, 13, 14, 16
STATUS_MAX = 16
MESSAGE_HEAD = struct.Struct(">BI")
"""A message's prefix: not compressed, and its length."""
FROM_RESET = {0: INTERNAL, 7: UNAVAILABLE, 8: CANCELLED, 11: RESOURCE_EXHAUSTED, 12: PERMISSION_DENIED}
"""Status of a stream that was reset, by HTTP/2 error code; others are INTERNAL (gRPC, PROTOCOL-HTTP2, "Errors")."""
FROM_HTTP = {
    400: INTERNAL,
    401: UNAUTHENTICATED,
    403: PERMISSION_DENIED,
    404: UNIMPLEMENTED,
    429: UNAVAILABLE,
    502: UNAVAILABLE,
    503: UNAVAILABLE,
    504: UNAVAILABLE,
}
"""Status of an answer without grpc-status, by HTTP status; others are UNKNOWN (gRPC, http-grpc-status-mapping)."""


def status_of(answer: Answer | None, received: int, error: int | None) -> int:
    """The gRPC status of a call that ended with these; a good one must have brought a message."""
    if answer is not None and answer.grpc_status is not None and error in (None, NO_ERROR):
        status = answer.grpc_status if answer.grpc_status <= STATUS_MAX else UNKNOWN
        return INTERNAL if status == 0 and received < MESSAGE_HEAD.size else status
    if error == LOST:
        return UNAVAILABLE
    if error is not None:
        return FROM_RESET.get(error, INTERNAL)
    http_status = None if answer is None else answer.http_status
    return UNKNOWN if http_status is None else FROM_HTTP.get(http_status, UNKNOWN)


class GrpcSender:
    """A `harness.load.sender.Sender` for the method and target of `spec`, over as many connections as it names.

    `metadata` goes with every call; `secrets` too, marked so that no peer or proxy keeps them in a table.
    """

    def __init__(
        self,
        spec: LoadSpec,
        pool: Sequence[bytes],
        finish: Finish,
        *,
        metadata: Pairs = (),
        secrets: Pairs = (),
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.connections = spec.connections
        self._bodies = [MESSAGE_HEAD.pack(0, len(message)) + message for message in pool]
        self._finish, self._timeout_s = finish, spec.timeout_s
        self._loop = asyncio.get_running_loop()
        self._open: dict[int, tuple[Channel, float]] = {}
        self._alarm: asyncio.TimerHandle | None = None
        headers = (*_call_headers(spec, secure=tls is not None), *metadata)
        blocks = functools.partial(RequestBlocks, headers, REQUEST_ID, secrets)
        peer = Peer(spec.target, tls, spec.tls.server_name if spec.tls else "")
        self._channels = [Channel(peer, blocks, self._ended) for _ in range(spec.connections)]

    async def connect(self, limit_s: float) -> int:
        """Open all connections; returns how many were up within `limit_s`."""
        return sum(await asyncio.gather(*(channel.connect(limit_s) for channel in self._channels)))

    def send(self, index: int, message: int, request_id: str) -> None:
        """Send the pool's message number `message` as request `index`."""
        channel = self._channels[index % self.connections]
        self._open[index] = (channel, time.monotonic() + self._timeout_s)
        channel.send(index, request_id.encode(), self._bodies[message])
        if self._alarm is None:
            self._alarm = self._loop.call_later(self._timeout_s, self._expire)

    def abandon(self) -> None:
        """Forget every open request."""
        self._open.clear()

    async def close(self) -> None:
        """Close the connections."""
        self.abandon()
        if self._alarm is not None:
            self._alarm.cancel()
        for channel in self._channels:
            await channel.close()

    def _ended(self, index: int, answer: Answer | None, received: int, error: int | None) -> None:
        if self._open.pop(index, None) is not None:
            size = max(0, received - MESSAGE_HEAD.size)
            answered_by = NOBODY if answer is None else answer.answered_by
            self._finish(index, status_of(answer, received, error), size, answered_by)

    def _expire(self) -> None:
        """End the calls whose deadline has passed: all have the same timeout, so the oldest come first."""
        now, self._alarm = time.monotonic(), None
        while self._open:
            index, (channel, deadline) = next(iter(self._open.items()))
            if deadline > now:
                self._alarm = self._loop.call_later(deadline - now, self._expire)
                return
            del self._open[index]
            channel.give_up(index)
            self._finish(index, DEADLINE_EXCEEDED, 0, NOBODY)


def _call_headers(spec: LoadSpec, *, secure: bool) -> Pairs:
    """The headers of every call of `spec`, in the order that HTTP/2 and gRPC want."""
    return (
        (":method", "POST"),
        (":scheme", "https" if secure else "http"),
        (":path", spec.method),
        (":authority", spec.target),
        ("te", "trailers"),
        ("grpc-timeout", f"{round(spec.timeout_s * 1000)}m"),
        ("content-type", "application/grpc"),
        ("user-agent", "gonogo"),
    )
