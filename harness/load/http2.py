"""One HTTP/2 connection of a client that sends many small unary requests (RFC 9113).

Rule: frames in, frames out, nothing waits and nothing is retried. Of every stream that was opened, `ended` is told once
how it ended, unless it was reset from here. A peer's limits on streams and bytes hold requests back here, which is the
peer's doing and counts as its time.
"""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from typing import TYPE_CHECKING

from hpack import HPACKError

from harness.load import http2_frames as wire
from harness.load.http2_frames import HEAD, U32, frame

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.load.hpack_blocks import Answer, AnswerBlocks, RequestBlocks


class Connection(asyncio.Protocol):
    """Its length: how many requests are open. `ready` is set when the peer's settings came, `gone` when it leaves.

    `ended(token, answer, received, error)`: the answer of the last header block (None without one), bytes of data, and
    the HTTP/2 error code that broke the stream off (None when it ended whole, LOST with the connection).
    """

    def __init__(
        self,
        requests: RequestBlocks,
        answers: AnswerBlocks,
        ended: Callable[[int, Answer | None, int, int | None], None],
    ) -> None:
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._requests, self._answers, self._ended = requests, answers, ended
        self._streams: dict[int, wire.Stream] = {}
        self._waiting: deque[tuple[wire.Stream, bytes, bytes]] = deque()
        self._blocked: dict[int, wire.Stream] = {}
        self._next_id, self._streams_max = 1, wire.MAX_WINDOW
        self._window, self._initial_window = wire.DEFAULT_WINDOW, wire.DEFAULT_WINDOW
        self._unacknowledged, self._rest = 0, b""
        self._continued: tuple[int, int, bytes] | None = None
        self._transport: asyncio.Transport
        self._write: Callable[[bytes], None] = wire.not_connected

    def __len__(self) -> int:
        return len(self._streams) + len(self._waiting)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say that the peer may send as much as it likes, and keep no header table."""
        self._transport = transport  # type: ignore[assignment]  # a stream transport
        self._write = transport.write  # type: ignore[attr-defined]  # the same
        settings = [(wire.HEADER_TABLE_SIZE, 0), (wire.ENABLE_PUSH, 0), (wire.INITIAL_WINDOW_SIZE, wire.MAX_WINDOW)]
        payload = b"".join(wire.SETTING.pack(*setting) for setting in settings)
        credit = frame(wire.WINDOW_UPDATE, 0, 0, U32.pack(wire.MAX_WINDOW - wire.DEFAULT_WINDOW))
        self._write(wire.PREFACE + frame(wire.SETTINGS, 0, 0, payload) + credit)

    def connection_lost(self, exc: Exception | None) -> None:
        """Every open stream is lost with it."""
        if not self.ready.done():
            self.ready.set_exception(exc or ConnectionResetError("closed before the peer's settings came"))
        self._tell_gone()
        for stream in self._forget():
            self._ended(stream.token, stream.answer, stream.received, wire.LOST)

    def open(self, token: int, varying: bytes, body: bytes) -> None:
        """Send a request whose varying header is `varying`; `token` names it in `ended`."""
        self._waiting.append((wire.Stream(token, self._initial_window), varying, body))
        self._start_waiting()

    def reset(self, token: int) -> None:
        """Give a request up; nothing more is told of it."""
        self._waiting = deque(item for item in self._waiting if item[0].token != token)
        for number in [number for number, stream in self._streams.items() if stream.token == token]:
            del self._streams[number]
            self._blocked.pop(number, None)
            self._write(frame(wire.RST_STREAM, 0, number, U32.pack(wire.CANCEL)))
            self._start_waiting()

    def close(self) -> None:
        """End the connection, telling of no request any more; harmless when it never came about."""
        self._forget()
        if self.ready.done() and not self.ready.cancelled():
            self.ready.exception()  # seen
        if self._write is not wire.not_connected and not self._transport.is_closing():
            self._write(frame(wire.GOAWAY, 0, 0, U32.pack(0) + U32.pack(wire.NO_ERROR)))
            self._transport.close()

    def _forget(self) -> list[wire.Stream]:
        """Every stream that was open or waiting, from now on unknown."""
        forgotten = [*self._streams.values(), *(stream for stream, _, _ in self._waiting)]
        self._streams, self._blocked = {}, {}
        self._waiting.clear()
        return forgotten

    def _tell_gone(self) -> None:
        if not self.gone.done():
            self.gone.set_result(None)

    def _start(self, stream: wire.Stream, varying: bytes, body: bytes) -> None:
        stream.id = number = self._next_id
        self._next_id += 2
        if self._next_id > wire.LAST_STREAM:
            self._tell_gone()
        self._streams[number] = stream
        block, size = self._requests.block(varying), len(body)
        head = HEAD.pack(len(block) >> 8, len(block) & 0xFF, wire.HEADERS, wire.END_HEADERS, number)
        if size <= wire.FRAME_MAX and size <= self._window and size <= stream.credit:
            self._window -= size
            stream.credit -= size
            data_head = HEAD.pack(size >> 8, size & 0xFF, wire.DATA, wire.END_STREAM, number)
            self._write(b"".join((head, block, data_head, body)))
        else:
            self._write(head + block)
            stream.unsent = body
            self._continue(stream)

    def _continue(self, *streams: wire.Stream) -> None:
        """Send as much of large bodies as the peer allows by now."""
        for stream in streams:
            self._continue_one(stream)

    def _continue_one(self, stream: wire.Stream) -> None:
        while stream.unsent:
            size = min(wire.FRAME_MAX, self._window, stream.credit, len(stream.unsent))
            if size <= 0:
                self._blocked[stream.id] = stream
                return
            part, stream.unsent = stream.unsent[:size], stream.unsent[size:]
            self._window -= size
            stream.credit -= size
            self._write(frame(wire.DATA, 0 if stream.unsent else wire.END_STREAM, stream.id, part))
        self._blocked.pop(stream.id, None)

    def _start_waiting(self) -> None:
        while self._waiting and len(self._streams) < self._streams_max:
            self._start(*self._waiting.popleft())

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
                if end > size:
                    break
                self._frame(kind, flags, number & wire.MAX_WINDOW, data[start:end])
                position = end
        except (HPACKError, struct.error, IndexError, UnicodeDecodeError):
            self._transport.abort()  # not HTTP/2: connection_lost tells of every open stream
            return
        self._rest = data[position:]

    def _frame(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        if kind == wire.DATA:
            self._data(flags, number, payload)
        elif kind == wire.HEADERS:
            self._headers(flags, number, wire.header_block(flags, payload))
        elif kind == wire.CONTINUATION and self._continued is not None:
            first_flags, number, begun = self._continued
            self._continued = None
            self._headers(first_flags | flags & wire.END_HEADERS, number, begun + payload)
        elif kind == wire.WINDOW_UPDATE:
            self._more_window(number, U32.unpack(payload)[0])
        elif kind == wire.RST_STREAM:
            self._end(number, U32.unpack(payload)[0])
        elif kind == wire.SETTINGS and not flags & wire.ACK:
            self._settings(payload)
        elif kind == wire.PING and not flags & wire.ACK:
            self._write(frame(wire.PING, wire.ACK, 0, payload))
        elif kind == wire.GOAWAY:
            self._goaway(U32.unpack_from(payload)[0] & wire.MAX_WINDOW)

    def _data(self, flags: int, number: int, payload: bytes) -> None:
        stream = self._streams.get(number)
        size = len(payload)
        self._unacknowledged += size
        if self._unacknowledged >= wire.REPLENISH:
            self._write(frame(wire.WINDOW_UPDATE, 0, 0, U32.pack(self._unacknowledged)))
            self._unacknowledged = 0
        if stream is not None:
            stream.received += size - (1 + payload[0] if flags & wire.PADDED else 0)
            if flags & wire.END_STREAM:
                self._end(number, None)

    def _headers(self, flags: int, number: int, block: bytes) -> None:
        if not flags & wire.END_HEADERS:
            self._continued = (flags, number, block)
            return
        answer = self._answers.answer(block)  # decoded even for a stream that was given up: the table is shared
        stream = self._streams.get(number)
        if stream is not None:
            stream.answer = answer if stream.answer is None else stream.answer.followed_by(answer)
            if flags & wire.END_STREAM:
                self._end(number, None)

    def _end(self, number: int, error: int | None) -> None:
        stream = self._streams.pop(number, None)
        if stream is None:
            return
        if stream.unsent:  # answered before it was all sent: say that the rest will not come
            self._blocked.pop(number, None)
            if error is None:
                self._write(frame(wire.RST_STREAM, 0, number, U32.pack(wire.NO_ERROR)))
        self._ended(stream.token, stream.answer, stream.received, error)
        self._start_waiting()

    def _more_window(self, number: int, size: int) -> None:
        if number == 0:
            self._window += size
            self._continue(*self._blocked.values())
        elif (stream := self._streams.get(number)) is not None:
            stream.credit += size
            self._continue(stream)

    def _settings(self, payload: bytes) -> None:
        for name, value in wire.SETTING.iter_unpack(payload):
            if name == wire.HEADER_TABLE_SIZE:
                self._requests.grant(value)
            elif name == wire.MAX_CONCURRENT_STREAMS:
                self._streams_max = value
            elif name == wire.INITIAL_WINDOW_SIZE:
                change, self._initial_window = value - self._initial_window, value
                for stream in (*self._streams.values(), *(stream for stream, _, _ in self._waiting)):
                    stream.credit += change
        self._write(frame(wire.SETTINGS, wire.ACK, 0))
        if not self.ready.done():
            self.ready.set_result(None)
        self._continue(*self._blocked.values())
        self._start_waiting()

    def _goaway(self, last: int) -> None:
        self._tell_gone()
        refused = [number for number in self._streams if number > last]
        waiting, self._waiting = self._waiting, deque()
        for number in refused:
            self._end(number, wire.LOST)
        for stream, _, _ in waiting:
            self._ended(stream.token, None, 0, wire.LOST)
