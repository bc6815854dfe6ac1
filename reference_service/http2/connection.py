"""One HTTP/2 connection as it answers: calls begin, are answered, refused, given up.

Rule: a stream is forgotten exactly once, when its last frame is on its way or nobody waits for it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from reference_service.http2 import frames as wire
from reference_service.http2.call import Call, MessageError, split_messages
from reference_service.http2.headers import ENCODINGS, OPENING, http_only, trailers
from reference_service.http2.incoming import Incoming

if TYPE_CHECKING:
    from reference_service.http2.stream import Stream

UNIMPLEMENTED, RESOURCE_EXHAUSTED, INVALID_ARGUMENT, DEADLINE_EXCEEDED = 12, 8, 3, 4
"""gRPC's numbers of the states that a connection answers by itself."""
GOAWAY_LIMIT_S: Final = 1.0


class Connection(Incoming):
    """One connection of a server."""

    @property
    def peer(self) -> str:
        """Who is at the other end, in gRPC's form."""
        name = self.transport.get_extra_info("peername") or ("unknown", 0)
        return f"{'ipv6' if ':' in name[0] else 'ipv4'}:{name[0]}:{name[1]}"

    @property
    def identities(self) -> list[bytes] | None:
        """The names in the peer's certificate: the alternative ones, or without them the common one."""
        found: dict[str, Any] = self.transport.get_extra_info("peercert") or {}
        alternative = [name.encode() for _, name in found.get("subjectAltName", ())]
        common = [value.encode() for part in found.get("subject", ()) for key, value in part if key == "commonName"]
        return alternative or common or None

    def now_s(self) -> float:
        """The event loop's time."""
        return self.loop.time()

    # a call, from its beginning to its end

    def headers_whole(self, stream: Stream) -> None:
        """Begin a call, unless its headers already say that it can't be answered."""
        head = stream.head
        if head.http_status != 200:  # noqa: PLR2004 - HTTP's OK
            self._end_early(stream, http_only(head.http_status))
        elif head.too_large:
            text = f"metadata may have {self.limits.metadata_bytes} bytes; this call has more"
            self._end_early(stream, OPENING + trailers(RESOURCE_EXHAUSTED, text, ()))
        elif head.unsupported:
            text = f"compression {head.unsupported[:32]!r} is not offered"
            ending = trailers(UNIMPLEMENTED, text, (("grpc-accept-encoding", ",".join(ENCODINGS)),))
            self._end_early(stream, OPENING + ending)
        elif self.server.streams_requests(head.path):
            stream.feed = asyncio.Queue()
            self._begin(stream)

    def data_more(self, stream: Stream) -> None:
        """Hand on what is whole, and bound what is not."""
        if stream.feed is not None:
            try:
                messages, rest = split_messages(stream.whole())
            except MessageError as error:
                self._end_early(stream, OPENING + trailers(INVALID_ARGUMENT, str(error), ()))
                return
            stream.take(rest)
            for message in messages:
                stream.feed.put_nowait(message)
        if stream.arrived > self.limits.message_bytes + 5:
            text = f"the message is larger than max: it may have {self.limits.message_bytes} bytes"
            self._end_early(stream, OPENING + trailers(RESOURCE_EXHAUSTED, text, ()))

    def data_whole(self, stream: Stream) -> None:
        """The peer has sent all of the call."""
        stream.closed_by_peer = True
        if stream.feed is not None:
            stream.feed.put_nowait(None)
        else:
            self._begin(stream)

    def _begin(self, stream: Stream) -> None:
        method = self.server.method(stream.head.path)
        if method is None:
            self._end_early(stream, OPENING + trailers(UNIMPLEMENTED, "this method is not offered here", ()))
            return
        stream.task = self.loop.create_task(Call(self, stream, method, self.loop.time()).run())
        if stream.head.timeout_s is not None:
            stream.timer = self.loop.call_later(stream.head.timeout_s, self._late, stream)

    def _late(self, stream: Stream) -> None:
        if stream.id in self.streams:
            self._end_early(stream, OPENING + trailers(DEADLINE_EXCEEDED, "the caller's deadline has passed", ()))

    # what calls use

    def answer(self, stream: Stream, message: bytes, ending: bytes) -> None:
        """One message and the end."""
        if stream.id in self.streams and self.out.answer(stream, message, ending):
            self.forget(stream)

    def refuse(self, stream: Stream, ending: bytes) -> None:
        """An end without a message, in one header block."""
        if stream.id in self.streams:
            self._end_early(stream, OPENING + ending)

    def open_answer(self, stream: Stream) -> None:
        """Headers ahead of several messages."""
        if stream.id in self.streams:
            self.out.headers(stream.id, OPENING, end=False)

    def send_message(self, stream: Stream, data: bytes) -> None:
        """One of several messages."""
        if stream.id in self.streams:
            self.out.data(stream, data, None)

    def end_answer(self, stream: Stream, ending: bytes) -> None:
        """The end behind several messages."""
        if stream.id in self.streams and self.out.data(stream, b"", ending):
            self.forget(stream)

    def _end_early(self, stream: Stream, block: bytes) -> None:
        """A header block and no message; a peer that is still sending is told to stop."""
        self.out.headers(stream.id, block, end=True)
        if not stream.closed_by_peer:
            self.out.reset(stream.id, wire.NO_ERROR)
        self.forget(stream)

    # the end

    async def leave(self, limit_s: float) -> None:
        """Take no new calls, finish the open ones for up to `limit_s`, and close.

        A peer's calls that are on their way are still taken: the last stream is named only once the peer has answered
        a ping, and so has seen that this connection ends (RFC 9113, 6.8).
        """
        self.out.frame(wire.GOAWAY, 0, 0, wire.U32.pack(wire.LAST_STREAM) + wire.U32.pack(wire.NO_ERROR))
        self.out.frame(wire.PING, 0, 0, b"farewell")
        deadline = self.loop.time() + limit_s
        await _within(min(limit_s, GOAWAY_LIMIT_S), self.answered_ping)
        self.leaving = True
        self.out.frame(wire.GOAWAY, 0, 0, wire.U32.pack(self.last_stream) + wire.U32.pack(wire.NO_ERROR))
        if self.streams:
            self.quiet.clear()
            await _within(deadline - self.loop.time(), self.quiet)
        self.out.flush()
        self.transport.close()


async def _within(limit_s: float, event: asyncio.Event) -> None:
    try:
        await asyncio.wait_for(event.wait(), max(0.0, limit_s))
    except TimeoutError:
        return
