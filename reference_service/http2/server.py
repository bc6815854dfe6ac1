"""A gRPC server on asyncio: listens, knows the methods, and leaves without losing a call.

Rule: what `grpc.aio.Server` offers and this service uses, by the same names, so that one can stand in for the other.
"""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from reference_service.http2.connection import Connection

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable, Mapping

    import grpc

BACKLOG = 1024


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Bounds on one connection: calls open, and bytes of a message and of a call's headers."""

    streams: int = 1024
    message_bytes: int = 1 << 20
    metadata_bytes: int = 8 << 10


class _Asked(NamedTuple):
    """What gRPC's generic handlers want to know of a call to find its method."""

    method: str
    invocation_metadata: tuple[()] = ()


class Server:
    """Answers calls by the handlers added to it."""

    def __init__(self, limits: ConnectionLimits | None = None) -> None:
        self.limits = limits or ConnectionLimits()
        self.connections: set[Connection] = set()
        self._generic: list[grpc.GenericRpcHandler[Any, Any]] = []
        self._methods: dict[str, Any] = {}
        self._listening: list[tuple[socket.socket, ssl.SSLContext | None]] = []
        self._servers: list[asyncio.Server] = []

    def add_generic_rpc_handlers(self, handlers: Iterable[grpc.GenericRpcHandler[Any, Any]]) -> None:
        """Offer the methods that these know."""
        self._generic.extend(handlers)

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Any]) -> None:
        """Offer these methods of a service."""
        self._methods |= {f"/{service}/{name}": handler for name, handler in handlers.items()}

    def listen(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> int:
        """Bind to an address, with port 0 to a free port; the port. Raises OSError."""
        bound = socket.create_server((host, port), backlog=BACKLOG, reuse_port=True)
        self._listening.append((bound, tls))
        return int(bound.getsockname()[1])

    async def start(self) -> None:
        """Take connections."""
        loop = asyncio.get_running_loop()
        for bound, tls in self._listening:
            self._servers.append(await loop.create_server(lambda: Connection(self), sock=bound, ssl=tls))

    async def stop(self, limit_s: float) -> None:
        """Take no more connections and calls, finish those that are open for up to `limit_s`, and close."""
        for server in self._servers:
            server.close()
        await asyncio.gather(*(connection.leave(limit_s) for connection in self.connections))

    def method(self, path: str) -> Any:
        """The handler of a method; None if it is not offered."""
        found = self._methods.get(path)
        if found is None:
            asked: Any = _Asked(path)
            for handler in self._generic:
                found = handler.service(asked)
                if found is not None:
                    self._methods[path] = found
                    break
        return found

    def streams_requests(self, path: str) -> bool:
        """Whether a method takes several messages, and so begins before all have come."""
        method = self.method(path)
        return bool(method is not None and method.request_streaming)
