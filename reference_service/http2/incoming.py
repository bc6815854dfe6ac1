"""One HTTP/2 connection as it listens: bytes into frames, frames into calls.

Rule: what a peer can make us keep or do is bounded: streams, bytes of headers and messages, frames that carry no call,
frames in one turn of the loop. What breaks the protocol ends the call or the connection as RFC 9113 has it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from reference_service.http2 import frames as wire
from reference_service.http2.frames import ConnectionBrokenError
from reference_service.http2.headers import READ_FACTOR, HeaderReader
from reference_service.http2.lasting import Lasting
from reference_service.http2.limits import FAIR_STREAMS
from reference_service.http2.stream import Stream
from reference_service.telemetry import log_failure

if TYPE_CHECKING:
    from collections.abc import Callable

    from reference_service.http2.headers import Head
    from reference_service.http2.server import Server

REPLENISH_BYTES: Final = 1 << 15
FRAMES_A_TURN, TURN_S = 256, 0.004
"""Of one connection, before others have their turn; the time is shared by all that have sent too much for one."""
BYTES_A_FRAME: Final = 128
"""Of headers in more than a frame, far more than a call may have: so many take as long as a frame without a call."""
CRUMB_BYTES, CRUMBS_MAX = 128, 256
"""Pieces of a message smaller than this cost more than they carry: so many of them may be."""


class Incoming(Lasting):
    """The receiving side of a connection."""

    def __init__(self, server: Server, made: Callable[[], object]) -> None:
        super().__init__(server, made)
        self._reader = HeaderReader(self.limits.metadata_bytes)
        self._rest = b""
        self._received = 0
        self._unfinished: tuple[int, int, bytes] | None = None

    # for Connection to fill in

    def headers_whole(self, stream: Stream) -> None:
        """A call's headers have come."""
        raise NotImplementedError

    def data_more(self, stream: Stream) -> None:
        """More of a call's data has come."""
        raise NotImplementedError

    def data_whole(self, stream: Stream) -> None:
        """All of a call's data has come."""
        raise NotImplementedError

    # bytes

    def data_received(self, data: bytes) -> None:
        """Take in all whole frames, or as many as may be in one turn."""
        if self.closing:
            return
        self._rest = self._rest + data if self._rest else data
        if not self.busy:
            self._take_in()

    def _take_in(self) -> None:
        data = self._rest
        try:
            position, more = self._read(data)
        except ConnectionBrokenError as error:
            self._rest = b""
            self.server.counts.refuse("flood" if error.code == wire.ENHANCE_YOUR_CALM else "protocol")
            self.out.goaway(self.last_stream, error.code, str(error))
            self.close()
            return
        except Exception as error:  # noqa: BLE001 - a bug must not leave a connection that nobody reads
            log_failure("connection_failed", error)
            self.transport.abort()
            return
        self._rest = data[position:]
        if more is not self.busy:
            self.read_on(busy=more)
        if more:
            self.loop.call_soon(self._take_in)

    def _read(self, data: bytes) -> tuple[int, bool]:
        """Take in whole frames; how many bytes they were, and whether there are more than one turn may take."""
        position, size, unpack = 0, len(data), wire.HEAD.unpack_from
        if not self.greeted:
            position = len(wire.PREFACE)
            if data[:position] != wire.PREFACE[:size]:
                raise ConnectionBrokenError(wire.PROTOCOL_ERROR, "this is no HTTP/2")
            if size < position + wire.HEAD_BYTES:
                return 0, False
            if data[position + 3] != wire.SETTINGS or data[position + 4] & wire.ACK:
                raise ConnectionBrokenError(wire.PROTOCOL_ERROR, "a greeting without settings")
        until_s = time.monotonic() + TURN_S / (1 + self.server.counts.busy)
        for _ in range(FRAMES_A_TURN):
            if size - position < wire.HEAD_BYTES or self.closing:
                return position, False
            high, low, kind, flags, number = unpack(data, position)
            length = high << 8 | low
            if length > wire.FRAME_MAX:
                raise ConnectionBrokenError(wire.FRAME_SIZE_ERROR, "a frame that is too large")
            end = position + wire.HEAD_BYTES + length
            if end > size:
                return position if self.greeted else 0, False
            self._frame(kind, flags, number & wire.LAST_STREAM, data[position + wire.HEAD_BYTES : end])
            self.greeted = True
            position = end
            if kind == wire.HEADERS and time.monotonic() > until_s:
                break
        return position, True

    # frames

    def _frame(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        if self._unfinished and (kind != wire.CONTINUATION or number != self._unfinished[0]):
            raise ConnectionBrokenError(wire.PROTOCOL_ERROR, "headers that were not finished")
        if kind == wire.DATA:
            self._on_data(flags, number, payload)
        elif kind == wire.HEADERS:
            block = wire.header_block(flags, number, payload)
            if flags & wire.END_HEADERS:
                self._on_headers(flags, number, block)
            else:
                self._unfinished, self.unfinished_since_s = (number, flags, block), self.loop.time()
        elif kind == wire.CONTINUATION:
            self._on_continuation(flags, payload)
        else:
            self.on_control(kind, flags, number, payload)

    def _on_headers(self, flags: int, number: int, block: bytes) -> None:
        head = self._reader.read(block)
        stream = self.streams.get(number)
        if stream is not None or number <= self.last_stream:
            self._on_trailers(flags, stream, head)
            return
        if not number & 1:
            raise ConnectionBrokenError(wire.PROTOCOL_ERROR, f"stream {number} can't be opened")
        self.last_stream = number
        if head.too_large and len(block) > wire.FRAME_MAX:
            self.idle(1 + len(block) // BYTES_A_FRAME)
        if self.leaving or head.malformed or self._crowded():
            if not self.leaving:
                self.idle()
            self.out.reset(number, wire.PROTOCOL_ERROR if head.malformed else wire.REFUSED_STREAM)
            return
        stream = self.streams[number] = Stream(number, head, self.out.stream_credit, time.monotonic())
        self.server.counts.calls += 1
        self.headers_whole(stream)
        if flags & wire.END_STREAM and number in self.streams:
            self.data_whole(stream)

    def _crowded(self) -> bool:
        """Whether too many calls are open, here or in all."""
        count = len(self.streams)
        crowded = count >= self.limits.streams or (
            count >= FAIR_STREAMS and self.server.counts.calls >= self.limits.calls
        )
        if crowded:
            self.server.counts.refuse("streams")
        return crowded

    def _on_trailers(self, flags: int, stream: Stream | None, head: Head) -> None:
        """Headers of a call that was begun: they end what the client sends, and say nothing that counts here."""
        if head.path or not flags & wire.END_STREAM:
            raise ConnectionBrokenError(wire.PROTOCOL_ERROR, "headers of a call that was begun before")
        self.idle()
        if stream is not None and stream.closed_by_peer:
            self.out.reset(stream.id, wire.STREAM_CLOSED)
            self.forget(stream)
        elif stream is not None:
            self.data_whole(stream)
        # else of a call that is over here; they were on their way

    def _on_continuation(self, flags: int, payload: bytes) -> None:
        if self._unfinished is None:
            raise ConnectionBrokenError(wire.PROTOCOL_ERROR, "a continuation of nothing")
        number, first, block = self._unfinished
        block += payload
        self.idle()
        if len(block) > READ_FACTOR * self.limits.metadata_bytes:
            raise ConnectionBrokenError(wire.ENHANCE_YOUR_CALM, "headers without end")
        self._unfinished = None if flags & wire.END_HEADERS else (number, first, block)
        if flags & wire.END_HEADERS:
            self.unfinished_since_s = None
            self._on_headers(first, number, block)

    def _on_data(self, flags: int, number: int, payload: bytes) -> None:
        self._received += len(payload)
        if self._received >= REPLENISH_BYTES:
            self.out.grant(0, self._received)
            self._received = 0
        payload = wire.unpadded(flags, payload)
        ends = flags & wire.END_STREAM
        stream = self.streams.get(number)
        if stream is None or stream.closed_by_peer:
            self._on_stray_data(number, stream)
            return
        stream.take(payload)
        if len(payload) < CRUMB_BYTES and not ends:
            stream.crumbs += 1
        if not ends or stream.feed is not None:
            self.data_more(stream)
        if ends and number in self.streams:
            self.data_whole(stream)

    def _on_stray_data(self, number: int, stream: Stream | None) -> None:
        """Data of a call that is over here was on its way; any other breaks the protocol."""
        if not number or number > self.last_stream:
            raise ConnectionBrokenError(wire.PROTOCOL_ERROR, "data on a stream that was not opened")
        if stream is not None:
            self.out.reset(number, wire.STREAM_CLOSED)
            self.forget(stream)
