"""Health by the standard protocol, `grpc.health.v1`, with watches that don't hold up the end of the process.

Rule: a watch lasts until its caller leaves or the server stops; a server that waits for its calls to finish would
otherwise wait for each watch in vain.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import grpc
from grpc_health.v1 import health

if TYPE_CHECKING:
    from grpc_health.v1 import health_pb2


class Health(health.aio.HealthServicer):  # type: ignore[name-defined,misc] # the package publishes no types
    """SERVING for the whole server from the start; `end_watches` once nothing more will change."""

    def __init__(self) -> None:
        super().__init__()
        self.ended = asyncio.Event()
        """Set once the server wants every long-lived stream to end."""

    async def Watch(self, request: health_pb2.HealthCheckRequest, context: grpc.aio.ServicerContext[Any, Any]) -> None:  # noqa: N802 - the protocol's name
        """Send each change of a service's health until the caller or the server leaves."""
        watch = asyncio.ensure_future(super().Watch(request, context))
        end = asyncio.ensure_future(self.ended.wait())
        try:
            await asyncio.wait({watch, end}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            watch.cancel()
            end.cancel()
        await context.abort(grpc.StatusCode.UNAVAILABLE, "the server is stopping")

    def end_watches(self) -> None:
        """Let go of everyone who watches."""
        self.ended.set()
