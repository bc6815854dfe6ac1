"""A server that costs as little as Python can: it answers every gRPC or HTTP request alike, and hardly reads it.

Rule: for calibration only. HTTP/2 with prior knowledge and HTTP/1.1 on one port; headers are never decoded, answers are
fixed bytes, and whatever one read asks for goes out by one write. It keeps to the windows that its peer grants.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import uvloop

from harness.load import http2_frames as wire
from harness.load.process import ROOT
from reference_service.protocol.headers import MODEL_VERSION, ZONE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

BACKLOG = 128
OWN = "null"
"""As a load's target: each worker starts a null server of its own, where no other machine's could be reached."""
ORPHAN_CHECK_S = 1.0
GRANT = 1 << 30
"""How many bytes a peer may send ahead, on a connection and on each stream: more than a calibration ever has open."""
_INDEXED_STATUS_200 = b"\x88"  # RFC 7541, appendix A, entry 8


def _literal(name: str, value: str) -> bytes:
    """A header field "without indexing, new name", not Huffman-coded (RFC 7541, 6.2.2); texts below 127 bytes."""
    return b"\x00" + b"".join(bytes([len(text)]) + text.encode() for text in (name, value))


_HEADERS = _INDEXED_STATUS_200 + _literal("content-type", "application/grpc")
_MESSAGE = bytes(5)
"""gRPC's prefix of an empty message: not compressed, no bytes."""
_TRAILERS = b"".join(_literal(*pair) for pair in (("grpc-status", "0"), (ZONE, "null"), (MODEL_VERSION, "null")))
_BODY = b"{}"
_HTTP1 = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(_BODY), _BODY)


def _head(kind: int, flags: int, size: int) -> bytes:
    """The head of a frame without its last four octets, the number of the stream."""
    return wire.frame(kind, flags, 0, bytes(size))[:5]


_PARTS = (
    _head(wire.HEADERS, wire.END_HEADERS, len(_HEADERS)),
    _HEADERS + _head(wire.DATA, 0, len(_MESSAGE)),
    _MESSAGE + _head(wire.HEADERS, wire.END_HEADERS | wire.END_STREAM, len(_TRAILERS)),
    _TRAILERS,
)
"""An answer: the stream's number goes between these."""


class NullProtocol(asyncio.Protocol):
    """One connection: HTTP/2 when it begins with that protocol's preface, else HTTP/1.1."""

    def __init__(self) -> None:
        self._rest = b""
        self._received = 0
        self._window = wire.DEFAULT_WINDOW
        self._waiting: list[bytes] = []
        self._read: Callable[[bytes], int] = self._begin
        self._out: list[bytes] = []
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = transport  # type: ignore[assignment]  # a stream transport

    def data_received(self, data: bytes) -> None:
        """Answer all that is whole; the rest waits for what follows."""
        data = self._rest + data if self._rest else data
        used = -1
        while used:  # the beginning of a connection is read by another method than what follows
            used = self._read(data)
            data = data[used:]
        self._rest = data
        if self._out:
            self._transport.write(b"".join(self._out))
            self._out = []

    def _begin(self, data: bytes) -> int:
        if wire.PREFACE.startswith(data[: len(wire.PREFACE)]):
            if len(data) < len(wire.PREFACE):
                return 0
            granted = wire.SETTING.pack(wire.INITIAL_WINDOW_SIZE, GRANT)
            self._out += [wire.frame(wire.SETTINGS, 0, 0, granted), self._grant(GRANT)]
            self._read = self._frames
            return len(wire.PREFACE)
        self._read = self._requests
        return self._read(data)

    def _frames(self, data: bytes) -> int:
        """Take in whole frames; returns how many bytes they were."""
        position, size, unpack = 0, len(data), wire.HEAD.unpack_from
        while size - position >= 9:  # noqa: PLR2004 - a frame's head
            high, low, kind, flags, _ = unpack(data, position)
            end = position + 9 + (high << 8 | low)
            if end > size:
                break
            if kind <= wire.HEADERS:  # that is, DATA or HEADERS
                if flags & wire.END_STREAM:
                    self._waiting.append(data[position + 5 : position + 9])
            else:
                self._control(kind, flags, data[position + 9 : end], data[position + 5 : position + 9])
            position = end
        self._replenish(position)
        self._answer()
        return position

    def _control(self, kind: int, flags: int, payload: bytes, stream: bytes) -> None:
        if kind == wire.SETTINGS and not flags & wire.ACK:
            self._out.append(wire.frame(wire.SETTINGS, wire.ACK, 0))
        elif kind == wire.PING and not flags & wire.ACK:
            self._out.append(wire.frame(wire.PING, wire.ACK, 0, payload))
        elif kind == wire.WINDOW_UPDATE and not any(stream):
            self._window += wire.U32.unpack(payload)[0]

    def _replenish(self, received: int) -> None:
        """Allow the peer what it has used up, counted with the heads of frames: more than it needs."""
        self._received += received
        if self._received >= wire.REPLENISH:
            self._out.append(self._grant(self._received))
            self._received = 0

    def _answer(self) -> None:
        """Answer the streams that wait, as far as the connection's window goes."""
        count = min(len(self._waiting), self._window // len(_MESSAGE))
        ready, self._waiting = self._waiting[:count], self._waiting[count:]
        self._window -= count * len(_MESSAGE)
        self._out += [stream.join(_PARTS) for stream in ready]

    def _requests(self, data: bytes) -> int:
        """Take in whole requests of HTTP/1.1; returns how many bytes they were."""
        position = 0
        while (end := data.find(b"\r\n\r\n", position)) >= 0:
            end += 4 + _content_length(data[position:end])
            if end > len(data):
                break
            self._out.append(_HTTP1)
            position = end
        return position

    @staticmethod
    def _grant(size: int) -> bytes:
        return wire.frame(wire.WINDOW_UPDATE, 0, 0, wire.U32.pack(size))


def _content_length(head: bytes) -> int:
    """Bytes that follow the head of a request; 0 where it names none."""
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


@dataclass(frozen=True, slots=True)
class NullServer:
    """A running null server."""

    process: subprocess.Popen[bytes]
    address: str


@contextlib.contextmanager
def null_server(tethered: Callable[[Sequence[str]], list[str]]) -> Iterator[NullServer]:
    """A null server in a process of its own, on a free port of this machine; killed at the end.

    `tethered` ties a command to this process (harness.fleet.tether). The port listens from the start, so nobody waits.
    """
    with socket.create_server(("127.0.0.1", 0), backlog=BACKLOG) as listening:
        port, descriptor = listening.getsockname()[1], listening.fileno()
        command = tethered([sys.executable, "-m", "harness.load.null_server", str(descriptor)])
        process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, pass_fds=(descriptor,))
    try:
        yield NullServer(process, f"127.0.0.1:{port}")
    finally:
        process.kill()
        process.wait()


async def serve(descriptor: int) -> None:
    """Serve on the listening socket `descriptor` until whoever started this process is gone."""
    listening, parent = socket.socket(fileno=descriptor), os.getppid()
    async with await asyncio.get_running_loop().create_server(NullProtocol, sock=listening):
        while os.getppid() == parent:  # noqa: ASYNC110 - no event tells of it
            await asyncio.sleep(ORPHAN_CHECK_S)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(int(sys.argv[1])))
