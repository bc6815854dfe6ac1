"""What a connection sends: whole frames, written once in a turn of the event loop, within the peer's windows.

Rule: data that the peer's windows have no room for waits with its stream; headers behind it wait too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference_service.http2 import frames as wire
from reference_service.http2.headers import OPENING

if TYPE_CHECKING:
    import asyncio

    from reference_service.http2.stream import Stream

_OPENING_HEAD = wire.frame(wire.HEADERS, wire.END_HEADERS, 0, OPENING)[:5]
_DATA_HEAD = wire.frame(wire.DATA, 0, 0)[3:5]
_ENDING_HEAD = wire.frame(wire.HEADERS, wire.END_HEADERS | wire.END_STREAM, 0)[3:5]


class Outgoing:
    """The sending side. `credit` is how many bytes of data the peer still takes on the connection.

    While it is `stopped`, because the peer does not read, messages wait with their streams.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, transport: asyncio.Transport) -> None:
        self.credit = self.stream_credit = wire.DEFAULT_WINDOW
        self.stopped = False
        self._loop, self._transport = loop, transport
        self._out: list[bytes] = []

    def frame(self, kind: int, flags: int, number: int, payload: bytes = b"") -> None:
        """Send a frame."""
        self.raw(wire.frame(kind, flags, number, payload))

    def raw(self, frames: bytes) -> None:
        """Send whole frames at the end of this turn of the event loop."""
        if not self._out:
            self._loop.call_soon(self.flush)
        self._out.append(frames)

    def flush(self) -> None:
        """Write what was gathered."""
        out, self._out = self._out, []
        if out and not self._transport.is_closing():
            self._transport.write(b"".join(out))

    def grant(self, number: int, size: int) -> None:
        """Let the peer send `size` bytes more, on a stream or, with 0, on the connection."""
        self.frame(wire.WINDOW_UPDATE, 0, number, wire.U32.pack(size))

    def reset(self, number: int, code: int) -> None:
        """End a stream without an answer, or after one that came before the call was whole."""
        self.frame(wire.RST_STREAM, 0, number, wire.U32.pack(code))

    def goaway(self, last: int, code: int, text: str = "") -> None:
        """Say that calls behind stream `last` are not taken."""
        self.frame(wire.GOAWAY, 0, 0, wire.U32.pack(last) + wire.U32.pack(code) + text.encode())

    def headers(self, number: int, block: bytes, *, end: bool) -> None:
        """Send a header block, in as many frames as it takes."""
        first, rest = block[: wire.FRAME_MAX], block[wire.FRAME_MAX :]
        flags = (wire.END_STREAM if end else 0) | (0 if rest else wire.END_HEADERS)
        self.frame(wire.HEADERS, flags, number, first)
        while rest:
            first, rest = rest[: wire.FRAME_MAX], rest[wire.FRAME_MAX :]
            self.frame(wire.CONTINUATION, 0 if rest else wire.END_HEADERS, number, first)

    def answer(self, stream: Stream, message: bytes, ending: bytes) -> bool:
        """Send headers, one message and trailers; whether all of it went."""
        size = len(message) + 5
        room = 0 if self.stopped else min(self.credit, stream.credit, wire.FRAME_MAX)
        if size > room or len(ending) > wire.FRAME_MAX:
            self.headers(stream.id, OPENING, end=False)
            return self.data(stream, b"\0" + wire.U32.pack(size - 5) + message, ending)
        self.credit -= size
        number = wire.U32.pack(stream.id)
        parts = (
            _OPENING_HEAD, number, OPENING,
            _length(size), _DATA_HEAD, number, b"\0", wire.U32.pack(size - 5), message,
            _length(len(ending)), _ENDING_HEAD, number, ending,
        )  # fmt: skip
        self.raw(b"".join(parts))
        return True

    def data(self, stream: Stream, data: bytes, ending: bytes | None) -> bool:
        """Send data behind what still waits, and then the trailers, if given; whether all of it went."""
        stream.pending += data
        stream.ending = ending
        return self.resume(stream)

    def resume(self, stream: Stream) -> bool:
        """Send what the windows have room for; whether nothing is left."""
        while stream.pending:
            room = 0 if self.stopped else min(self.credit, stream.credit, wire.FRAME_MAX)
            if room <= 0:
                return False
            part, stream.pending = stream.pending[:room], stream.pending[room:]
            self.credit -= len(part)
            stream.credit -= len(part)
            self.frame(wire.DATA, 0, stream.id, part)
        if stream.ending is None:
            return False
        self.headers(stream.id, stream.ending, end=True)
        return True


def _length(size: int) -> bytes:
    return wire.U32.pack(size)[1:]
