"""What the calls of a connection use: the body they are to answer, and the ways to answer.

Rule: a stream is forgotten exactly once, when its last frame is on its way or nobody waits for it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from reference_service.http2 import frames as wire
from reference_service.http2.control import IDLE_FRAMES_EACH
from reference_service.http2.headers import OPENING
from reference_service.http2.incoming import Incoming
from reference_service.http2.messages import PREFIX_BYTES
from reference_service.http2.stream import NEVER

if TYPE_CHECKING:
    from reference_service.http2.stream import Stream

UNREAD_BYTES_MAX: Final = 64 << 10
"""Of a call's messages that its peer has no room for: then its handler waits."""
MESSAGE_OVERHEAD_BYTES: Final = 64
"""What one of several messages weighs beside its bytes, of which it may have none."""


class Answering(Incoming):
    """The answering side of a connection."""

    def taken(self, stream: Stream) -> bytes | bytearray:
        """The whole body of a call, which is its handler's from now on."""
        body, stream.body = stream.body, b""
        if stream.held:
            self.weigh(stream)
        return body

    def consumed(self, stream: Stream, size: int) -> None:
        """A handler has taken one of several messages: its peer may send as much again."""
        if self.streams.get(stream.id) is stream:
            stream.queued -= size + MESSAGE_OVERHEAD_BYTES
            self.weigh(stream)
            if not stream.closed_by_peer:
                self.out.grant(stream.id, size + PREFIX_BYTES)

    def answer(self, stream: Stream, message: bytes, ending: bytes) -> None:
        """One message and the end."""
        if self.streams.get(stream.id) is stream:
            self.idle_frames -= IDLE_FRAMES_EACH
            if self.out.answer(stream, message, ending):
                self._ended(stream)
            else:
                self._stuck(stream)

    def refuse(self, stream: Stream, ending: bytes) -> None:
        """An end without a message, in one header block."""
        if self.streams.get(stream.id) is stream:
            self.idle_frames -= IDLE_FRAMES_EACH
            self.end_early(stream, OPENING + ending)

    def open_answer(self, stream: Stream) -> None:
        """Headers ahead of several messages."""
        if self.streams.get(stream.id) is stream:
            stream.opened = True
            self.out.headers(stream.id, OPENING, end=False)

    def send_message(self, stream: Stream, data: bytes) -> None:
        """One of several messages."""
        if self.streams.get(stream.id) is stream:
            self.out.data(stream, data, None)
            if stream.pending:
                self._stuck(stream)

    async def room(self, stream: Stream) -> None:
        """Return once the peer has taken what was sent, but for a little."""
        await asyncio.sleep(0)  # what was gathered in this turn leaves, and shows whether the peer reads
        while self.streams.get(stream.id) is stream and (self.paused or len(stream.pending) > UNREAD_BYTES_MAX):
            stream.room = self.loop.create_future()
            await stream.room

    def end_answer(self, stream: Stream, ending: bytes) -> None:
        """The end behind several messages."""
        if self.streams.get(stream.id) is stream:
            if self.out.data(stream, b"", ending):
                self._ended(stream)
            else:
                self._stuck(stream)

    def resume(self, stream: Stream) -> None:
        """Send on what waited for the peer's window."""
        if self.out.resume(stream):
            self._ended(stream)
        elif stream.pending:
            self.weigh(stream)
        else:
            stream.waits_since_s = NEVER
            self.weigh(stream)
            self.go_on(stream)

    def _stuck(self, stream: Stream) -> None:
        """The answer waits for the peer's window: for a while, and counted."""
        if stream.waits_since_s == NEVER:
            stream.waits_since_s = self.loop.time()
        if not self.weigh(stream):
            self.out.reset(stream.id, wire.ENHANCE_YOUR_CALM)
            self.forget(stream)

    def _ended(self, stream: Stream) -> None:
        """The whole answer is on its way; a peer that is still sending is told to stop."""
        if not stream.closed_by_peer:
            self.out.reset(stream.id, wire.NO_ERROR)
        self.forget(stream)

    def end_early(self, stream: Stream, block: bytes) -> None:
        """End a call by a header block and no message."""
        if stream.pending:  # the block can't overtake what was said before
            self.out.reset(stream.id, wire.CANCEL)
            self.forget(stream)
            return
        self.out.headers(stream.id, block.removeprefix(OPENING) if stream.opened else block, end=True)
        self._ended(stream)
