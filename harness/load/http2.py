"""One HTTP/2 connection of a client that sends many small unary requests (RFC 9113).

Rule: frames in, frames out, nothing waits and nothing is retried. Of every stream that was sent, `ended` is told once
how it ended, unless it was reset from here. A peer's limits on streams and bytes hold requests back here, which is the
peer's doing and counts as its time. What a peer does wrong ends the connection only where the rest loses its meaning.
"""

from __future__ import annotations

import asyncio
import struct
from collections import OrderedDict
from typing import TYPE_CHECKING

from hpack import HPACKError

from harness.load import http2_frames as wire
from harness.load.http2_frames import HEAD, U32, Http2Error, frame
from harness.load.http2_uploads import Uploads

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.load.answer_blocks import AnswerBlocks
    from harness.load.hpack_blocks import RequestBlocks


class Connection(asyncio.Protocol):
    """`ready`: whether the peer's settings came. `gone`: it takes no more requests. `closed`: there is no connection.

    `ended(stream, error)`: with the HTTP/2 error code that broke the stream off (None when it ended whole, LOST with
    the connection). Requests opened once it is gone are kept, unsent, for `take_unsent`.
    """

    def __init__(
        self, requests: RequestBlocks, answers: AnswerBlocks, ended: Callable[[wire.Stream, int | None], None]
    ) -> None:
        loop = asyncio.get_running_loop()
        self.ready: asyncio.Future[bool] = loop.create_future()
        self.gone: asyncio.Future[None] = loop.create_future()
        self.closed: asyncio.Future[bool] = loop.create_future()
        self._requests, self._answers, self._ended = requests, answers, ended
        self._streams: dict[int, wire.Stream] = {}
        self._unsent: OrderedDict[int, wire.Stream] = OrderedDict()
        self._uploads = Uploads()
        self._next_id, self._streams_max, self._left = 1, wire.MAX_WINDOW, False
        self._unacknowledged, self._rest = 0, b""
        self._take, self._begun = self._first, (0, 0, b"")
        self._transport: asyncio.Transport | None = None
        self._write: Callable[[bytes], None] = wire.nowhere

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Speak first."""
        self._transport = transport  # type: ignore[assignment]  # a stream transport
        self._write = transport.write  # type: ignore[attr-defined]  # the same
        self._write(wire.OPENING)

    def connection_lost(self, exc: Exception | None) -> None:
        """Every open stream is lost with it; said again, it changes nothing."""
        del exc
        self._transport, self._write = None, wire.nowhere  # a lost transport may raise
        self._leave()
        for future in (self.closed, self.ready):
            if not future.done():
                future.set_result(False)
        for number in tuple(self._streams):
            self._end(number, wire.LOST)

    def open(self, stream: wire.Stream) -> None:
        """Send a request; its body must not be empty."""
        stream.credit = self._uploads.initial
        if len(self._streams) < self._streams_max:
            self._start(stream)
        else:
            self._unsent[stream.token] = stream

    def reset(self, stream: wire.Stream) -> None:
        """Give a request up; nothing more is told of it."""
        if self._streams.get(stream.id) is stream:
            del self._streams[stream.id]
            self._uploads.drop(stream)
            self._write(frame(wire.RST_STREAM, 0, stream.id, U32.pack(wire.CANCEL)))
            self._settle()
        elif self._unsent.get(stream.token) is stream:
            del self._unsent[stream.token]

    def take_unsent(self) -> dict[int, wire.Stream]:
        """The requests, by token, that a connection which is gone never sent; it forgets them."""
        unsent, self._unsent = self._unsent, OrderedDict()
        return unsent

    def close(self) -> None:
        """End the connection once what was written is sent, telling of no request any more."""
        self._streams = {}
        self._write(frame(wire.GOAWAY, 0, 0, U32.pack(0) + U32.pack(wire.NO_ERROR)))
        self._leave()

    def abort(self) -> None:
        """End the connection at once: every open stream is lost. An attempt that is broken off ends by nothing else."""
        if self._transport is not None:
            self._transport.abort()
        self.connection_lost(None)

    def _leave(self) -> None:
        """Send no more requests, and close when the last one that is open has ended."""
        self._left, self._streams_max = True, 0
        if not self.gone.done():
            self.gone.set_result(None)
        self._settle()

    def _settle(self) -> None:
        """A stream has ended, or the limits changed: do what that allows."""
        while self._unsent and len(self._streams) < self._streams_max:
            self._start(self._unsent.popitem(last=False)[1])
        if self._left and not self._streams and self._transport is not None:
            self._transport.close()

    def _start(self, stream: wire.Stream) -> None:
        stream.id = number = self._next_id
        self._next_id += 2
        self._streams[number] = stream
        if number >= wire.LAST_STREAM:
            self._leave()
        block, body, uploads = self._requests.block(stream.varying), stream.body, self._uploads
        size = len(body)
        head = HEAD.pack(len(block) >> 8, len(block) & 0xFF, wire.HEADERS, wire.END_HEADERS, number)
        if size <= wire.FRAME_MAX and size <= uploads.window and size <= stream.credit:
            uploads.window -= size
            stream.credit -= size
            data_head = HEAD.pack(size >> 8, size & 0xFF, wire.DATA, wire.END_STREAM, number)
            self._write(b"".join((head, block, data_head, body)))
        else:
            self._write(head + block)
            uploads.begin(stream, self._write)

    def data_received(self, data: bytes) -> None:
        """Take in whole frames; the beginning of the next one waits for its rest."""
        if self._rest:
            data = self._rest + data
        position, size, unpack = 0, len(data), HEAD.unpack_from
        try:
            while size - position >= 9:  # noqa: PLR2004 - a frame's head
                high, low, kind, flags, number = unpack(data, position)
                start = position + 9
                end = start + (high << 8 | low)
                if end - start > wire.FRAME_MAX:
                    raise Http2Error("a frame larger than allowed")  # noqa: TRY301 - what follows is not read
                if end > size:
                    break
                self._take(kind, flags, number & wire.MAX_WINDOW, data[start:end])
                position = end
        except (Http2Error, HPACKError, struct.error, IndexError):
            self.abort()
            return
        self._rest = data[position:]

    def _first(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        """The peer's first frame."""
        if kind != wire.SETTINGS or flags & wire.ACK:
            raise Http2Error("not HTTP/2: it does not begin with settings")
        self._take = self._frame
        self._frame(kind, flags, number, payload)

    def _frame(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        if kind == wire.DATA:
            self._data(flags, number, payload)
        elif kind == wire.HEADERS:
            self._headers(flags, number, wire.header_block(flags, payload))
        elif kind == wire.WINDOW_UPDATE:
            stream = self._streams.get(number)
            if stream is not None or number == 0:
                self._uploads.widen(U32.unpack(payload)[0] & wire.MAX_WINDOW, stream, self._write)
        elif kind == wire.RST_STREAM:
            self._end(number, U32.unpack(payload)[0])
        elif kind == wire.SETTINGS and not flags & wire.ACK:
            self._settings(payload)
        elif kind == wire.PING and not flags & wire.ACK:
            self._write(frame(wire.PING, wire.ACK, 0, payload))
        elif kind == wire.GOAWAY:
            self._goaway(U32.unpack_from(payload)[0] & wire.MAX_WINDOW)
        elif kind in (wire.PUSH_PROMISE, wire.CONTINUATION):
            raise Http2Error("headers that belong to nothing")

    def _data(self, flags: int, number: int, payload: bytes) -> None:
        self._unacknowledged += len(payload)
        if self._unacknowledged >= wire.REPLENISH:
            self._write(frame(wire.WINDOW_UPDATE, 0, 0, U32.pack(self._unacknowledged)))
            self._unacknowledged = 0
        if flags & wire.PADDED:
            payload = wire.unpadded(flags, payload)
        stream = self._streams.get(number)
        if stream is not None:
            if stream.received < wire.MESSAGE_HEAD_SIZE:
                stream.head = stream.head + payload if stream.received else payload
            stream.received += len(payload)
            if flags & wire.END_STREAM:
                stream.answer = stream.answer and stream.answer.without_trailers()
                self._end(number, None)

    def _headers(self, flags: int, number: int, block: bytes) -> None:
        if not flags & wire.END_HEADERS:
            self._begun, self._take = (flags, number, block), self._more_headers
            return
        answer = self._answers.answer(block)  # decoded even for a stream that was given up: the table is shared
        stream = self._streams.get(number)
        if stream is not None:
            stream.answer = answer if stream.answer is None else stream.answer.followed_by(answer)
            if flags & wire.END_STREAM:
                self._end(number, None)

    def _more_headers(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        """The only frame that may follow headers which have not ended."""
        first_flags, begun_number, block = self._begun
        block += payload
        if kind != wire.CONTINUATION or number != begun_number or len(block) > wire.HEADERS_MAX:
            raise Http2Error("headers that do not go on, or without end")
        self._take = self._frame
        self._headers(first_flags | flags & wire.END_HEADERS, number, block)

    def _end(self, number: int, error: int | None) -> None:
        if (stream := self._streams.pop(number, None)) is None:
            return
        if stream.unsent:  # answered before it was all sent: say that the rest will not come
            self._uploads.drop(stream)
            if error is None:
                self._write(frame(wire.RST_STREAM, 0, number, U32.pack(wire.NO_ERROR)))
        self._ended(stream, error)
        if self._unsent or self._left:
            self._settle()

    def _settings(self, payload: bytes) -> None:
        for name, value in wire.SETTING.iter_unpack(payload):
            if name == wire.HEADER_TABLE_SIZE:
                self._requests.grant(value)
            elif name == wire.MAX_CONCURRENT_STREAMS and not self._left:
                self._streams_max = value
            elif name == wire.INITIAL_WINDOW_SIZE:
                self._uploads.change_initial(value, (*self._streams.values(), *self._unsent.values()))
        self._write(frame(wire.SETTINGS, wire.ACK, 0))  # before anything that makes use of them
        self._uploads.resume(self._write)
        if not self.ready.done():
            self.ready.set_result(True)
        self._settle()

    def _goaway(self, last: int) -> None:
        """The peer takes no request after `last`: those are lost, the others will still be answered."""
        self._leave()
        for number in [number for number in self._streams if number > last]:
            self._end(number, wire.LOST)
