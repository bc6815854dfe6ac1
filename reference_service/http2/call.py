"""A call as its handler sees it, and how what the handler does becomes an answer.

Rule: the part of `grpc.aio.ServicerContext` that servers of this service and of gRPC's own packages use. A handler that
raises what nobody foresaw is answered UNKNOWN, without the text, and logged.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final, Never

import grpc

from reference_service.http2.frames import U32
from reference_service.http2.headers import trailers
from reference_service.http2.messages import RESOURCE_EXHAUSTED, MessageError, one_message
from reference_service.telemetry import log_failure

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from reference_service.http2.connection import Connection
    from reference_service.http2.stream import Stream

_CODES: Final = {code: code.value[0] for code in grpc.StatusCode}
CANCELLED, UNKNOWN = 1, 2


class Call:
    """One call on `stream` of `connection`, answered by `handler`."""

    __slots__ = ("_code", "_connection", "_handler", "_stream", "_text", "_trailing")

    def __init__(self, connection: Connection, stream: Stream, handler: Any) -> None:
        self._connection, self._stream, self._handler = connection, stream, handler
        self._code, self._text = 0, ""
        self._trailing: Iterable[tuple[str, str | bytes]] = ()

    # what handlers use

    def invocation_metadata(self) -> tuple[tuple[str, str | bytes], ...]:
        """What the caller sent beside its message."""
        return self._stream.head.metadata

    def set_trailing_metadata(self, metadata: Iterable[tuple[str, str | bytes]]) -> None:
        """What travels behind the answer."""
        self._trailing = metadata

    def set_code(self, code: grpc.StatusCode) -> None:
        """The status of the answer."""
        self._code = _CODES[code]

    def set_details(self, details: str) -> None:
        """The text of the status."""
        self._text = details

    async def abort(
        self, code: grpc.StatusCode, details: str = "", trailing_metadata: Iterable[tuple[str, str | bytes]] = ()
    ) -> Never:
        """End the call with a status; raises grpc.aio.AbortError."""
        self._code, self._text = _CODES[code], details
        self._trailing = trailing_metadata or self._trailing
        raise grpc.aio.AbortError

    def time_remaining(self) -> float | None:
        """Seconds until the caller gives up; None if it did not say."""
        timeout_s = self._stream.head.timeout_s
        if timeout_s is None:
            return None
        return max(0.0, self._stream.opened_s + timeout_s - time.monotonic())

    def peer_identities(self) -> Iterable[bytes] | None:
        """The names in the caller's certificate."""
        return self._connection.identities

    def cancelled(self) -> bool:
        """Whether nobody waits for the answer any more."""
        return self._connection.streams.get(self._stream.id) is not self._stream

    async def write(self, message: Any) -> None:
        """Send one of several messages, once the peer has taken those before."""
        serialise = self._handler.response_serializer
        data = serialise(message) if serialise else message
        if not self._stream.opened:
            self._connection.open_answer(self._stream)
        self._connection.send_message(self._stream, b"\0" + U32.pack(len(data)) + data)
        await self._connection.room(self._stream)

    # what the connection uses

    async def run(self) -> None:
        """Have the handler answer; ends the stream whatever happens, unless the peer already did."""
        message: bytes | None = None
        try:
            message = await self._answered()
        except grpc.aio.AbortError:
            pass
        except MessageError as error:
            self._code, self._text = error.code, str(error)
        except asyncio.CancelledError:
            self._end(None, trailers(CANCELLED, "the call was given up", ()))
            raise
        except Exception as error:  # noqa: BLE001 - a handler's bug must not become the connection's end
            self._failed(error)
        self._end(message, trailers(self._code, self._text, self._trailing))

    def _failed(self, error: Exception) -> None:
        """A handler that set a status before it raised meant that one, as gRPC's own servers have it."""
        if not self._code:
            self._code, self._text, self._trailing = UNKNOWN, "the handler failed", ()
            log_failure("handler_failed", error, method=self._stream.head.path)

    def _end(self, message: bytes | None, ending: bytes) -> None:
        if self._stream.opened:
            self._connection.end_answer(self._stream, ending)
        elif self._code or message is None:
            self._connection.refuse(self._stream, ending)
        elif len(message) > self._connection.limits.message_bytes:
            ending = trailers(RESOURCE_EXHAUSTED, "the answer is larger than a message may be", ())
            self._connection.refuse(self._stream, ending)
        else:
            self._connection.answer(self._stream, message, ending)

    async def _answered(self) -> bytes | None:
        handler = self._handler
        read, write = handler.request_deserializer, handler.response_serializer
        if handler.request_streaming:
            request: Any = self._requests()
        else:
            data, limit = self._connection.taken(self._stream), self._connection.limits.message_bytes
            request = one_message(data, self._stream.head.encoding, limit)
            if read:
                request = read(request)
        if not handler.response_streaming:
            answer = await (handler.stream_unary or handler.unary_unary)(request, self)
            message: bytes = write(answer) if write else answer
            return message
        answers = (handler.stream_stream or handler.unary_stream)(request, self)
        if not hasattr(answers, "__aiter__"):
            await answers  # a handler that writes by itself
            return None
        async for answer in answers:
            await self.write(answer)
        return None

    async def _requests(self) -> AsyncIterator[Any]:
        read, feed = self._handler.request_deserializer, self._stream.feed
        assert feed is not None  # noqa: S101 - the connection makes it for methods that take several messages
        while (data := await feed.get()) is not None:
            self._connection.consumed(self._stream, len(data))
            yield read(data) if read else data
