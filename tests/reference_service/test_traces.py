"""Spans arrive at a real collector, in the caller's trace; what is not sampled or can't be sent costs no answer."""

from __future__ import annotations

import contextlib
import queue
import socket
import time
from concurrent import futures
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as otlp
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as otlp_grpc

from reference_service.protocol.messages import infer_request, output_array
from reference_service.protocol.open_inference_pb2_grpc import GRPCInferenceServiceStub
from reference_service.settings import Traces
from reference_service.telemetry.traces import EXPORT_LIMIT_S, Tracer
from tests.reference_service.running import in_process
from tests.reference_service.tiny_registry import MODEL, tiny_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reference_service.registry import ModelVersion

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SAMPLED, UNSAMPLED = (f"00-{TRACE}-{PARENT}-{flags}" for flags in ("01", "00"))


class Collector(otlp_grpc.TraceServiceServicer):
    """Takes what an OpenTelemetry collector takes."""

    def __init__(self) -> None:
        self.arrived: queue.Queue[Any] = queue.Queue()

    def Export(self, request: Any, context: Any) -> Any:  # noqa: N802 - the protocol's name
        del context
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    self.arrived.put((resource.resource, span))
        return otlp.ExportTraceServiceResponse()

    def spans(self, count: int) -> list[Any]:
        return [self.arrived.get(timeout=10)[1] for _ in range(count)]


@pytest.fixture
def collector() -> Iterator[tuple[Collector, str]]:
    server = grpc.server(futures.ThreadPoolExecutor(2))
    collector = Collector()
    otlp_grpc.add_TraceServiceServicer_to_server(collector, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield collector, f"http://127.0.0.1:{port}"
    server.stop(None).wait()


@contextlib.contextmanager
def traced(version: ModelVersion, endpoint: str, ratio: float) -> Iterator[Any]:
    """A stub of a service that sends its spans to `endpoint`."""
    tracer = Tracer(Traces(endpoint=endpoint, ratio=ratio), zone="zone-t", version="1")
    with in_process(version, tracer=tracer) as running, grpc.insecure_channel(running.address) as channel:
        yield GRPCInferenceServiceStub(channel)
    tracer.close()


def ask(stub: Any, *metadata: tuple[str, str], model: str = MODEL) -> Any:
    return stub.ModelInfer(infer_request(model, "features", tiny_rows(1)), metadata=metadata, timeout=5)


def test_a_sampled_call_is_a_span_of_its_callers_trace_with_the_engines_inside(
    tiny_version: ModelVersion, collector: tuple[Collector, str]
) -> None:
    with traced(tiny_version, collector[1], ratio=0) as stub:
        ask(stub, ("traceparent", SAMPLED), ("x-request-id", "00ff"))
        by_name = {span.name: span for span in collector[0].spans(2)}
    call, engine = by_name["inference.GRPCInferenceService/ModelInfer"], by_name["engine.infer"]
    assert (call.trace_id.hex(), call.parent_span_id.hex()) == (TRACE, PARENT)
    assert (engine.trace_id, engine.parent_span_id) == (call.trace_id, call.span_id)
    assert call.start_time_unix_nano <= engine.start_time_unix_nano <= engine.end_time_unix_nano
    assert engine.end_time_unix_nano <= call.end_time_unix_nano + 1_000_000  # two clocks, read one after the other
    said = {item.key: item.value.string_value or item.value.int_value for item in call.attributes}
    assert said == {"rpc.grpc.status_code": 0, "request_id": "00ff", "model_version": "1"}


def test_a_refusal_is_an_error_in_its_trace(tiny_version: ModelVersion, collector: tuple[Collector, str]) -> None:
    with traced(tiny_version, collector[1], ratio=0) as stub:
        with pytest.raises(grpc.RpcError):
            ask(stub, ("traceparent", SAMPLED), model="other")
        (span,) = collector[0].spans(1)
    assert span.status.code == span.status.STATUS_CODE_ERROR


def test_the_callers_flag_counts_before_the_ratio(tiny_version: ModelVersion, collector: tuple[Collector, str]) -> None:
    with traced(tiny_version, collector[1], ratio=1) as stub:
        ask(stub, ("traceparent", UNSAMPLED))
        ask(stub, ("traceparent", "00-zz"))
        ask(stub, ("x-request-id", "the-one"))
        spans = collector[0].spans(2)
        assert all(span.trace_id.hex() != TRACE for span in spans)
    assert collector[0].arrived.empty()


def test_the_ratio_is_the_share_of_calls_without_a_flag() -> None:
    drawn = iter([0.05, 0.0999, 0.1, 0.5])
    tracer = Tracer(Traces(endpoint="http://127.0.0.1:1", ratio=0.1), zone="z", version="1", chance=lambda: next(drawn))
    assert [tracer.begin(()) is not None for _ in range(4)] == [True, True, False, False]
    tracer.close()


def test_a_collector_that_never_answers_holds_up_the_end_by_two_exports(silent: str) -> None:
    tracer = Tracer(Traces(endpoint=silent, ratio=1), zone="z", version="1")
    for number in range(2000):
        span = tracer.begin(())
        assert span is not None
        tracer.end(span, code=0, request_id=f"{number}", version="1", infer_ns=None)
    began_s = time.monotonic()
    tracer.close()
    assert time.monotonic() - began_s < 3 * EXPORT_LIMIT_S


@pytest.fixture
def silent() -> Iterator[str]:
    """An address that takes connections and says nothing."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def test_a_collector_that_is_down_costs_no_answer_and_little_at_the_end(tiny_version: ModelVersion) -> None:
    tracer = Tracer(Traces(endpoint="http://127.0.0.1:1", ratio=1), zone="z", version="1")
    with in_process(tiny_version, tracer=tracer) as running, grpc.insecure_channel(running.address) as channel:
        for _ in range(20):
            assert output_array(ask(GRPCInferenceServiceStub(channel)), "p").shape == (1, 1)
    began_s = time.monotonic()
    tracer.close()
    assert time.monotonic() - began_s < 10
