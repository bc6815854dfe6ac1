"""A connection from its beginning to its end: its transport, what it holds, and how patient it is with its peer.

Rule: asyncio's side of a connection; nothing of frames is known here but the greeting and the farewell.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from reference_service.http2 import frames as wire
from reference_service.http2.control import Control
from reference_service.http2.outgoing import Outgoing
from reference_service.http2.stream import NEVER

if TYPE_CHECKING:
    from collections.abc import Callable

    from reference_service.http2.server import Server
    from reference_service.http2.stream import Stream

WINDOW_BYTES: Final = 16 << 20
WRITE_BUFFER_BYTES: Final = 256 << 10
CLOSE_LIMIT_S: Final = 1.0
"""For the last bytes to leave."""
_NAMES: Final = frozenset({"DNS", "URI", "IP Address", "email"})


class Lasting(Control):
    """A connection's life. `paused` while its peer does not read, `busy` while it has sent more than one turn takes."""

    transport: asyncio.Transport

    def __init__(self, server: Server, made: Callable[[], object]) -> None:
        super().__init__()
        self.server, self.limits, self._made = server, server.limits, made
        self.leaving = self.closing = self.greeted = self.paused = self.busy = False
        self.quiet, self.lost = asyncio.Event(), asyncio.Event()
        self.held_bytes = 0
        self.since_s = self.loop.time()
        self.unfinished_since_s: float | None = None
        self.identities: list[bytes] | None = None

    # for Connection to fill in

    def too_slow(self, stream: Stream) -> None:
        """The peer has kept a call waiting for too long."""
        raise NotImplementedError

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet the peer."""
        self._made()
        self.transport = transport  # type: ignore[assignment] # a stream's
        self.out = Outgoing(self.loop, self.transport)
        tls = transport.get_extra_info("ssl_object")
        if tls is not None and tls.selected_alpn_protocol() != "h2":
            self.server.counts.refuse("protocol")
            self.transport.abort()
            return
        self.identities = _identities(transport.get_extra_info("peercert") or {})
        self.transport.set_write_buffer_limits(WRITE_BUFFER_BYTES)
        self.server.joined(self)  # type: ignore[arg-type] # only Connection is made
        settings = (
            (wire.MAX_CONCURRENT_STREAMS, self.limits.streams),
            (wire.INITIAL_WINDOW_SIZE, self.limits.message_bytes + wire.DEFAULT_WINDOW),
            (wire.MAX_HEADER_LIST_SIZE, self.limits.metadata_bytes),
        )
        self.out.frame(wire.SETTINGS, 0, 0, b"".join(wire.SETTING.pack(*item) for item in settings))
        self.out.grant(0, WINDOW_BYTES - wire.DEFAULT_WINDOW)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody waits for the open calls any more."""
        del exc
        self.read_on(busy=False)
        self.closing = True
        self.lost.set()
        self.server.connections.discard(self)
        for stream in list(self.streams.values()):
            self.forget(stream)

    def pause_writing(self) -> None:
        """The peer does not read: nothing more is read from it, so that no more answers come up."""
        self.paused = self.out.stopped = True
        self.since_s = self.loop.time()
        self.read_on(busy=self.busy)

    def resume_writing(self) -> None:
        """It reads again."""
        self.paused = self.out.stopped = False
        self.read_on(busy=self.busy)
        for stream in list(self.streams.values()):
            if stream.pending:
                self.resume(stream)
            else:
                self.go_on(stream)

    def read_on(self, *, busy: bool) -> None:
        """Read what the peer sends, unless it does not read itself or has sent more than one turn takes in."""
        self.server.counts.busy += busy - self.busy
        self.busy = busy
        if self.closing or self.transport.is_closing():
            return
        if self.paused or busy:
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()

    def go_on(self, stream: Stream) -> None:
        """Let a handler that waited for its peer go on."""
        if stream.room is not None and not stream.room.done():
            stream.room.set_result(None)

    def close(self) -> None:
        """Send what is to be sent, and hang up; at once if that takes long."""
        if not self.closing:
            self.closing = True
            self.out.flush()
            self.transport.close()
            self.loop.call_later(CLOSE_LIMIT_S, self.transport.abort)

    # calls

    def weigh(self, stream: Stream) -> bool:
        """Count what is held of a call; whether there is room for it."""
        held = len(stream.body) + len(stream.pending) + stream.queued
        more, stream.held = held - stream.held, held
        counts = self.server.counts
        self.held_bytes += more
        counts.held_bytes += more
        if more <= 0 or (
            self.held_bytes <= self.limits.connection_bytes and counts.held_bytes <= self.limits.held_bytes
        ):
            return True
        counts.refuse("held")
        # Who holds most makes room, so that few can't keep all others out.
        return self.held_bytes <= self.limits.connection_bytes and self.server.relieved(self)  # type: ignore[arg-type]

    def forget(self, stream: Stream) -> None:
        """A call is over; a handler that still works on it is stopped."""
        if self.streams.pop(stream.id, None) is None:
            return
        counts = self.server.counts
        counts.calls -= 1
        if stream.held:
            self.held_bytes -= stream.held
            counts.held_bytes -= stream.held
        if stream.timer is not None:
            stream.timer.cancel()
        if stream.task is not None and stream.task is not asyncio.current_task(self.loop):
            stream.task.cancel()
        if not self.streams:
            self.since_s = self.loop.time()
            self.quiet.set()

    # patience

    def look_after(self, now_s: float) -> None:
        """End what has kept us waiting for longer than a peer may."""
        since_s = now_s - self.limits.slow_s
        if self.closing:
            return
        late = (not self.greeted or self.paused) and self.since_s < since_s
        if late or (self.unfinished_since_s or now_s) < since_s:
            self.server.counts.refuse("slow")
            self.transport.abort()
            return
        for stream in [stream for stream in self.streams.values() if stream.waits_since_s < since_s]:
            stream.waits_since_s = NEVER
            self.too_slow(stream)


def _identities(certificate: dict[str, Any]) -> list[bytes] | None:
    """The names in a certificate: the alternative ones, or without them the common one."""
    alternative = [name.encode() for kind, name in certificate.get("subjectAltName", ()) if kind in _NAMES]
    common = [value.encode() for part in certificate.get("subject", ()) for key, value in part if key == "commonName"]
    return alternative or common or None
