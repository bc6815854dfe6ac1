"""A gRPC server on asyncio: listens, knows the methods, and leaves without losing a call.

Rule: what `grpc.aio.Server` offers and this service uses, by the same names: gRPC's own packages can add theirs.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from reference_service.http2.accepting import Doorway
from reference_service.http2.limits import Counts, ServerLimits
from reference_service.http2.queue import CallQueue
from reference_service.telemetry import log_failure

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable, Mapping

    import grpc

    from reference_service.http2.connection import Connection
    from reference_service.http2.queue import Refusal

LOOK_INTERVAL_S: Final = 0.5
"""How often slow peers are looked for."""


class Method(NamedTuple):
    """What answers a method, and where its calls wait; None if they are begun at once."""

    handler: Any
    queue: CallQueue | None


class Server:
    """Answers calls by the handlers added to it."""

    def __init__(self, limits: ServerLimits | None = None) -> None:
        self.limits = limits or ServerLimits()
        self.counts = Counts()
        self.connections: set[Connection] = set()
        self._methods: dict[str, Method] = {}
        self._queues: dict[str, CallQueue] = {}
        self._doorway: Doorway | None = None
        self._looking: asyncio.Task[None] | None = None
        self._leave_by_s: float | None = None
        self._farewells: set[asyncio.Task[None]] = set()

    def add_generic_rpc_handlers(self, handlers: Iterable[grpc.GenericRpcHandler[Any, Any]]) -> None:
        """Nothing: gRPC's packages give the same handlers by name, too."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Any]) -> None:
        """Offer these methods of a service, instead of those that were offered under the same names."""
        for name, handler in handlers.items():
            path = f"/{service}/{name}"
            self._methods[path] = Method(handler, self._queues.get(path))

    def add_queue(
        self, service: str, name: str, waiting_max: int, refuse: Callable[[int], Refusal], count: Callable[[], None]
    ) -> None:
        """Have a method's calls wait for their turn, up to `waiting_max`; see CallQueue."""
        self._queues[f"/{service}/{name}"] = CallQueue(waiting_max, refuse, count)

    def listen(self, host: str, port: int, tls: Callable[[], ssl.SSLContext] | None = None) -> int:
        """Bind to an address, with port 0 to a free port; the port. `tls` gives each connection its context.

        Raises:
            OSError: the address can't be had.
        """
        self._doorway = Doorway(self, host, port, tls)
        return self._doorway.port

    async def start(self) -> None:
        """Take connections."""
        assert self._doorway is not None  # noqa: S101 - listen comes first
        self._doorway.open()
        self._looking = asyncio.get_running_loop().create_task(self._look_after())

    async def stop(self, limit_s: float) -> None:
        """Take no more connections and calls, finish those that are open for up to `limit_s`, and close."""
        self._leave_by_s = asyncio.get_running_loop().time() + limit_s
        for connection in self.connections:
            self._see_off(connection)
        doorway, self._doorway = self._doorway, None
        if doorway is not None:
            await doorway.close(limit_s)
        while self._farewells:
            await asyncio.wait(self._farewells)
        if self._looking is not None:
            self._looking.cancel()

    def _see_off(self, connection: Connection) -> None:
        loop = asyncio.get_running_loop()
        task = loop.create_task(connection.leave((self._leave_by_s or 0) - loop.time()))
        self._farewells.add(task)
        task.add_done_callback(self._farewells.discard)

    def method(self, path: str) -> Method | None:
        """What answers a method; None if it is not offered."""
        return self._methods.get(path)

    # what connections use

    def joined(self, connection: Connection) -> None:
        """A connection was made; one that comes while the server leaves is taken, and seen off."""
        self.connections.add(connection)
        if self._leave_by_s is not None:
            self._see_off(connection)

    def relieved(self, asking: Connection) -> bool:
        """Have who holds most hold less; whether that was another than the one `asking`."""
        most = max(self.connections, key=lambda connection: connection.held_bytes)
        if most is asking:
            return False
        most.shed()
        return True

    def has_room(self, greeting: int) -> bool:
        """Whether one more connection may be made, beside those that are being greeted."""
        return len(self.connections) + greeting < self.limits.connections

    def made_room(self) -> bool:
        """Have a connection end that does without: silent, without calls, or with such alone as are held open for ever.

        Whether there was any, since those that wait for answers stay.
        """
        spare = [connection for connection in self.connections if connection.is_spare]
        if spare:
            min(spare, key=lambda one: (bool(one.streams), one.greeted, one.since_s)).make_way()
        return bool(spare)

    async def _look_after(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(min(LOOK_INTERVAL_S, self.limits.slow_s / 2))
            for connection in list(self.connections):
                try:
                    connection.look_after(loop.time())
                except Exception as error:  # noqa: BLE001 - the others are to be looked after all the same
                    log_failure("connection_failed", error)
                    connection.transport.abort()
