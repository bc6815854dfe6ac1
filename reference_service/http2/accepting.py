"""Where a server's connections come in: accepted one by one, each greeted within a time, no more than may be.

Rule: whoever connects and says nothing keeps nobody out: the oldest of those that have not greeted makes way.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from reference_service.http2.connection import Connection
from reference_service.telemetry import log_event

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from reference_service.http2.server import Server

BACKLOG: Final = 1024
EACH_TURN: Final = 16
"""Connections accepted in one turn of the loop."""
PAUSE_S: Final = 0.5
"""After the system gave no more connections: when some were closed it does again."""
SHUTDOWN_LIMIT_S: Final = 1.0
CLOSE_LIMIT_S: Final = 1.0
"""For handshakes that have begun when the server leaves."""
_KEEPALIVE: Final = (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3), ("TCP_USER_TIMEOUT", 30_000))
"""A peer that vanished without a word is noticed after a minute (tcp(7))."""


class Doorway:
    """A listening socket. `port` is the one it got; `tls` gives each connection its context, None for plaintext."""

    def __init__(self, server: Server, host: str, port: int, tls: Callable[[], ssl.SSLContext] | None) -> None:
        self._server, self._tls = server, tls
        # The port may be held by a supervisor's socket that is bound and does not listen.
        address, family = (host.strip("[]"), port), _family(host)
        self._socket = socket.create_server(address, family=family, backlog=BACKLOG, reuse_port=True)
        self._socket.setblocking(False)
        self.port = int(self._socket.getsockname()[1])
        self._loop = asyncio.get_running_loop()
        self._closed = False
        self._greeting: dict[socket.socket, asyncio.Task[None]] = {}

    def open(self) -> None:
        """Take connections, unless it is closed."""
        if not self._closed:
            self._loop.add_reader(self._socket.fileno(), self._accept, EACH_TURN)

    async def close(self, limit_s: float) -> None:
        """Take those connections that have come, and no more; and see greetings to their end, for a moment."""
        self._closed = True
        self._loop.remove_reader(self._socket.fileno())
        self._accept(BACKLOG)
        self._socket.close()
        if self._greeting:
            await asyncio.wait(set(self._greeting.values()), timeout=min(limit_s, CLOSE_LIMIT_S))
        if self._greeting:
            late = set(self._greeting.values())
            self._give_up(len(late))
            await asyncio.wait(late, timeout=CLOSE_LIMIT_S)

    def _accept(self, most: int) -> None:
        for _ in range(most):
            try:
                connection, _peer = self._socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:  # no more descriptors, or no memory
                self._pause(error)
                return
            self._take(connection)

    def _pause(self, error: OSError) -> None:
        log_event("connections_not_accepted", error=str(error))
        self._loop.remove_reader(self._socket.fileno())
        self._loop.call_later(PAUSE_S, self.open)

    def _take(self, connection: socket.socket) -> None:
        if not self._server.has_room(len(self._greeting)):
            self._server.counts.refuse("connections")
            if self._greeting:
                self._give_up(1)
            elif not self._server.made_room():
                connection.close()
                return
        connection.setblocking(False)
        _keep_alive(connection)
        self._greeting[connection] = self._loop.create_task(self._greet(connection))

    def _give_up(self, count: int) -> None:
        """Wait no longer for those that have been greeted longest: their handshakes see an end, and clean up."""
        for connection in list(self._greeting)[:count]:
            del self._greeting[connection]
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    async def _greet(self, connection: socket.socket) -> None:
        limit_s = self._server.limits.slow_s
        tls: dict[str, Any] = {}
        if self._tls is not None:
            tls = {"ssl": self._tls(), "ssl_handshake_timeout": limit_s, "ssl_shutdown_timeout": SHUTDOWN_LIMIT_S}
        made = partial(self._greeting.pop, connection, None)
        try:  # the loop owns the socket from here on, and closes it
            await self._loop.connect_accepted_socket(lambda: Connection(self._server, made), connection, **tls)
        except OSError:  # of TLS or of the connection: a peer that is none
            self._server.counts.refuse("handshake")
        finally:
            made()


def _keep_alive(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it may be gone already
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE:
        with contextlib.suppress(AttributeError, OSError):  # a name that this system does not have
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _family(host: str) -> socket.AddressFamily:
    """Of the first address that the name has; raises OSError."""
    found = socket.getaddrinfo(host.strip("[]"), None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return found[0][0]
