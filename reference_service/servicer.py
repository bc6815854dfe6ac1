"""The six calls of the protocol, answered for one model.

Rule: thin. What is right is the contract's to say, what an error becomes is decided in `errors`, and inference runs
inline because it is shorter than a hand-over to a thread. Answers and errors carry who answered in their trailers: an
answer then leaves in one write, and an error stays a single header block, the only form in which an edge can retry it.
"""

from __future__ import annotations

import re
import secrets
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Final, Never

import grpc

from reference_service.errors import code_of, text_of
from reference_service.protocol import headers
from reference_service.protocol.open_inference_pb2 import (
    ModelReadyResponse,
    ServerLiveResponse,
    ServerMetadataResponse,
    ServerReadyResponse,
)
from reference_service.protocol.open_inference_pb2_grpc import GRPCInferenceServiceServicer
from reference_service.telemetry import log_failure

if TYPE_CHECKING:
    from reference_service.contract import Contract
    from reference_service.engines import Engine
    from reference_service.protocol import open_inference_pb2 as pb
    from reference_service.telemetry import PredictionLog

    Context = grpc.aio.ServicerContext[Any, Any]

SERVER_NAME: Final = "gonogo-reference-service"
_is_request_id = re.compile(r"[\x21-\x7e]{1,128}").fullmatch
"""What metadata can carry unchanged; a request's id may be any text of any length."""


class InferenceServicer(GRPCInferenceServiceServicer):
    """Answers for the model of `contract` with `engine`, in the name of `zone`."""

    def __init__(self, contract: Contract, engine: Engine, predictions: PredictionLog, zone: str) -> None:
        self.ready = True
        self.in_flight = 0
        self._contract = contract
        self._engine = engine
        self._predictions = predictions
        self._identity = ((headers.ZONE, zone), (headers.MODEL_VERSION, contract.version))

    async def ServerLive(self, request: pb.ServerLiveRequest, context: Context) -> ServerLiveResponse:  # noqa: N802 - the protocol's name
        """Whether the process answers at all."""
        del request, context
        return ServerLiveResponse(live=True)

    async def ServerReady(self, request: pb.ServerReadyRequest, context: Context) -> ServerReadyResponse:  # noqa: N802 - the protocol's name
        """Whether it wants calls: not once it drains."""
        del request, context
        return ServerReadyResponse(ready=self.ready)

    async def ModelReady(self, request: pb.ModelReadyRequest, context: Context) -> ModelReadyResponse:  # noqa: N802 - the protocol's name
        """Whether the named model can be asked here; an unknown one is not ready, which is no error."""
        del context
        return ModelReadyResponse(ready=self.ready and self._contract.serves(request.name, request.version))

    async def ServerMetadata(self, request: pb.ServerMetadataRequest, context: Context) -> ServerMetadataResponse:  # noqa: N802 - the protocol's name
        """What this server is."""
        del request, context
        return ServerMetadataResponse(name=SERVER_NAME, version=_server_version())

    async def ModelMetadata(self, request: pb.ModelMetadataRequest, context: Context) -> pb.ModelMetadataResponse:  # noqa: N802 - the protocol's name
        """The tensors of the model served."""
        try:
            self._contract.check_model(request.name, request.version)
        except Exception as error:  # noqa: BLE001 - one place turns every error into a code
            await self._refuse(context, error, _request_id(context, ""))
        return self._contract.metadata()

    async def ModelInfer(self, request: pb.ModelInferRequest, context: Context) -> pb.ModelInferResponse:  # noqa: N802 - the protocol's name
        """The model's output for the rows of the request."""
        self.in_flight += 1
        try:
            return await self._infer(request, context)
        finally:
            self.in_flight -= 1

    async def _infer(self, request: pb.ModelInferRequest, context: Context) -> pb.ModelInferResponse:
        request_id = _request_id(context, request.id)
        try:
            self._contract.check_model(request.model_name, request.model_version)
            batch = self._contract.read(request)
            outputs = self._engine.infer(batch)
            response = self._contract.answer(request, outputs)
        except Exception as error:  # noqa: BLE001 - one place turns every error into a code
            await self._refuse(context, error, request_id)
        # Trailing, so that headers and answer leave in one write: a process killed between the two would leave the
        # edge with headers already passed on, and an answer that it may not ask another zone for.
        context.set_trailing_metadata((*self._identity, (headers.REQUEST_ID, request_id)))
        self._predictions.add(request_id, batch, outputs)
        return response

    async def _refuse(self, context: Context, error: Exception, request_id: str) -> Never:
        if code_of(error) is grpc.StatusCode.INTERNAL:
            log_failure("internal_error", error, request_id=request_id)
        await context.abort(code_of(error), text_of(error), (*self._identity, (headers.REQUEST_ID, request_id)))


def _request_id(context: Context, request_id: str) -> str:
    """The caller's name for the request: its metadata's, else its message's, else a new one."""
    for name, value in context.invocation_metadata() or ():
        if name == headers.REQUEST_ID and _is_request_id(str(value)):
            return str(value)
    return request_id if _is_request_id(request_id) else secrets.token_hex(8)


def _server_version() -> str:
    try:
        return version("gonogo")
    except PackageNotFoundError:  # run from a source tree that is not installed
        return "0+source"
