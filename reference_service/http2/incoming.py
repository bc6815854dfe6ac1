"""One HTTP/2 connection as it listens: bytes into frames, frames into calls.

Rule: what a peer can make us keep or do is bounded: streams, bytes of headers and messages, frames that carry no call,
answers that it does not read. What breaks the protocol ends the connection as RFC 9113 has it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from reference_service.http2 import frames as wire
from reference_service.http2.control import Control
from reference_service.http2.frames import ConnectionBrokenError
from reference_service.http2.headers import READ_FACTOR, HeaderReader
from reference_service.http2.outgoing import Outgoing
from reference_service.http2.stream import Stream

if TYPE_CHECKING:
    from reference_service.http2.server import Server

REPLENISH_BYTES: Final = 1 << 15
WINDOW_BYTES: Final = 16 << 20
WRITE_BUFFER_BYTES: Final = 1 << 20
BEGIN_LIMIT_S: Final = 10.0


class Incoming(Control):
    """The receiving side of a connection."""

    transport: asyncio.Transport

    def __init__(self, server: Server) -> None:
        super().__init__()
        self.server, self.limits = server, server.limits
        self.leaving = False
        self.quiet = asyncio.Event()
        self._reader = HeaderReader(self.limits.metadata_bytes)
        self._rest = b""
        self._begun = False
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

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet the peer, who has some seconds to begin."""
        self.transport = transport  # type: ignore[assignment] # a stream's
        self.out = Outgoing(self.loop, self.transport)
        self.transport.set_write_buffer_limits(WRITE_BUFFER_BYTES)
        self.server.connections.add(self)  # type: ignore[arg-type] # only Connection is made
        settings = (
            (wire.MAX_CONCURRENT_STREAMS, self.limits.streams),
            (wire.INITIAL_WINDOW_SIZE, self.limits.message_bytes + wire.DEFAULT_WINDOW),
            (wire.MAX_HEADER_LIST_SIZE, self.limits.metadata_bytes),
        )
        self.out.frame(wire.SETTINGS, 0, 0, b"".join(wire.SETTING.pack(*item) for item in settings))
        self.out.grant(0, WINDOW_BYTES - wire.DEFAULT_WINDOW)
        self._patience = self.loop.call_later(BEGIN_LIMIT_S, self.transport.abort)

    def data_received(self, data: bytes) -> None:
        """Take in all whole frames."""
        data = self._rest + data if self._rest else data
        try:
            self._rest = data[self._read(data) :]
        except ConnectionBrokenError as error:
            self._rest = b""
            said = wire.U32.pack(self.last_stream) + wire.U32.pack(error.code) + str(error).encode()
            self.out.frame(wire.GOAWAY, 0, 0, said)
            self.out.flush()
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody waits for the open calls any more."""
        del exc
        self._patience.cancel()
        self.server.connections.discard(self)
        for stream in list(self.streams.values()):
            self.forget(stream)

    def pause_writing(self) -> None:
        """The peer does not read: nothing more is read from it, so that no more answers come up."""
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        """It reads again."""
        self.transport.resume_reading()

    def forget(self, stream: Stream) -> None:
        """A call is over; a handler that still works on it is stopped."""
        self.streams.pop(stream.id, None)
        if stream.timer is not None:
            stream.timer.cancel()
        if stream.task is not None and stream.task is not asyncio.current_task(self.loop):
            stream.task.cancel()
        if not self.streams:
            self.quiet.set()

    # frames

    def _read(self, data: bytes) -> int:
        """Take in whole frames; how many bytes they were."""
        position, size, unpack = 0, len(data), wire.HEAD.unpack_from
        if not self._begun:
            position = len(wire.PREFACE)
            if data[:position] != wire.PREFACE[:size]:
                raise ConnectionBrokenError(wire.PROTOCOL_ERROR, "this is no HTTP/2")
            if size < position:
                return 0
            self._begun = True
            self._patience.cancel()
        while size - position >= wire.HEAD_BYTES and not self.transport.is_closing():
            high, low, kind, flags, number = unpack(data, position)
            length = high << 8 | low
            if length > wire.FRAME_MAX:
                raise ConnectionBrokenError(wire.FRAME_SIZE_ERROR, "a frame that is too large")
            end = position + wire.HEAD_BYTES + length
            if end > size:
                break
            self._frame(kind, flags, number & wire.LAST_STREAM, data[position + wire.HEAD_BYTES : end])
            position = end
        return position

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
                self._unfinished = (number, flags, block)
        elif kind == wire.CONTINUATION:
            self._on_continuation(flags, payload)
        else:
            self.on_control(kind, flags, number, payload)

    def _on_headers(self, flags: int, number: int, block: bytes) -> None:
        head = self._reader.read(block)
        stream = self.streams.get(number)
        if stream is not None:  # a client's trailers end what it sends, and say nothing that counts here
            if not flags & wire.END_STREAM or stream.closed_by_peer:
                raise ConnectionBrokenError(wire.PROTOCOL_ERROR, "headers in the middle of a call")
            self.data_whole(stream)
            return
        if not number & 1 or number <= self.last_stream:
            raise ConnectionBrokenError(wire.PROTOCOL_ERROR, f"stream {number} can't be opened")
        self.last_stream = number
        if self.leaving or len(self.streams) >= self.limits.streams or head.malformed:
            self.idle()
            self.out.reset(number, wire.PROTOCOL_ERROR if head.malformed else wire.REFUSED_STREAM)
            return
        stream = self.streams[number] = Stream(number, head, self.out.stream_credit)
        self.headers_whole(stream)
        if flags & wire.END_STREAM and number in self.streams:
            self.data_whole(stream)

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
            self._on_headers(first, number, block)

    def _on_data(self, flags: int, number: int, payload: bytes) -> None:
        self._received += len(payload) + wire.HEAD_BYTES
        if self._received >= REPLENISH_BYTES:
            self.out.grant(0, self._received)
            self._received = 0
        payload = wire.unpadded(flags, payload)
        if not payload:
            self.idle()
        stream = self.streams.get(number)
        if stream is None or stream.closed_by_peer:
            if not number or number > self.last_stream:
                raise ConnectionBrokenError(wire.PROTOCOL_ERROR, "data on a stream that was not opened")
            return  # of a call that is over here; it was on its way
        stream.take(payload)
        if stream.feed is not None or stream.arrived > self.limits.message_bytes:
            self.data_more(stream)
        if flags & wire.END_STREAM and number in self.streams:
            self.data_whole(stream)
