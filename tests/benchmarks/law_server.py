"""A gRPC server that answers every unary call by the law of `law.py`; lean, so that it adds next to nothing to it.

Rule: a process of its own, on one thread, standard library only. It reads all the time and answers in order of arrival
when the law says so; of HTTP/2 it knows what that takes, and it ends with an error rather than break flow control.
Prints its port, then events as JSON lines: `zero` (the cycle begins), `burst` (what ending a stall cost), and when its
input ends `served` (how late its answers were, by its own clock).
"""

from __future__ import annotations

import ctypes
import gc
import json
import select
import socket
import sys
import time
from collections import deque
from typing import Any

from tests.benchmarks.law import SERVICE_NS, answered_ns

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, SETTINGS, PING, WINDOW_UPDATE = 0, 1, 4, 6, 8
ACK = END_STREAM = 0x1
END_HEADERS = 0x4
FIRST_WINDOW, WINDOW_MAX = 65_535, 2**31 - 1
PR_SET_TIMERSLACK = 29
"""From linux/prctl.h: how much the kernel may round up a wait; 50 µs unless told otherwise."""


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One HTTP/2 frame (RFC 9113, section 4.1)."""
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


# Header blocks that change no state of the peer (RFC 7541): ":status: 200" from the static table, the rest as literals.
HEAD = b"\x88" + b"\x0f\x10" + b"\x10application/grpc"
TRAILER = b"\x00" + b"\x0bgrpc-status" + b"\x010"
EMPTY_MESSAGE = b"\0\0\0\0\0"
GREETING = frame(SETTINGS, 0, 0, b"\x00\x04" + WINDOW_MAX.to_bytes(4, "big")) + frame(
    WINDOW_UPDATE, 0, 0, (WINDOW_MAX - FIRST_WINDOW).to_bytes(4, "big")
)


def answer(stream: int) -> bytes:
    """The whole answer to one call: an empty message, and status OK."""
    head, body = frame(HEADERS, END_HEADERS, stream, HEAD), frame(DATA, 0, stream, EMPTY_MESSAGE)
    return head + body + frame(HEADERS, END_HEADERS | END_STREAM, stream, TRAILER)


class Connection:
    """One client's connection: what came in, and how much it lets us send."""

    def __init__(self, peer: socket.socket) -> None:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer.sendall(GREETING)
        self.peer, self.window = peer, FIRST_WINDOW
        self._inbound = bytearray()
        self._greeted = False

    def read(self) -> list[int] | None:
        """The streams whose requests are now complete; None when the client has gone."""
        try:
            content = self.peer.recv(1 << 20)
        except ConnectionError:
            return None
        if not content:
            return None
        self._inbound += content
        if not self._greeted and len(self._inbound) >= len(PREFACE):
            del self._inbound[: len(PREFACE)]
            self._greeted = True
        return self._frames() if self._greeted else []

    def _frames(self) -> list[int]:
        inbound, at, complete = self._inbound, 0, []
        while len(inbound) - at >= 9:
            end = at + 9 + int.from_bytes(inbound[at : at + 3], "big")
            if end > len(inbound):
                break
            kind, flags = inbound[at + 3], inbound[at + 4]
            stream = int.from_bytes(inbound[at + 5 : at + 9], "big")
            if kind in (DATA, HEADERS):
                if flags & END_STREAM:
                    complete.append(stream)
            else:
                self._control(kind, flags, stream, bytes(inbound[at + 9 : end]))
            at = end
        del inbound[:at]
        return complete

    def _control(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == WINDOW_UPDATE and stream == 0:
            self.window += int.from_bytes(payload, "big")
        elif kind in (SETTINGS, PING) and not flags & ACK:
            self.peer.sendall(frame(kind, ACK, 0, payload if kind == PING else b""))


class Server:
    """Serves until its input ends."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._connections: dict[int, Connection] = {}
        self._queue: deque[tuple[int, int, Connection, int]] = (
            deque()
        )  # answer at, arrived at, to whom, on which stream
        self._zero_ns = 0
        self._late_ns: list[int] = []
        tell(port=self._listener.getsockname()[1])

    def serve(self) -> None:
        """Until the input ends."""
        standing = [sys.stdin.fileno(), self._listener.fileno()]
        while True:
            wait_s = max(0, self._queue[0][0] - time.monotonic_ns()) / 1e9 if self._queue else None
            ready, _, _ = select.select([*standing, *self._connections], [], [], wait_s)
            self._release()
            for descriptor in ready:
                if descriptor == standing[0]:
                    self._farewell()
                    return
                if descriptor == standing[1]:
                    connection = Connection(self._listener.accept()[0])
                    self._connections[connection.peer.fileno()] = connection
                else:
                    self._read(descriptor)

    def _read(self, descriptor: int) -> None:
        connection = self._connections[descriptor]
        streams = connection.read()
        arrived_ns = time.monotonic_ns()
        if streams is None:
            del self._connections[descriptor]
            connection.peer.close()
            return
        if streams and not self._zero_ns:
            self._zero_ns = arrived_ns
            tell(event="zero", zero_ns=arrived_ns)
        due_ns = answered_ns(arrived_ns, self._zero_ns)
        self._queue.extend((due_ns, arrived_ns, connection, stream) for stream in streams)

    def _release(self) -> None:
        """Answer everything that is due, each client by one write."""
        queue, now_ns = self._queue, time.monotonic_ns()
        outbound: dict[Connection, list[bytes]] = {}
        held = 0
        due_ns = 0
        while queue and queue[0][0] <= now_ns:
            due_ns, arrived_ns, connection, stream = queue.popleft()
            held += due_ns > arrived_ns + SERVICE_NS
            outbound.setdefault(connection, []).append(answer(stream))
            self._late_ns.append(now_ns - due_ns)
        for connection, answers in outbound.items():
            connection.window -= len(answers) * len(EMPTY_MESSAGE)
            if connection.window < 0:
                raise RuntimeError("the client's flow control leaves no room for an answer")
            connection.peer.sendall(b"".join(answers))
        if held:
            tell(event="burst", answers=held, took_ms=(time.monotonic_ns() - due_ns) / 1e6)

    def _farewell(self) -> None:
        late = sorted(self._late_ns) or [0]
        p50, p99 = (late[int(share * len(late))] / 1e6 for share in (0.5, 0.99))
        tell(event="served", answers=len(self._late_ns), late_ms_p50=p50, late_ms_p99=p99)


def tell(**event: Any) -> None:
    """Print one event as a line of JSON."""
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    ctypes.CDLL(None).prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0)
    gc.disable()
    Server().serve()
