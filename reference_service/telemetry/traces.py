"""Traces by OpenTelemetry: a span for each sampled inference, in the trace that its caller began.

Rule: whether a call is sampled is decided by hand, before anything is made: the caller's flag counts if it sent a
`traceparent` (W3C Trace Context), else chance at the ratio asked for. Spans leave in batches on a thread of the SDK's;
what an exporter can't deliver is dropped there and never holds up an answer.
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Final

from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opentelemetry.trace import Span

    from reference_service.settings import Traces

TRACEPARENT: Final = "traceparent"
_TRACEPARENT_CHARACTERS: Final = 55
_CARRIED: Final = frozenset({TRACEPARENT, "tracestate"})
EXPORT_LIMIT_S: Final = 2
"""For one batch."""
WAITING_MAX: Final = 2048
SPAN_NAME: Final = "inference.GRPCInferenceService/ModelInfer"


class Tracer:
    """Makes spans for the service `zone` of `version`; `chance` gives numbers from 0 to 1."""

    def __init__(
        self, settings: Traces, *, zone: str, version: str, chance: Callable[[], float] = random.random
    ) -> None:
        self._ratio = settings.ratio
        self._chance = chance
        self._propagator = TraceContextTextMapPropagator()
        resource = Resource({"service.name": "gonogo-reference-service", "service.version": version, "zone": zone})
        self._provider = TracerProvider(
            sampler=ALWAYS_ON, resource=resource, shutdown_on_exit=False, span_limits=SpanLimits(max_attributes=16)
        )
        exporter = OTLPSpanExporter(
            endpoint=settings.endpoint, insecure=settings.endpoint.startswith("http://"), timeout=EXPORT_LIMIT_S
        )
        # All that waits is one batch, so that the end is held up by the export that runs and one more.
        batches = BatchSpanProcessor(
            exporter, max_queue_size=WAITING_MAX, max_export_batch_size=WAITING_MAX, schedule_delay_millis=500
        )
        self._provider.add_span_processor(batches)
        self._tracer = self._provider.get_tracer("reference_service")

    def begin(self, metadata: Sequence[tuple[str, str | bytes]]) -> Span | None:
        """The span of a call that begins now; None if it is not sampled."""
        for name, value in metadata:
            if name == TRACEPARENT:
                return self._begin(metadata) if _is_sampled(str(value)) else None
        return self._begin(()) if self._chance() < self._ratio else None

    def end(self, span: Span, *, code: int, request_id: str, version: str, infer_ns: tuple[int, int] | None) -> None:
        """End a span; `infer_ns` is when the engine began and ended, on the performance counter."""
        if infer_ns is not None:
            wall_ns = time.time_ns() - time.perf_counter_ns()
            child = self._tracer.start_span(
                "engine.infer",
                set_span_in_context(span),
                start_time=wall_ns + infer_ns[0],
                attributes={"model_version": version},
            )
            child.end(wall_ns + infer_ns[1])
        span.set_attributes({"rpc.grpc.status_code": code, "request_id": request_id, "model_version": version})
        if code:
            span.set_status(Status(StatusCode.ERROR))
        span.end()

    def close(self) -> None:
        """Send what is left, within the limit of two exports."""
        self._provider.shutdown()

    def _begin(self, metadata: Sequence[tuple[str, str | bytes]]) -> Span:
        carried = {name: str(value) for name, value in metadata if name in _CARRIED}
        context = self._propagator.extract(carried) if carried else None
        return self._tracer.start_span(SPAN_NAME, context, SpanKind.SERVER)


def _is_sampled(traceparent: str) -> bool:
    """Whether the caller's flags say so; a header that is malformed begins no trace."""
    if len(traceparent) != _TRACEPARENT_CHARACTERS or not traceparent.startswith("00-"):
        return False
    try:
        return bool(int(traceparent[-2:], 16) & 1)
    except ValueError:
        return False
