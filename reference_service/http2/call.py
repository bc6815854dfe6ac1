"""A call as its handler sees it, and how what the handler does becomes an answer.

Rule: the part of `grpc.aio.ServicerContext` that servers of this service and of gRPC's own packages use. A handler that
raises what nobody foresaw is answered UNKNOWN, without the text, and logged.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any, Final, Never

import grpc

from reference_service.http2.frames import U32
from reference_service.http2.headers import trailers
from reference_service.telemetry import log_failure

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from reference_service.http2.connection import Connection
    from reference_service.http2.stream import Stream

PREFIX_BYTES: Final = 5
_WINDOW_BITS: Final = {"gzip": 31, "deflate": 15}
"""zlib's numbers for the two formats."""
_CODES: Final = {code: code.value[0] for code in grpc.StatusCode}


class MessageError(Exception):
    """What came is not the one message, or the messages, of a call."""


class TooLargeError(MessageError):
    """A message has more bytes than it may have."""


class Call:
    """One call on `stream` of `connection`, answered by `method`."""

    __slots__ = ("_code", "_connection", "_deadline_s", "_method", "_opened", "_stream", "_text", "_trailing")

    def __init__(self, connection: Connection, stream: Stream, method: Any, now_s: float) -> None:
        self._connection, self._stream, self._method = connection, stream, method
        timeout_s = stream.head.timeout_s
        self._deadline_s = None if timeout_s is None else now_s + timeout_s
        self._code, self._text = 0, ""
        self._trailing: Iterable[tuple[str, str | bytes]] = ()
        self._opened = False

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
        return None if self._deadline_s is None else max(0.0, self._deadline_s - self._connection.now_s())

    def peer(self) -> str:
        """Who is at the other end of the connection."""
        return self._connection.peer

    def peer_identities(self) -> Iterable[bytes] | None:
        """The names in the caller's certificate."""
        return self._connection.identities

    def cancelled(self) -> bool:
        """Whether nobody waits for the answer any more."""
        return self._stream.id not in self._connection.streams

    async def write(self, message: Any) -> None:
        """Send one of several messages."""
        serialise = self._method.response_serializer
        data = serialise(message) if serialise else message
        if not self._opened:
            self._opened = True
            self._connection.open_answer(self._stream)
        self._connection.send_message(self._stream, b"\0" + U32.pack(len(data)) + data)

    # what the connection uses

    async def run(self) -> None:
        """Have the handler answer; ends the stream whatever happens, unless the peer already did."""
        message: bytes | None = None
        try:
            message = await self._answered()
        except grpc.aio.AbortError:
            pass
        except MessageError as error:
            too_large = isinstance(error, TooLargeError)
            code = grpc.StatusCode.RESOURCE_EXHAUSTED if too_large else grpc.StatusCode.INVALID_ARGUMENT
            self._code, self._text = _CODES[code], str(error)
        except Exception as error:  # noqa: BLE001 - a handler's bug must not become the connection's end
            self._code, self._text, self._trailing = _CODES[grpc.StatusCode.UNKNOWN], "the handler failed", ()
            log_failure("handler_failed", error, method=self._stream.head.path)
        ending = trailers(self._code, self._text, self._trailing)
        if self._opened:
            self._connection.end_answer(self._stream, ending)
        elif self._code or message is None:
            self._connection.refuse(self._stream, ending)
        else:
            self._connection.answer(self._stream, message, ending)

    async def _answered(self) -> bytes | None:
        method = self._method
        read, write = method.request_deserializer, method.response_serializer
        request: Any = self._requests() if method.request_streaming else self._request()
        if read and not method.request_streaming:
            request = read(request)
        if not method.response_streaming:
            answer = await (method.stream_unary or method.unary_unary)(request, self)
            message: bytes = write(answer) if write else answer
            return message
        answers = (method.stream_stream or method.unary_stream)(request, self)
        if not hasattr(answers, "__aiter__"):
            await answers  # a handler that writes by itself
            return None
        async for answer in answers:
            await self.write(answer)
        return None

    def _request(self) -> bytes:
        return one_message(self._stream.whole(), self._stream.head.encoding, self._connection.limits.message_bytes)

    async def _requests(self) -> AsyncIterator[Any]:
        read, feed = self._method.request_deserializer, self._stream.feed
        assert feed is not None  # noqa: S101 - the connection makes it for methods that take several messages
        while (data := await feed.get()) is not None:
            yield read(data) if read else data


def one_message(data: bytes, encoding: str, bytes_max: int) -> bytes:
    """The one message that `data` must be, as it was before it was compressed by `encoding`.

    Raises:
        MessageError: it is none, more than one, or cut short.
        TooLargeError: it has more than `bytes_max` bytes.
    """
    if len(data) < PREFIX_BYTES or data[0] > 1 or U32.unpack_from(data, 1)[0] != len(data) - PREFIX_BYTES:
        raise MessageError("expected one whole message")
    if not data[0]:
        return data[PREFIX_BYTES:]
    if encoding not in _WINDOW_BITS:
        raise MessageError("a message says that it is compressed, and the call does not say how")
    unpacking = zlib.decompressobj(_WINDOW_BITS[encoding])
    try:
        message = unpacking.decompress(data[PREFIX_BYTES:], bytes_max + 1)
    except zlib.error as error:
        raise MessageError(f"expected a message compressed by {encoding}") from error
    if len(message) > bytes_max:
        raise TooLargeError(f"the message is larger than max: it may have {bytes_max} bytes")
    if not unpacking.eof or unpacking.unused_data:
        raise MessageError(f"expected one whole message compressed by {encoding}")
    return message


def split_messages(data: bytes) -> tuple[list[bytes], bytes]:
    """The whole messages at the beginning of `data`, and what is left; raises MessageError for a compressed one."""
    found: list[bytes] = []
    while len(data) >= PREFIX_BYTES:
        end = PREFIX_BYTES + U32.unpack_from(data, 1)[0]
        if data[0]:
            raise MessageError("expected a message that is not compressed")
        if len(data) < end:
            break
        found.append(data[PREFIX_BYTES:end])
        data = data[end:]
    return found, data
