"""A client of bytes: frames as a test wants them, and what the server says to them."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import hpack

from reference_service.http2 import frames as wire
from tests.reference_service.http2.serving import LIMIT_S, SERVICE, Serving

if TYPE_CHECKING:
    import socket

    Said = list[tuple[int, int, int, bytes]]

GRPC = [(":method", "POST"), (":scheme", "http"), (":path", f"/{SERVICE}/echo"), ("content-type", "application/grpc")]
MESSAGE = b"\0\0\0\0\2hi"
OPEN, CLOSE = wire.END_HEADERS, wire.END_HEADERS | wire.END_STREAM


def block(*fields: tuple[str, str]) -> bytes:
    """Headers that leave nothing in the peer's table."""
    encoded = b""
    for name, value in fields or GRPC:
        encoded += b"\0" + b"".join(bytes([len(text)]) + text.encode() for text in (name, value))
    return encoded


def opened(stream: int = 1, flags: int = OPEN, *fields: tuple[str, str]) -> bytes:
    """The headers of a call, which may be the last frame of it."""
    return wire.frame(wire.HEADERS, flags, stream, block(*fields))


def opened_at_length(stream: int, *fields: tuple[str, str]) -> bytes:
    """The headers of a call that take two frames."""
    whole_block = block(*fields)
    first, rest = whole_block[: wire.FRAME_MAX], whole_block[wire.FRAME_MAX :]
    return wire.frame(wire.HEADERS, 0, stream, first) + wire.frame(wire.CONTINUATION, wire.END_HEADERS, stream, rest)


def of(method: str) -> list[tuple[str, str]]:
    """The headers of a call of another method."""
    return [(name, f"/{SERVICE}/{method}" if name == ":path" else value) for name, value in GRPC]


def whole(stream: int) -> bytes:
    """A call whose answer is MESSAGE."""
    return opened(stream) + wire.frame(wire.DATA, wire.END_STREAM, stream, MESSAGE)


def frames_until_end(connection: socket.socket) -> Said:
    """All frames until the server closes, or has answered a second ping, and so has done all that there was to do."""
    connection.settimeout(LIMIT_S)
    data = b""
    for name in (b"ping one", b"ping two"):
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(wire.frame(wire.PING, 0, 0, name))
            while wire.frame(wire.PING, wire.ACK, 0, name) not in data and (more := connection.recv(65_536)):
                data += more
    found = []
    while len(data) >= wire.HEAD_BYTES:
        high, low, kind, flags, stream = wire.HEAD.unpack_from(data)
        end = wire.HEAD_BYTES + (high << 8 | low)
        if kind != wire.PING:
            found.append((kind, flags, stream, data[wire.HEAD_BYTES : end]))
        data = data[end:]
    return found


def said_to(server: Serving, sent: bytes) -> Said:
    """What the server says to these bytes on a connection of their own."""
    with server.raw() as connection:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(sent)
        return frames_until_end(connection)


def status_of(said: Said, stream: int = 1) -> str:
    """The gRPC status with which a call without an answer ended."""
    blocks = [payload for kind, _, number, payload in said if (kind, number) == (wire.HEADERS, stream)]
    return str(dict(hpack.Decoder().decode(blocks[-1]))["grpc-status"])


def closed_within(connection: socket.socket, limit_s: float = LIMIT_S) -> bool:
    """Whether the server hangs up in time; what it says before is read and forgotten."""
    connection.settimeout(limit_s)
    try:
        while connection.recv(65_536):
            pass
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False
    return True
