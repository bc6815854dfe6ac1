"""Keeps one HTTP/2 connection to a peer, and makes it again whenever it is lost or the peer takes no more streams.

Rule: as gRPC's channels do: what is to be sent while a connection is being made waits for it; between two attempts it
fails at once. A call that was sent is never sent again.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, NamedTuple

from harness.load import http2
from harness.load.hpack_blocks import AnswerBlocks
from harness.load.http2_frames import LOST

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from harness.load.hpack_blocks import Answer, RequestBlocks

BACKOFF_S = (0.1, 0.2, 0.4, 0.8, 1.0)
"""Pauses after failed attempts: gRPC's own 1 s to 120 s would keep failing a service that is back."""
ATTEMPT_LIMIT_S = 3.0
SHORT_LIVED_S = 0.5
"""A connection lost sooner counts as a failed attempt, so that a peer which drops all of them is not hammered."""


class Peer(NamedTuple):
    """Where to connect ("host:port"), by which TLS if any, and the name that its certificate must have if another."""

    address: str
    tls: ssl.SSLContext | None = None
    server_name: str = ""

    @property
    def host_and_port(self) -> tuple[str, int]:
        """The two parts of the address; an IPv6 host is written in brackets."""
        host, _, port = self.address.rpartition(":")
        return host.strip("[]"), int(port)


class Channel:
    """Streams to one peer. `ended` is told of each call as `http2.Connection` tells it."""

    def __init__(
        self,
        peer: Peer,
        blocks: Callable[[], RequestBlocks],
        ended: Callable[[int, Answer | None, int, int | None], None],
    ) -> None:
        self._peer, self._blocks, self._ended = peer, blocks, ended
        self._connection: http2.Connection | None = None
        self._leaving: list[http2.Connection] = []
        self._early: dict[int, tuple[bytes, bytes]] = {}
        self._connecting = True
        self._tried = asyncio.get_running_loop().create_future()
        self._keeping: asyncio.Task[None] | None = None

    async def connect(self, limit_s: float) -> bool:
        """Begin to keep the connection; returns whether it is up when the first attempt ends, or within `limit_s`."""
        self._keeping = asyncio.create_task(self._keep())
        await asyncio.wait((self._tried,), timeout=limit_s)
        return self._connection is not None

    def send(self, index: int, request_id: bytes, body: bytes) -> None:
        """Send a call, or keep it until the connection is there, or let it fail for want of one."""
        if self._connection is not None:
            self._connection.open(index, request_id, body)
        elif self._connecting:
            self._early[index] = (request_id, body)
        else:
            asyncio.get_running_loop().call_soon(self._ended, index, None, 0, LOST)

    def give_up(self, index: int) -> None:
        """Nothing more is to be told of this call."""
        if self._early.pop(index, None) is None:
            for connection in self._connections():
                connection.reset(index)

    async def close(self) -> None:
        """Close whatever is open."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
        for connection in self._connections():
            connection.close()

    def _connections(self) -> list[http2.Connection]:
        return [*self._leaving, *(() if self._connection is None else (self._connection,))]

    async def _keep(self) -> None:
        """Connect, stay until the connection is gone, and so on; pause after what failed or did not last."""
        failures = 0
        while True:
            began = time.monotonic()
            connection = await self._attempt()
            if connection is not None:
                self._begin(connection)
                await connection.gone
                self._connection = None
                self._leaving = [item for item in (*self._leaving, connection) if len(item)]
            failures = failures + 1 if time.monotonic() - began < SHORT_LIVED_S or connection is None else 0
            if failures:
                await self._pause(BACKOFF_S[min(failures, len(BACKOFF_S)) - 1])

    def _begin(self, connection: http2.Connection) -> None:
        self._connection = connection
        self._tell_tried()
        early, self._early = self._early, {}
        for index, (request_id, body) in early.items():
            connection.open(index, request_id, body)

    async def _pause(self, pause_s: float) -> None:
        """Let what waits fail, and what comes meanwhile."""
        self._connecting = False
        self._tell_tried()
        early, self._early = self._early, {}
        for index in early:
            self._ended(index, None, 0, LOST)
        await asyncio.sleep(pause_s)
        self._connecting = True

    def _tell_tried(self) -> None:
        if not self._tried.done():
            self._tried.set_result(None)

    async def _attempt(self) -> http2.Connection | None:
        """A connection whose peer has sent its settings, or None."""
        connection = http2.Connection(self._blocks(), AnswerBlocks(), self._ended)
        tls, name = self._peer.tls, self._peer.server_name or None
        try:
            async with asyncio.timeout(ATTEMPT_LIMIT_S):
                host, port = self._peer.host_and_port
                made = asyncio.get_running_loop().create_connection(
                    lambda: connection, host, port, ssl=tls, server_hostname=name if tls else None
                )
                transport, _ = await made
                if tls and transport.get_extra_info("ssl_object").selected_alpn_protocol() != "h2":
                    transport.abort()
                await connection.ready
        except (OSError, TimeoutError):  # a failed handshake is an OSError too
            connection.close()
            return None
        return connection
