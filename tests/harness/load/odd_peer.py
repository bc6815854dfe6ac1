"""An HTTP/2 server written by hand, frame by frame, for whatever a decent server would never do.

Rule: a script says what it sends and when; its frames are written here without the code under test, and its headers by
the `hpack` library.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from typing import TYPE_CHECKING, NamedTuple

from hpack import Decoder, Encoder, HeaderTuple

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    Headers = Sequence[tuple[str, str]]
    Script = Callable[["OddPeer"], Awaitable[None]]

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, END_HEADERS, PADDED, PRIORITY_FLAG = 1, 4, 8, 32
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
GOOD, TRAILERS = ((":status", "200"), ("content-type", "application/grpc")), (("grpc-status", "0"),)


def frame(kind: int, flags: int, number: int, payload: bytes = b"") -> bytes:
    """A frame, however wrong."""
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", number) + payload


def u32(value: int) -> bytes:
    """Four octets."""
    return struct.pack(">I", value)


def settings(*pairs: tuple[int, int]) -> bytes:
    """A SETTINGS frame."""
    return frame(SETTINGS, 0, 0, b"".join(struct.pack(">HI", *pair) for pair in pairs))


def message(content: bytes, flag: int = 0) -> bytes:
    """A gRPC message with its prefix."""
    return bytes([flag]) + u32(len(content)) + content


def block(headers: Headers) -> bytes:
    """A header block that neither uses nor changes a table."""
    fields = [(name, value, True) for name, value in headers]  # sensitive: never indexed
    return Encoder().encode(fields, huffman=sum(len(value) for _, value in headers) < 1000)  # which takes long


def head(number: int, headers: Headers = GOOD, flags: int = END_HEADERS) -> bytes:
    """The first headers of an answer."""
    return frame(HEADERS, flags, number, block(headers))


def data(number: int, content: bytes = b"world", flags: int = 0) -> bytes:
    """Its message."""
    return frame(DATA, flags, number, message(content))


def tail(number: int, headers: Headers = TRAILERS) -> bytes:
    """Its trailers."""
    return head(number, headers, END_HEADERS | END_STREAM)


def answer(number: int, trailers: Headers = TRAILERS) -> bytes:
    """The three frames of a good answer."""
    return head(number) + data(number) + tail(number, trailers)


def cut(number: int, headers: Headers, size: int, flags: int = 0) -> bytes:
    """A header list as one HEADERS frame and as many CONTINUATION frames as it takes."""
    whole = block(headers)
    parts = [whole[start : start + size] for start in range(0, len(whole), size)]
    frames = [frame(HEADERS, flags, number, parts[0])]
    frames += [frame(CONTINUATION, 0, number, part) for part in parts[1:]]
    return b"".join(frames) + frame(CONTINUATION, END_HEADERS, number)


class Request(NamedTuple):
    """A request that came whole."""

    number: int
    headers: list[HeaderTuple]
    body: bytes


class OddPeer:
    """One connection of the server. `frames` holds (kind, flags, stream, payload) of all that came, requests apart."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writer, self._reader, self._decoder = writer, reader, Decoder()
        self.frames: list[tuple[int, int, int, bytes]] = []
        self.passed: list[tuple[int, int, int, bytes]] = []
        self._open: dict[int, tuple[list[HeaderTuple], bytes]] = {}

    def send(self, *parts: bytes) -> None:
        """Write these bytes."""
        self.writer.write(b"".join(parts))

    async def greet(self, *pairs: tuple[int, int]) -> None:
        """Read the client's preface, send settings."""
        assert await self._reader.readexactly(len(PREFACE)) == PREFACE
        self.send(settings(*pairs))

    async def request(self) -> Request:
        """The next request that came whole; a client that closes raises IncompleteReadError."""
        while True:
            kind, flags, number, payload = await self.read()
            if kind == HEADERS:
                assert flags & END_HEADERS
                self._open[number] = (list(self._decoder.decode(payload)), b"")
            elif kind == DATA:
                headers, body = self._open[number]
                self._open[number] = (headers, body + payload)
                if flags & END_STREAM:
                    return Request(number, *self._open.pop(number))
            else:
                self.frames.append((kind, flags, number, payload))

    async def read(self) -> tuple[int, int, int, bytes]:
        """The next frame."""
        head = await self._reader.readexactly(9)
        payload = await self._reader.readexactly(int.from_bytes(head[:3], "big"))
        return head[3], head[4], int.from_bytes(head[5:], "big"), payload

    async def until_frame(self, kind: int, number: int | None = None) -> tuple[int, int, int, bytes]:
        """Read on until such a frame comes; `passed` holds those that came before it."""
        self.passed.clear()
        while True:
            found = await self.read()
            if found[0] == kind and number in (None, found[2]):
                return found
            self.passed.append(found)

    async def answer_all(self) -> None:
        """Answer every request, until the client closes."""
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                self.send(answer((await self.request()).number))


def answering(make: Callable[[int], bytes] = answer, *, crumbs: bool = False) -> Script:
    """A script that answers every request with what `make` gives for its stream, octet by octet if `crumbs`."""

    async def script(peer: OddPeer) -> None:
        await peer.greet()
        while True:
            made = make((await peer.request()).number)
            for start in range(0, len(made), 1) if crumbs else ():
                peer.send(made[start : start + 1])
                await asyncio.sleep(0)
            peer.send(b"" if crumbs else made)

    return script


@contextlib.asynccontextmanager
async def odd_server(*scripts: Script, port: int = 0, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """A server whose first connection follows the first script, and so on, the last one for all after; its address.

    A connection is closed where its script ends. What a script raises is raised at the end.
    """
    problems: list[BaseException] = []
    tasks: list[asyncio.Task[None]] = []
    count = iter(range(10**6))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.append(asyncio.current_task())  # type: ignore[arg-type]  # a task serves
        try:
            await scripts[min(next(count), len(scripts) - 1)](OddPeer(reader, writer))
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the client closed, or the test is over
        except Exception as error:  # noqa: BLE001 - raised below
            problems.append(error)
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port, ssl=tls)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for problem in problems:
        raise problem
