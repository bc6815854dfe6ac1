"""Request bodies that the peer does not take at once, on their way out as far as its windows allow (RFC 9113, 5.2).

Rule: a body is cut into frames, never copied as a whole; what is blocked goes on in the order in which it was blocked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.load import http2_frames as wire
from harness.load.http2_frames import frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class Uploads:
    """The windows of one connection: `window` for all streams together, `initial` for each new one."""

    def __init__(self) -> None:
        self.window = self.initial = wire.DEFAULT_WINDOW
        self._blocked: dict[int, wire.Stream] = {}

    def begin(self, stream: wire.Stream, write: Callable[[bytes], None]) -> None:
        """Send of its body what the windows allow, and the rest when they are widened."""
        stream.unsent = memoryview(stream.body)
        self._continue(stream, write)

    def drop(self, stream: wire.Stream) -> None:
        """The rest of this body is not to be sent."""
        self._blocked.pop(stream.id, None)
        stream.unsent = b""

    def widen(self, size: int, stream: wire.Stream | None, write: Callable[[bytes], None]) -> None:
        """The peer takes `size` bytes more, of `stream` or (None) in all."""
        if stream is None:
            self.window += size
            self.resume(write)
        else:
            stream.credit += size
            self._continue(stream, write)

    def change_initial(self, size: int, streams: Iterable[wire.Stream]) -> None:
        """Windows begin with `size` bytes from now on; those of open `streams` change as much, even below zero."""
        change, self.initial = size - self.initial, size
        for stream in streams:
            stream.credit += change

    def resume(self, write: Callable[[bytes], None]) -> None:
        """Send what the windows have come to allow."""
        for stream in tuple(self._blocked.values()):
            self._continue(stream, write)

    def _continue(self, stream: wire.Stream, write: Callable[[bytes], None]) -> None:
        while stream.unsent:
            size = min(wire.FRAME_MAX, self.window, stream.credit, len(stream.unsent))
            if size <= 0:
                self._blocked[stream.id] = stream
                return
            part, stream.unsent = stream.unsent[:size], stream.unsent[size:]
            self.window -= size
            stream.credit -= size
            write(frame(wire.DATA, 0 if stream.unsent else wire.END_STREAM, stream.id, part))
        self._blocked.pop(stream.id, None)
