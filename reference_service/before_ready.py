"""What is answered while the model loads: that the server lives and is not ready.

Rule: it listens from the start, so that whoever watches the process sees it alive, however long an engine takes to
build. Nothing is known here of who may call: it says nothing that a closed door would not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from reference_service.calls import refuse, request_id_or_new
from reference_service.errors import NotReadyError
from reference_service.protocol.messages import SERVICE
from reference_service.protocol.open_inference_pb2 import (
    DESCRIPTOR,
    ModelReadyResponse,
    ServerLiveResponse,
    ServerReadyResponse,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from google.protobuf.message import Message

    from reference_service.calls import Context
    from reference_service.health import Health
    from reference_service.http2.server import Server
    from reference_service.listening import Listener


async def start_before_ready(listener: Listener, health: Health) -> tuple[Server, str]:
    """A server that answers on `listener`, and the address with the port it got; the service is offered there later.

    Raises:
        StartError: the address can't be listened on.
    """
    server, address = listener.open()
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    server.add_registered_method_handlers(SERVICE, _not_ready())
    for name in ("", SERVICE):
        await health.set(name, health_pb2.HealthCheckResponse.NOT_SERVING)
    await server.start()
    return server, address


def _not_ready() -> dict[str, grpc.RpcMethodHandler[Any, Any]]:
    """Whether the server lives: yes. Whether it, or a model, is ready: no. Anything else: not yet."""
    answers: dict[str, Message] = {
        "ServerLive": ServerLiveResponse(live=True),
        "ServerReady": ServerReadyResponse(ready=False),
        "ModelReady": ModelReadyResponse(ready=False),
    }
    calls = [method.name for method in DESCRIPTOR.services_by_name[SERVICE.rpartition(".")[2]].methods]
    return {
        call: grpc.unary_unary_rpc_method_handler(
            _saying(answers[call].SerializeToString()) if call in answers else _not_yet
        )
        for call in calls
    }


def _saying(answer: bytes) -> Callable[[bytes, Context], Awaitable[bytes]]:
    async def say(_: bytes, __: Context) -> bytes:
        return answer

    return say


async def _not_yet(_: bytes, context: Context) -> bytes:
    await refuse(
        context, NotReadyError("the model is loading: try again, or ask another server"), (), request_id_or_new("")
    )
