"""A client that speaks TLS and HTTP/2 by hand, and says how the service took what it sent.

Rule: frames are written here without any library that would refuse to; every wait has a limit.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hpack import Decoder

from reference_service.protocol.messages import MODEL_INFER
from tests.harness.load.odd_peer import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PING,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    block,
    frame,
    message,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.integration.hostile import Hostile

LIMIT_S = 10.0
ACK = 1
FRAME_HEAD_BYTES = 9
PROBE = b"are you?"
"""What a ping carries that is to be counted; its answer shows that the connection lives."""


@dataclass
class Seen:
    """What came back: `grpc-status` by stream, statuses of HTTP, codes of resets and farewells, pongs, the end.

    `last_taken` is the last stream that the service said it takes, as of its latest GOAWAY.
    """

    answers: dict[int, int] = field(default_factory=dict)
    http: set[str] = field(default_factory=set)
    reset: set[int] = field(default_factory=set)
    goaway: set[int] = field(default_factory=set)
    last_taken: int = 2**31 - 1
    pongs: int = 0
    closed: bool = False
    text: bytes = b""

    @property
    def grpc(self) -> set[int]:
        return set(self.answers.values())


class Wire:
    """One connection."""

    def __init__(self, connection: socket.socket) -> None:
        self.seen = Seen()
        self._connection = connection
        self._buffer = b""
        self._decoder = Decoder()

    def send(self, content: bytes) -> None:
        """Send all of it, or as much as the service takes before it hangs up."""
        with contextlib.suppress(OSError):
            self._connection.sendall(content)

    def hear(self, expected: Callable[[Seen], object]) -> None:
        """Listen until what came is as expected; fails the test if it never is."""
        end = time.monotonic() + LIMIT_S
        while not expected(self.seen):
            assert time.monotonic() < end, f"not within {LIMIT_S} s: {self.seen}"
            assert not self.seen.closed, self.seen
            self._read()

    def _read(self) -> None:
        try:
            content = self._connection.recv(65536)
        except TimeoutError:
            return
        except OSError:
            content = b""
        self.seen.closed = not content
        self.seen.text += content[: 1000 - len(self.seen.text)]
        self._buffer += content
        while len(self._buffer) >= FRAME_HEAD_BYTES:
            end = FRAME_HEAD_BYTES + int.from_bytes(self._buffer[:3], "big")
            if len(self._buffer) < end:
                break
            number = int.from_bytes(self._buffer[5:FRAME_HEAD_BYTES], "big")
            self._take(self._buffer[3], self._buffer[4], number, self._buffer[FRAME_HEAD_BYTES:end])
            self._buffer = self._buffer[end:]

    def _take(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        if kind == SETTINGS and not flags & ACK:
            self.send(frame(SETTINGS, ACK, 0))
        elif kind == PING and payload == PROBE and flags & ACK:
            self.seen.pongs += 1
        elif kind == RST_STREAM:
            self.seen.reset.add(int.from_bytes(payload, "big"))
        elif kind == GOAWAY:
            self.seen.goaway.add(int.from_bytes(payload[4:8], "big"))
            self.seen.last_taken = int.from_bytes(payload[:4], "big")
        elif kind == PING and not flags & ACK:
            self.send(frame(PING, ACK, 0, payload))
        elif kind == HEADERS:
            for name, value in self._decoder.decode(payload):
                if name == "grpc-status":
                    self.seen.answers[number] = int(value)
                elif name == ":status":
                    self.seen.http.add(value)


@contextlib.contextmanager
def plain(service: Hostile) -> Iterator[Wire]:
    """A connection without TLS."""
    host, _, port = service.address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=LIMIT_S) as connection:
        yield Wire(connection)


@contextlib.contextmanager
def encrypted(service: Hostile) -> Iterator[Wire]:
    """A connection behind TLS that begins as HTTP/2 does."""
    context = ssl.create_default_context(cadata=service.authority.decode())
    context.set_alpn_protocols(["h2"])
    host, _, port = service.address.rpartition(":")
    with (
        socket.create_connection((host, int(port)), timeout=LIMIT_S) as bare,
        context.wrap_socket(bare, server_hostname=host) as connection,
    ):
        wire = Wire(connection)
        wire.send(PREFACE + frame(SETTINGS, 0, 0))
        yield wire


def call_headers(service: Hostile, *changes: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    """The headers of a decent call, with some changed; one changed to nothing is left out."""
    headers = {
        ":method": "POST",
        ":scheme": "https",
        ":path": MODEL_INFER,
        ":authority": service.address,
        "te": "trailers",
        "content-type": "application/grpc",
        **dict(service.bearer),
        **dict(changes),
    }
    return tuple((name, value) for name, value in headers.items() if value)


def call(
    service: Hostile, content: bytes, *changes: tuple[str, str], number: int = 1, flag: int = 0, ends: bool = True
) -> bytes:
    """A whole call on stream `number`: headers, then one message."""
    return head(number, call_headers(service, *changes)) + body(number, message(content, flag), ends=ends)


def head(number: int, headers: tuple[tuple[str, str], ...], flags: int = END_HEADERS) -> bytes:
    """A HEADERS frame."""
    return frame(HEADERS, flags, number, block(headers))


def body(number: int, content: bytes, *, ends: bool = True) -> bytes:
    """A DATA frame."""
    return frame(DATA, END_STREAM if ends else 0, number, content)


def continuations(service: Hostile, count: int) -> bytes:
    """Headers that go on and on in frames of nothing much."""
    begin = frame(HEADERS, 0, 1, block(call_headers(service)))
    return begin + frame(CONTINUATION, 0, 1, block((("x", "y" * 100),))) * count
