"""Where the service listens: transport, limits of a connection, and which services it offers there.

Rule: nothing of the model is known here. Health answers everyone, because an edge that checks it has no credential;
reflection answers whoever may infer.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

from reference_service.auth.caller import INFER
from reference_service.calls import metadata_of, refuse, request_id_or_new
from reference_service.errors import StartError
from reference_service.protocol.messages import SERVICE
from reference_service.settings import Limits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from reference_service.calls import Context, FrontDoor
    from reference_service.health import Health
    from reference_service.servicer import InferenceServicer

SERVICES: Final = (SERVICE, "grpc.health.v1.Health", reflection.SERVICE_NAME)
_FIXED_OPTIONS: Final = (
    ("grpc.so_reuseport", 1),  # a supervisor may hold the port with a bound socket that does not listen
    ("grpc.http2.max_ping_strikes", 0),  # an edge that pings every second is careful, not abusive
    ("grpc.keepalive_permit_without_calls", 1),
)


@dataclass(frozen=True, slots=True)
class Listener:
    """`address` is HOST:PORT, port 0 picks a free one. Without `credentials` it is plaintext."""

    address: str
    credentials: grpc.ServerCredentials | None = None
    limits: Limits = Limits()  # noqa: RUF009 - frozen

    def options(self) -> tuple[tuple[str, int], ...]:
        """The limits in gRPC's words."""
        return (
            *_FIXED_OPTIONS,
            ("grpc.max_receive_message_length", self.limits.message_bytes_max),
            ("grpc.max_send_message_length", self.limits.message_bytes_max),
            ("grpc.max_concurrent_streams", self.limits.streams_max),
            # Calls wait in gRPC's own queue until the loop takes them. By default 3,000 may, which is longer than any
            # caller waits, and so every answer is late once there are too many calls. Refused here, in native code and
            # with CANCELLED, a call costs about a fifth of what an answer does.
            ("grpc.server.max_pending_requests", self.limits.in_flight_max // 2),
            ("grpc.server.max_pending_requests_hard_limit", self.limits.in_flight_max),
            ("grpc.max_metadata_size", self.limits.metadata_bytes_max),
            ("grpc.absolute_max_metadata_size", 2 * self.limits.metadata_bytes_max),
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


async def start(
    servicer: InferenceServicer, health: Health, door: FrontDoor, listener: Listener
) -> tuple[grpc.aio.Server, str]:
    """A server that answers where the listener says, and the address with the port it got.

    Raises:
        StartError: the address can't be listened on.
    """
    server = grpc.aio.server(options=listener.options())
    # Calls registered by name wait in a queue each: a flood of one keeps neither health nor an operator waiting.
    server.add_registered_method_handlers(SERVICE, servicer.handlers())  # type: ignore[attr-defined] # newer than stubs
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    await health.set(SERVICE, health_pb2.HealthCheckResponse.SERVING)
    reflection_pb2_grpc.add_ServerReflectionServicer_to_server(GuardedReflection(door, health.ended), server)
    address = bound(server, listener)
    await server.start()
    return server, address


def bound(server: grpc.aio.Server, listener: Listener) -> str:
    """The address, with the port it got, on which `server` will listen; raises StartError."""
    host, _, wanted_port = listener.address.rpartition(":")
    if not (host and wanted_port.isdecimal()):
        raise StartError(f"cannot listen on {listener.address!r}: expected HOST:PORT")
    try:
        if listener.credentials is None:
            return f"{host}:{server.add_insecure_port(listener.address)}"
        return f"{host}:{server.add_secure_port(listener.address, listener.credentials)}"
    except RuntimeError as error:
        raise StartError(
            f"cannot listen on {listener.address!r}: the port is taken, or no address of this machine"
        ) from error
