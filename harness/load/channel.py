"""Keeps one HTTP/2 connection to a peer, and makes it again whenever it is lost or the peer takes no more streams.

Rule: as gRPC's channels do: what is to be sent while a connection is being made waits for it; after an attempt that
failed, until the next one, it fails at once. A call that was sent is never sent again.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, NamedTuple

from harness.load.answer_blocks import AnswerBlocks
from harness.load.http2 import Connection
from harness.load.http2_frames import LOST, Stream
from harness.load.sender import SenderError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from harness.load.hpack_blocks import RequestBlocks

BACKOFF_S = (0.1, 0.2, 0.4, 0.8, 1.0)
"""Pauses after failed attempts: gRPC's own 1 s to 120 s would keep failing a service that is back."""
ATTEMPT_LIMIT_S = 3.0
SHORT_LIVED_S = 0.05
"""Connections lost sooner, one after the other, are made again after a pause only: a peer that drops all of them is not
hammered. Calls wait meanwhile, because no attempt has failed."""
CLOSE_LIMIT_S = 0.5
"""How long a peer may take to let what was written go out."""
NOBODY_CALLS = -1


class Peer(NamedTuple):
    """Where to connect, by which TLS if any, and the name that its certificate must have if not `host`."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None
    server_name: str = ""

    @classmethod
    def at(cls, address: str, tls: ssl.SSLContext | None = None, server_name: str = "") -> Peer:
        """The peer at "host:port", an IPv6 host being in brackets. Raises SenderError when it is no such address."""
        host, _, port = address.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if not host or not port.isdecimal() or not 0 < int(port) < 1 << 16:
            raise SenderError(f"the target must be HOST:PORT, not {address!r}")
        return cls(host, int(port), tls, server_name)


class Channel:
    """Streams to one peer. `ended` is told of each call as `http2.Connection` tells it."""

    def __init__(
        self, peer: Peer, blocks: Callable[[], RequestBlocks], ended: Callable[[Stream, int | None], None]
    ) -> None:
        self._peer, self._blocks, self._ended = peer, blocks, ended
        self._loop = asyncio.get_running_loop()
        self._connection: Connection | None = None
        self._made: set[Connection] = set()
        self._early: dict[int, Stream] = {}
        self._connecting = True
        self._tried = self._loop.create_future()
        self._keeping: asyncio.Task[None] | None = None

    async def connect(self, limit_s: float) -> bool:
        """Begin to keep the connection; returns whether it is up when the first attempt ends, or within `limit_s`."""
        self._keeping = self._loop.create_task(self._keep())
        self._keeping.add_done_callback(self._report)
        await asyncio.wait((self._tried,), timeout=limit_s)
        return self._connection is not None

    def send(self, token: int, varying: bytes, body: bytes) -> Stream:
        """Send a call, or keep it until the connection is there, or let it fail for want of one."""
        stream = Stream(token, varying, body)
        if self._connection is not None:
            self._connection.open(stream)
        elif self._connecting:
            self._early[token] = stream
        else:
            self._loop.call_soon(self._ended, stream, LOST)
        return stream

    def give_up(self, stream: Stream) -> None:
        """Nothing more is to be told of this call."""
        self._early.pop(stream.token, None)
        for connection in self._made:
            connection.reset(stream)
        stream.token = NOBODY_CALLS

    async def close(self) -> None:
        """Close whatever is open, within about CLOSE_LIMIT_S."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.wait((self._keeping,))
        for connection in self._made:
            connection.close()
        if self._made:
            await asyncio.wait([connection.closed for connection in self._made], timeout=CLOSE_LIMIT_S)
        for connection in self._made:
            connection.abort()
        await asyncio.sleep(0)  # the transports' turn

    def _report(self, keeping: asyncio.Task[None]) -> None:
        """Whatever ends the keeping but `close` is a bug, and the loop's owner must hear of it."""
        if not keeping.cancelled():
            context = {"message": "a connection is no longer kept", "exception": keeping.exception()}
            self._loop.call_exception_handler(context)

    async def _keep(self) -> None:
        """Connect, stay until the connection takes no more, and so on."""
        failures = short_lived = 0
        while True:
            connection = await self._attempt()
            if connection is None:
                failures += 1
                await self._fail_for(BACKOFF_S[min(failures, len(BACKOFF_S)) - 1])
                continue
            began, failures = time.monotonic(), 0
            self._begin(connection)
            await connection.gone
            self._connection = None
            self._early.update(connection.take_unsent())
            short_lived = short_lived + 1 if time.monotonic() - began < SHORT_LIVED_S else 0
            if short_lived > 1:
                await asyncio.sleep(BACKOFF_S[min(short_lived, len(BACKOFF_S)) - 1])

    def _begin(self, connection: Connection) -> None:
        self._connection = connection
        self._tell_tried()
        early, self._early = self._early, {}
        for stream in early.values():
            connection.open(stream)

    async def _fail_for(self, pause_s: float) -> None:
        """Let what waits fail, and what comes meanwhile."""
        self._connecting = False
        self._tell_tried()
        early, self._early = self._early, {}
        for stream in early.values():
            self._ended(stream, LOST)
        await asyncio.sleep(pause_s)
        self._connecting = True

    def _tell_tried(self) -> None:
        if not self._tried.done():
            self._tried.set_result(None)

    async def _attempt(self) -> Connection | None:
        """A connection whose peer has sent its settings, or None."""
        peer, up = self._peer, False
        connection = Connection(self._blocks(), AnswerBlocks(), self._ended)
        self._made.add(connection)
        connection.closed.add_done_callback(lambda _: self._made.discard(connection))
        try:
            async with asyncio.timeout(ATTEMPT_LIMIT_S):
                name = peer.server_name or None if peer.tls else None
                transport, _ = await self._loop.create_connection(
                    lambda: connection, peer.host, peer.port, ssl=peer.tls, server_hostname=name
                )
                spoken = transport.get_extra_info("ssl_object").selected_alpn_protocol() if peer.tls else "h2"
                up = spoken == "h2" and await connection.ready
        except (OSError, ValueError):  # a failed handshake and an elapsed limit are OSErrors, an impossible name is not
            up = False
        finally:
            if not up:
                connection.abort()
        return connection if up else None
