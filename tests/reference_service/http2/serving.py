"""The own server as tests meet it: on a thread of its own, with methods that do one thing each."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc
import uvloop
from grpc_health.v1 import health, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

from reference_service.http2 import frames as wire
from reference_service.http2.limits import ServerLimits
from reference_service.http2.server import Server
from tests.reference_service.certificates import signed
from tests.reference_service.http2.methods import methods

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


SERVICE = "test.Echo"
LIMIT_S = 10.0
FEW = ServerLimits(streams=100, message_bytes=200_000, connections=8, held_bytes=2_000_000, calls=150)
LIMITS = ServerLimits(streams=100, message_bytes=200_000, metadata_bytes=8192)


class Tls:
    """An authority, and a context for a server that it vouches for."""

    def __init__(self, folder: Path) -> None:
        self.authority = signed("authority")
        signed("localhost", self.authority).write(folder)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.set_alpn_protocols(["h2"])
        self.context.load_cert_chain(folder / "server.pem", folder / "server.key")


@dataclass
class Serving:
    """A server that runs; `stopped` holds the messages of calls given up, `sent` how many `count` has sent."""

    address: str
    server: Server
    loop: asyncio.AbstractEventLoop
    stopped: list[bytes]
    sent: list[int]
    health: Any

    def stop(self, limit_s: float = 5.0) -> Any:
        """Begin to stop; a future."""
        return asyncio.run_coroutine_threadsafe(self.server.stop(limit_s), self.loop)

    def raw(self) -> socket.socket:
        """A connection of bytes."""
        host, _, port = self.address.rpartition(":")
        connection = socket.create_connection((host, int(port)), LIMIT_S)
        connection.sendall(wire.PREFACE + wire.frame(wire.SETTINGS, 0, 0))
        return connection


@contextlib.contextmanager
def serving(tls: Callable[[], ssl.SSLContext] | None = None, limits: ServerLimits = LIMITS) -> Iterator[Serving]:
    """The test methods, health and reflection on a free port."""
    loop = uvloop.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    stopped: list[bytes] = []
    sent = [0]

    async def begin() -> Serving:
        server, checks = Server(limits), health.aio.HealthServicer()
        server.add_registered_method_handlers(SERVICE, methods(stopped, sent))
        health_pb2_grpc.add_HealthServicer_to_server(checks, server)
        told = reflection.aio.ReflectionServicer((SERVICE, "grpc.health.v1.Health"))
        reflection_pb2_grpc.add_ServerReflectionServicer_to_server(told, server)
        port = server.listen("127.0.0.1", 0, tls)
        await server.start()
        return Serving(f"127.0.0.1:{port}", server, loop, stopped, sent, checks)

    running = asyncio.run_coroutine_threadsafe(begin(), loop).result(LIMIT_S)
    try:
        yield running
    finally:
        running.stop(0.1).result(LIMIT_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(LIMIT_S)
        loop.close()


def call(channel: grpc.Channel, method: str) -> Any:
    """A method of the test service, bytes to bytes."""
    return channel.unary_unary(f"/{SERVICE}/{method}")


def still_answers(server: Serving) -> None:
    """Fail unless a decent caller, on a connection of its own, gets its answer."""
    options = (("grpc.use_local_subchannel_pool", 1),)
    with grpc.insecure_channel(server.address, options) as channel:
        assert call(channel, "echo")(b"others go on", timeout=LIMIT_S) == b"others go on"
