"""Where the service listens: transport, limits of a connection, and which services it offers there.

Rule: nothing of the model is known here. Health answers everyone, because an edge that checks it has no credential;
reflection answers whoever may infer.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

from reference_service.auth.caller import INFER
from reference_service.calls import metadata_of, refuse, request_id_or_new
from reference_service.errors import StartError
from reference_service.http2.limits import ServerLimits
from reference_service.http2.server import Server
from reference_service.protocol.messages import SERVICE
from reference_service.settings import Limits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from reference_service.auth.tls import ServerIdentity
    from reference_service.calls import Context, FrontDoor
    from reference_service.health import Health
    from reference_service.servicer import InferenceServicer

SERVICES: Final = (SERVICE, "grpc.health.v1.Health", reflection.SERVICE_NAME)


@dataclass(frozen=True, slots=True)
class Listener:
    """`address` is HOST:PORT, port 0 picks a free one. Without an `identity` it is plaintext."""

    address: str
    identity: ServerIdentity | None = None
    limits: Limits = Limits()  # noqa: RUF009 - frozen

    def open(self) -> tuple[Server, str]:
        """A server that is bound, and the address with the port it got; called on the event loop.

        Raises:
            StartError: the address can't be listened on.
        """
        host, _, port = self.address.rpartition(":")
        if not (host and port.isdecimal()):
            raise StartError(f"cannot listen on {self.address!r}: expected HOST:PORT")
        server = Server(_bounds(self.limits))
        try:
            got = server.listen(host, int(port), self.identity.context if self.identity else None)
        except (OSError, OverflowError) as error:
            raise StartError(
                f"cannot listen on {self.address!r}: the port is taken, or no address of this machine"
            ) from error
        return server, f"{host}:{got}"


def _bounds(limits: Limits) -> ServerLimits:
    return ServerLimits(
        streams=limits.streams_max,
        message_bytes=limits.message_bytes_max,
        metadata_bytes=limits.metadata_bytes_max,
        connections=limits.connections_max,
        held_bytes=limits.held_bytes_max,
        slow_s=limits.slow_s_max,
    )


class GuardedReflection(reflection.aio.ReflectionServicer):  # type: ignore[name-defined,misc] # publishes no types
    """Tells what is offered to whom `door` lets in, until `ended` is set."""

    def __init__(self, door: FrontDoor, ended: asyncio.Event) -> None:
        super().__init__(SERVICES)
        self._door = door
        self._ended = ended

    async def ServerReflectionInfo(self, request_iterator: Any, context: Context) -> AsyncIterator[Any]:  # noqa: N802 - the protocol's name
        """Each answer to each question of the stream."""
        try:
            self._door.admit(context, metadata_of(context), INFER)
        except Exception as error:  # noqa: BLE001 - one place turns every error into a code
            await refuse(context, error, (), request_id_or_new(""))
        async for answer in super().ServerReflectionInfo(_until(self._ended, request_iterator), context):
            yield answer


async def _until(ended: asyncio.Event, items: AsyncIterator[Any]) -> AsyncIterator[Any]:
    """Each of `items`, until there are no more or `ended` is set: who only holds a stream holds up nothing."""
    end = asyncio.ensure_future(ended.wait())
    try:
        while True:
            item = asyncio.ensure_future(anext(items))
            await asyncio.wait({item, end}, return_when=asyncio.FIRST_COMPLETED)
            if not item.done():
                item.cancel()
                return
            yield item.result()
    except StopAsyncIteration:
        return
    finally:
        end.cancel()


async def offer(server: Server, servicer: InferenceServicer, health: Health, door: FrontDoor) -> None:
    """Have `server` answer for the service, on the connections that there are too."""
    server.add_queue(SERVICE, "ModelInfer", servicer.admission.in_flight_max, servicer.full, servicer.refused_full)
    server.add_registered_method_handlers(SERVICE, servicer.handlers())
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    reflection_pb2_grpc.add_ServerReflectionServicer_to_server(GuardedReflection(door, health.ended), server)
    for name in ("", SERVICE):
        await health.set(name, health_pb2.HealthCheckResponse.SERVING)


async def start(servicer: InferenceServicer, health: Health, door: FrontDoor, listener: Listener) -> tuple[Server, str]:
    """A server that answers where the listener says, and the address with the port it got; raises StartError."""
    server, address = listener.open()
    await offer(server, servicer, health, door)
    await server.start()
    return server, address
