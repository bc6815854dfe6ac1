"""One HTTP/2 connection: calls begin, are refused before they do, or given up; and the connection leaves.

Rule: what one caller does wrong ends its call, because an edge shares a connection among its callers.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from reference_service.http2 import frames as wire
from reference_service.http2.answering import MESSAGE_OVERHEAD_BYTES, Answering
from reference_service.http2.call import Call
from reference_service.http2.headers import OPENING, trailers
from reference_service.http2.incoming import CRUMBS_MAX
from reference_service.http2.lasting import CLOSE_LIMIT_S
from reference_service.http2.messages import (
    INTERNAL,
    RESOURCE_EXHAUSTED,
    UNIMPLEMENTED,
    MessageError,
    not_larger,
    split_messages,
)
from reference_service.http2.stream import NEVER

if TYPE_CHECKING:
    from reference_service.http2.stream import Stream

DEADLINE_EXCEEDED: Final = 4
UNOFFERED: Final = OPENING + trailers(UNIMPLEMENTED, "this method is not offered here", ())
NO_ROOM: Final = OPENING + trailers(RESOURCE_EXHAUSTED, "too much that is not answered yet is held here", ())
TOO_LATE: Final = OPENING + trailers(DEADLINE_EXCEEDED, "the caller's deadline has passed", ())
TOO_SLOW: Final = OPENING + trailers(RESOURCE_EXHAUSTED, "the message did not come in time", ())
"""No code by which an edge would take this server for the one that is late."""
CUT_SHORT: Final = OPENING + trailers(INTERNAL, "the message was cut short", ())
CRUMBS: Final = OPENING + trailers(RESOURCE_EXHAUSTED, "the message comes in too many pieces", ())
GOAWAY_LIMIT_S: Final = 1.0


class Connection(Answering):
    """One connection of a server."""

    # a call, from its beginning to its end

    def headers_whole(self, stream: Stream) -> None:
        """Begin a call, unless its headers already say that it can't be answered."""
        head = stream.head
        if head.ending:
            self.end_early(stream, head.ending)
            return
        stream.method = method = self.server.method(head.path)
        if method is None:
            self.end_early(stream, UNOFFERED)
            return
        if method.queue is not None and method.queue.full:
            self.end_early(stream, method.queue.refusal())
            return
        if head.timeout_s is not None:
            stream.timer = self.loop.call_later(head.timeout_s, self._late, stream)
        if method.handler.request_streaming:
            stream.feed, stream.waits_since_s = asyncio.Queue(), NEVER
            self.begin(stream)

    def data_more(self, stream: Stream) -> None:
        """Refuse what its first bytes say is too large, hand on what is whole, and count what is kept."""
        limit = self.limits.message_bytes
        try:
            if stream.crumbs > CRUMBS_MAX:
                self.end_early(stream, CRUMBS)
                return
            if stream.feed is None:
                not_larger(stream.body, limit)
            else:
                messages, stream.body = split_messages(stream.body, stream.head.encoding, limit)
                stream.crumbs = 0 if messages else stream.crumbs
                for message in messages:
                    stream.queued += len(message) + MESSAGE_OVERHEAD_BYTES
                    stream.feed.put_nowait(message)
        except MessageError as error:
            self.end_early(stream, OPENING + trailers(error.code, str(error), ()))
            return
        if not self.weigh(stream):
            self.end_early(stream, NO_ROOM)

    def data_whole(self, stream: Stream) -> None:
        """The peer has sent all of the call."""
        stream.closed_by_peer, stream.waits_since_s = True, NEVER
        assert stream.method is not None  # noqa: S101 - without one it has ended by its headers
        queue = stream.method.queue
        if stream.feed is not None and stream.body:
            self.end_early(stream, CUT_SHORT)
        elif stream.feed is not None:
            stream.feed.put_nowait(None)
        elif queue is None:
            self.begin(stream)
        elif queue.full:
            self.end_early(stream, queue.refusal())
        elif not queue.put(self, stream) and not self.weigh(stream):
            self.end_early(stream, NO_ROOM)

    def begin(self, stream: Stream) -> None:
        """Have the handler answer."""
        assert stream.method is not None  # noqa: S101 - without one it has ended by its headers
        handler = stream.method.handler
        stream.lasting = handler.response_streaming
        stream.task = self.loop.create_task(Call(self, stream, handler).run())

    def _late(self, stream: Stream) -> None:
        if self.streams.get(stream.id) is stream:
            self.end_early(stream, TOO_LATE)

    def too_slow(self, stream: Stream) -> None:
        """The peer has kept a call waiting for too long: for its message, or by not taking the answer."""
        self.server.counts.refuse("slow")
        if stream.pending:
            self.out.reset(stream.id, wire.CANCEL)
            self.forget(stream)
        else:
            self.end_early(stream, TOO_SLOW)

    # the end

    def shed(self) -> None:
        """Give up the call that holds most."""
        most = max(self.streams.values(), key=lambda stream: stream.held)
        self.end_early(most, NO_ROOM)

    @property
    def is_spare(self) -> bool:
        """Whether no call is open but such as are held open for ever."""
        return all(stream.lasting for stream in self.streams.values())

    def make_way(self) -> None:
        """End the connection, in favour of another."""
        self.out.goaway(self.last_stream, wire.NO_ERROR)
        self.close()
        self.server.connections.discard(self)

    async def leave(self, limit_s: float) -> None:
        """Take no new calls, finish the open ones for up to `limit_s`, and close.

        A peer's calls that are on their way are still taken: the last stream is named only once the peer has answered
        a ping, and so has seen that this connection ends (RFC 9113, 6.8).
        """
        self.out.goaway(wire.LAST_STREAM, wire.NO_ERROR)
        self.out.frame(wire.PING, 0, 0, b"farewell")
        deadline = self.loop.time() + limit_s
        await _within(min(limit_s, GOAWAY_LIMIT_S), self.answered_ping)
        self.leaving = True
        self.out.goaway(self.last_stream, wire.NO_ERROR)
        if self.streams:
            self.quiet.clear()
            await _within(deadline - self.loop.time(), self.quiet)
        self.close()
        await _within(CLOSE_LIMIT_S, self.lost)


async def _within(limit_s: float, event: asyncio.Event) -> Any:
    try:
        await asyncio.wait_for(event.wait(), max(0.0, limit_s))
    except TimeoutError:
        return
