"""The calls of the protocol, answered for the models served.

Rule: thin. Who may call is the front door's to say, what is right the contract's, what an error becomes is decided in
`errors`; inference runs inline where that is shorter than a hand-over to a thread.
"""

from __future__ import annotations

import time
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Final

import grpc

from reference_service.auth.caller import INFER
from reference_service.calls import FrontDoor, metadata_of, parse, refuse, request_id_in, request_id_or_new, unary
from reference_service.errors import OverloadedError, code_of, details_of, reason_of, text_of
from reference_service.not_offered import not_offered
from reference_service.overload import Admission
from reference_service.protocol import headers
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
from reference_service.settings import Limits
from reference_service.telemetry import RefusalLog
from reference_service.telemetry.metrics import Metrics
from reference_service.validation import timeout_s_in

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from reference_service.audit import AuditJournal
    from reference_service.auth.caller import Caller
    from reference_service.calls import Context, Metadata, Trailers
    from reference_service.protocol import open_inference_pb2 as pb
    from reference_service.repository import Repository
    from reference_service.serving import ServedModels
    from reference_service.telemetry import PredictionLog
    from reference_service.telemetry.traces import Tracer

SERVER_NAME: Final = "gonogo-reference-service"


_clock_ns: Final = time.perf_counter_ns


class _Call:
    """What becomes of one inference: cancelled, until something else is known."""

    __slots__ = ("code", "infer_ns", "reason", "request_id", "span", "version")

    def __init__(self, request_id: str, span: Span | None) -> None:
        self.request_id = request_id
        self.span = span
        self.code = 1
        self.reason = "cancelled"
        self.version = ""
        self.infer_ns: tuple[int, int] | None = None


class InferenceServicer:
    """Answers for `models`, in the name of `zone`, those whom `door` lets in."""

    def __init__(
        self,
        models: ServedModels,
        predictions: PredictionLog,
        zone: str,
        door: FrontDoor,
        *,
        repository: Repository | None = None,
        admission: Admission | None = None,
        metrics: Metrics | None = None,
        tracer: Tracer | None = None,
        audit: AuditJournal | None = None,
    ) -> None:
        self.ready = True
        self.metrics = metrics or Metrics()
        self._tracer = tracer
        self._refusals = RefusalLog(time.monotonic)
        self.admission = admission or Admission(Limits().in_flight_max)
        self._models = models
        self._predictions = predictions
        self._zone = (headers.ZONE, zone)
        self._door = door
        self._repository = repository
        self._audit = audit

    @property
    def in_flight(self) -> int:
        """Inferences in hand."""
        return self.admission.in_flight

    def handlers(self) -> dict[str, grpc.RpcMethodHandler[Any, Any]]:
        """What a server registers to offer the protocol's service, by the name of the call."""
        other: dict[str, tuple[str, Any, Any]] = {
            **(self._repository.calls() if self._repository else {}),
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
        handlers |= not_offered(self._door, self.identity)
        return handlers

    def full(self, waiting: int) -> tuple[int, str, Metadata]:
        """How inferences are refused of which too many wait for their turn: code, text and trailers."""
        error = self.admission.full(waiting)
        return code_of(error).value[0], text_of(error), (*self.identity(), *details_of(error))

    def refused_full(self) -> None:
        """Count one of them."""
        self.admission.refused_full += 1
        self.metrics.ended(OverloadedError.code.value[0], OverloadedError.reason)

    def identity(self) -> Trailers:
        """Who answers: the zone, and the version that is current."""
        return self._zone, self._models.current.identity

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
        began_ns = _clock_ns()
        metadata = metadata_of(context)
        call = _Call(request_id_in(metadata), self._tracer.begin(metadata) if self._tracer else None)
        entered: float | None = None
        try:
            self._door.admit_inference(context, metadata)
            remaining_s = context.time_remaining()
            entered = self.admission.enter(remaining_s)
            admitted_ns = _clock_ns()
            request = parse(ModelInferRequest, raw)
            call.request_id = call.request_id or request_id_or_new(request.id)
            answer = await self._infer(request, call, context, remaining_s, (began_ns, admitted_ns))
            call.code = 0
        except Exception as error:  # noqa: BLE001 - one place turns every error into a code
            call.code, call.reason = code_of(error).value[0], reason_of(error)
            call.request_id = call.request_id or request_id_or_new("")
            await refuse(context, error, self.identity(), call.request_id)
        else:
            return answer
        finally:
            if entered is not None:
                self.admission.leave(entered)
            self._tell(call)

    async def _infer(
        self,
        request: pb.ModelInferRequest,
        call: _Call,
        context: Context,
        remaining_s: float | None,
        times_ns: tuple[int, int],
    ) -> bytes:
        began_ns, admitted_ns = times_ns
        with self._models.find(request.model_name, request.model_version) as served:
            batch = served.contract.read(request)
            read_ns = _clock_ns()
            if served.batcher is None:
                outputs = served.engine.infer(batch)
            else:
                outputs = await served.batcher.infer(batch, _deadline_s(request, remaining_s))
            inferred_ns = _clock_ns()
            answer = served.contract.answer(request, outputs).SerializeToString()
        done_ns, rows, infer_ns = _clock_ns(), len(batch), inferred_ns - read_ns
        call.version, call.infer_ns = served.contract.version, (read_ns, inferred_ns)
        if self._audit is not None:
            await self._audit.record(call.request_id, call.version, outputs.ravel().tolist())
        if served.batcher is None:
            served.statistics.executed(rows, infer_ns)
        run_ns = min(infer_ns, served.statistics.last_run_ns)
        served.statistics.answered(
            rows, began_ns=began_ns, done_ns=done_ns, queue_ns=infer_ns - run_ns, input_ns=read_ns - admitted_ns,
            infer_ns=run_ns, output_ns=done_ns - inferred_ns,
        )  # fmt: skip
        self.metrics.answered(admitted_ns - began_ns, read_ns - admitted_ns, infer_ns, done_ns - inferred_ns)
        # Trailing, so that headers and answer leave in one write: a process killed between the two would leave the
        # edge with headers already passed on, and an answer that it may not ask another zone for.
        context.set_trailing_metadata((self._zone, served.identity, (headers.REQUEST_ID, call.request_id)))
        self._predictions.add(call.request_id, call.version, batch, outputs)
        return answer

    def _tell(self, call: _Call) -> None:
        """Count what was not answered, and end the span if there is one."""
        if call.code:
            self.metrics.ended(call.code, call.reason)
            self._refusals.add(call.reason, call.request_id)
        if call.span is not None and self._tracer is not None:
            self._tracer.end(
                call.span, code=call.code, request_id=call.request_id, version=call.version, infer_ns=call.infer_ns
            )


def _deadline_s(request: pb.ModelInferRequest, remaining_s: float | None) -> float | None:
    """When the caller stops waiting, on the monotonic clock: by the call's deadline or the request's own timeout."""
    said = [seconds for seconds in (remaining_s, timeout_s_in(request.parameters)) if seconds is not None]
    return time.monotonic() + min(said) if said else None


def _server_version() -> str:
    try:
        return version("gonogo")
    except PackageNotFoundError:  # run from a source tree that is not installed
        return "0+source"
