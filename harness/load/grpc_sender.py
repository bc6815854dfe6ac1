"""Sends unary gRPC calls over HTTP/2 connections of its own (gRPC's "PROTOCOL-HTTP2" document).

Rule: what a plain gRPC client without retries does, at a fraction of its cost: a call to a peer that is not there fails
with UNAVAILABLE, one that is being connected to waits, a deadline ends a call on this side and is told to the peer.
"""

from __future__ import annotations

import asyncio
import functools
import time
from typing import TYPE_CHECKING

from harness.load.call_headers import call_headers, check_metadata
from harness.load.channel import Channel, Peer
from harness.load.grpc_status import CANCELLED, DEADLINE_EXCEEDED, MESSAGE_HEAD, status_of
from harness.load.hpack_blocks import RequestBlocks
from harness.load.sender import NOBODY
from reference_service.protocol.headers import REQUEST_ID

if TYPE_CHECKING:
    import ssl
    from collections.abc import Sequence

    from harness.load.call_headers import Pairs
    from harness.load.http2_frames import Stream
    from harness.load.sender import Finish
    from harness.load.spec import LoadSpec

TIMER_STEP_S = 0.001
"""The event loop's timers count milliseconds; asked for less, they would be due at once, again and again."""


class GrpcSender:
    """A `harness.load.sender.Sender` for the method and target of `spec`, over as many connections as it names.

    `metadata` goes with every call; `secrets` too, marked so that no peer or proxy keeps them in a table. `tls` is made
    to offer HTTP/2. A request id has 16 characters. The size of an answer is that on the wire, compressed if the peer
    does so, and 0 unless it is OK. Raises SenderError when the load cannot be sent like this.
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
        self._open: dict[int, tuple[Channel, float, Stream]] = {}
        self._alarm: asyncio.TimerHandle | None = None
        check_metadata((*metadata, *secrets))
        server_name = spec.tls.server_name if spec.tls else ""
        headers = call_headers(spec.method, server_name or spec.target, spec.timeout_s, secure=tls is not None)
        blocks = functools.partial(RequestBlocks, (*headers, *metadata), REQUEST_ID, secrets)
        if tls is not None:
            tls.set_alpn_protocols(["h2"])
        peer = Peer.at(spec.target, tls, server_name)
        self._channels = [Channel(peer, blocks, self._ended) for _ in range(spec.connections)]

    async def connect(self, limit_s: float) -> int:
        """Open all connections; returns how many were up within `limit_s`."""
        return sum(await asyncio.gather(*(channel.connect(limit_s) for channel in self._channels)))

    def send(self, index: int, message: int, request_id: str) -> None:
        """Send the pool's message number `message` as request `index`."""
        channel = self._channels[index % self.connections]
        deadline = time.monotonic() + self._timeout_s
        self._open[index] = (channel, deadline, channel.send(index, request_id.encode(), self._bodies[message]))
        if self._alarm is None:
            self._alarm = self._loop.call_later(self._timeout_s, self._expire)

    def abandon(self) -> None:
        """Forget every open request, and tell the peer."""
        self._give_up(list(self._open))

    async def close(self) -> None:
        """Close the connections."""
        self.abandon()
        if self._alarm is not None:
            self._alarm.cancel()
        await asyncio.gather(*(channel.close() for channel in self._channels))

    def _ended(self, stream: Stream, error: int | None) -> None:
        known = self._open.pop(stream.token, None)
        if known is None:
            return
        status, answer = status_of(stream, error), stream.answer
        if status == CANCELLED and error is not None and time.monotonic() >= known[1]:
            status = DEADLINE_EXCEEDED  # the peer has seen the deadline first
        size = 0 if status else stream.received - MESSAGE_HEAD.size
        self._finish(stream.token, status, size, NOBODY if answer is None else answer.answered_by)

    def _expire(self) -> None:
        """End the calls whose deadline has passed: all have the same timeout, so the oldest come first."""
        now, self._alarm, expired = time.monotonic(), None, []
        for index, (_, deadline, _) in self._open.items():
            if deadline > now:
                self._alarm = self._loop.call_later(max(deadline - now, TIMER_STEP_S), self._expire)
                break
            expired.append(index)
        self._give_up(expired)
        for index in expired:
            self._finish(index, DEADLINE_EXCEEDED, 0, NOBODY)

    def _give_up(self, indices: list[int]) -> None:
        """Forget these calls, the newest first: those that wait for an older one would otherwise be sent at its end."""
        for index in reversed(indices):
            channel, _, stream = self._open.pop(index)
            channel.give_up(stream)
