"""The calls of the protocol, answered for the models served.

Rule: thin. Who may call is the front door's to say, what is right the contract's, what an error becomes is decided in
`errors`; inference runs inline where that is shorter than a hand-over to a thread.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Final

import grpc

from reference_service.auth.caller import INFER
from reference_service.calls import FrontDoor, metadata_of, parse, refuse, request_id_in, request_id_or_new, unary
from reference_service.protocol import headers
from reference_service.protocol.messages import SERVICE
from reference_service.protocol.open_inference_pb2 import (
    ModelInferRequest,
    ModelMetadataRequest,
    ModelReadyRequest,
    ModelReadyResponse,
    ServerLiveRequest,
    ServerLiveResponse,
    ServerMetadataRequest,
    ServerMetadataResponse,
    ServerReadyRequest,
    ServerReadyResponse,
)

if TYPE_CHECKING:
    from reference_service.auth.caller import Caller
    from reference_service.calls import Context, Trailers
    from reference_service.protocol import open_inference_pb2 as pb
    from reference_service.serving import ServedModels
    from reference_service.telemetry import PredictionLog

SERVER_NAME: Final = "gonogo-reference-service"


class InferenceServicer:
    """Answers for `models`, in the name of `zone`, those whom `door` lets in."""

    def __init__(self, models: ServedModels, predictions: PredictionLog, zone: str, door: FrontDoor) -> None:
        self.ready = True
        self.in_flight = 0
        self._models = models
        self._predictions = predictions
        self._zone = (headers.ZONE, zone)
        self._door = door

    def handler(self) -> grpc.GenericRpcHandler[Any, Any]:
        """What a server registers to offer the protocol's service."""
        other: dict[str, tuple[str, Any, Any]] = {
            "ServerLive": ("", ServerLiveRequest, self.server_live),
            "ServerReady": ("", ServerReadyRequest, self.server_ready),
            "ModelReady": (INFER, ModelReadyRequest, self.model_ready),
            "ServerMetadata": (INFER, ServerMetadataRequest, self.server_metadata),
            "ModelMetadata": (INFER, ModelMetadataRequest, self.model_metadata),
        }
        handlers: dict[str, Any] = {
            name: unary(self._door, scope, kind, answer, self.identity) for name, (scope, kind, answer) in other.items()
        }
        handlers["ModelInfer"] = grpc.unary_unary_rpc_method_handler(self.model_infer)
        return grpc.method_handlers_generic_handler(SERVICE, handlers)

    def identity(self) -> Trailers:
        """Who answers: the zone, and the version that is current."""
        return self._zone, (headers.MODEL_VERSION, self._models.current.contract.version)

    async def server_live(self, request: pb.ServerLiveRequest, caller: Caller) -> ServerLiveResponse:
        """Whether the process answers at all."""
        del request, caller
        return ServerLiveResponse(live=True)

    async def server_ready(self, request: pb.ServerReadyRequest, caller: Caller) -> ServerReadyResponse:
        """Whether it wants calls: not once it drains."""
        del request, caller
        return ServerReadyResponse(ready=self.ready)

    async def model_ready(self, request: pb.ModelReadyRequest, caller: Caller) -> ModelReadyResponse:
        """Whether the named model can be asked here; an unknown one is not ready, which is no error."""
        del caller
        return ModelReadyResponse(ready=self.ready and self._models.serves(request.name, request.version))

    async def server_metadata(self, request: pb.ServerMetadataRequest, caller: Caller) -> ServerMetadataResponse:
        """What this server is."""
        del request, caller
        return ServerMetadataResponse(name=SERVER_NAME, version=_server_version())

    async def model_metadata(self, request: pb.ModelMetadataRequest, caller: Caller) -> pb.ModelMetadataResponse:
        """The tensors of the model served."""
        del caller
        return self._models.find(request.name, request.version).contract.metadata()

    async def model_infer(self, raw: bytes, context: Context) -> bytes:
        """The model's output for the rows of the request; both messages as they travel."""
        self.in_flight += 1
        metadata = metadata_of(context)
        request_id = request_id_in(metadata)
        try:
            self._door.admit_inference(context, metadata)
            request = parse(ModelInferRequest, raw)
            request_id = request_id or request_id_or_new(request.id)
            return await self._infer(request, request_id, context)
        except Exception as error:  # noqa: BLE001 - one place turns every error into a code
            await refuse(context, error, self.identity(), request_id or request_id_or_new(""))
        finally:
            self.in_flight -= 1

    async def _infer(self, request: pb.ModelInferRequest, request_id: str, context: Context) -> bytes:
        served = self._models.find(request.model_name, request.model_version)
        batch = served.contract.read(request)
        outputs = served.engine.infer(batch)
        answer = served.contract.answer(request, outputs).SerializeToString()
        # Trailing, so that headers and answer leave in one write: a process killed between the two would leave the
        # edge with headers already passed on, and an answer that it may not ask another zone for.
        version = (headers.MODEL_VERSION, served.contract.version)
        context.set_trailing_metadata((self._zone, version, (headers.REQUEST_ID, request_id)))
        self._predictions.add(request_id, batch, outputs)
        return answer


def _server_version() -> str:
    try:
        return version("gonogo")
    except PackageNotFoundError:  # run from a source tree that is not installed
        return "0+source"
