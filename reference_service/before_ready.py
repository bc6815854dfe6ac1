"""What answers while the model loads: a server that says it lives and is not ready.

Rule: it listens where the service will, so that whoever watches the process sees it alive from the start, however long
an engine takes to build. Nothing is known here of who may call: it says nothing that a closed door would not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from reference_service.calls import refuse, request_id_or_new
from reference_service.errors import NotReadyError
from reference_service.health import Health
from reference_service.listening import bound
from reference_service.protocol.messages import SERVICE
from reference_service.protocol.open_inference_pb2 import ModelReadyResponse, ServerLiveResponse, ServerReadyResponse

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from google.protobuf.message import Message

    from reference_service.calls import Context
    from reference_service.listening import Listener

CLOSING_S = 0.5
"""For calls in hand, each of which is a single sentence."""


class BeforeReady:
    """Answers on `listener` until the block ends; `address` has the port that it got, for the service to share.

    The service starts inside the block: for that moment both listen, which is before anyone is told of the service.
    """

    def __init__(self, listener: Listener) -> None:
        self.address = ""
        self._listener = listener
        self._health = Health()

    async def __aenter__(self) -> Self:
        self._server = grpc.aio.server(options=self._listener.options())
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        self._server.add_generic_rpc_handlers((_NotReady(),))
        for name in ("", SERVICE):
            await self._health.set(name, health_pb2.HealthCheckResponse.NOT_SERVING)
        self.address = bound(self._server, self._listener)
        await self._server.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._health.end_watches()
        await self._server.stop(CLOSING_S)


class _NotReady(grpc.GenericRpcHandler):  # type: ignore[type-arg] # no generic type at run time
    """Whether the server lives: yes. Whether it, or a model, is ready: no. Anything else: not yet."""

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        service, _, call = details.method.removeprefix("/").partition("/")
        if service != SERVICE:
            return None
        answers: dict[str, Message] = {
            "ServerLive": ServerLiveResponse(live=True),
            "ServerReady": ServerReadyResponse(ready=False),
            "ModelReady": ModelReadyResponse(ready=False),
        }
        return grpc.unary_unary_rpc_method_handler(
            _saying(answers[call].SerializeToString()) if call in answers else _not_yet
        )


def _saying(answer: bytes) -> Callable[[bytes, Context], Awaitable[bytes]]:
    async def say(_: bytes, __: Context) -> bytes:
        return answer

    return say


async def _not_yet(_: bytes, context: Context) -> bytes:
    await refuse(
        context, NotReadyError("the model is loading: try again, or ask another server"), (), request_id_or_new("")
    )
