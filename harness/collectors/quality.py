"""Asks the running service for the golden answers of the model that it claims to serve.

Rule: through the edge, as a client would; an unanswered row stays unanswered.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import grpc
import numpy as np
import pandas as pd

from harness.access import grpc_calls
from harness.artifact import load_artifact
from harness.collectors import Collector, Context
from harness.model import Evidence
from reference_service.protocol.headers import MODEL_VERSION
from reference_service.protocol.messages import MODEL_INFER, infer_request, output_array
from reference_service.protocol.open_inference_pb2 import ModelInferRequest, ModelInferResponse
from reference_service.protocol.tensors import TensorError

if TYPE_CHECKING:
    from harness.secret import Pairs

CALL_TIMEOUT_S = 5.0


def collect(context: Context) -> tuple[Evidence, ...]:
    """One call per golden row."""
    target = context.plan.target
    artifact = load_artifact(context.loaded.resolve(target.registry), target.model, target.version)
    context.progress.step("Quality: the golden answers through the running service", len(artifact.inputs) / 300)
    names = (str(artifact.manifest["inputs"][0]["name"]), str(artifact.manifest["outputs"][0]["name"]))
    with grpc_calls(context.access) as calls:
        call = calls.channel.unary_unary(
            MODEL_INFER,
            request_serializer=ModelInferRequest.SerializeToString,
            response_deserializer=ModelInferResponse.FromString,
        )
        requests = [infer_request(target.model, names[0], row) for row in artifact.inputs]
        answers = [_ask(call, request, names[1], calls.metadata) for request in requests]
    table = pd.DataFrame(
        {
            "row": np.arange(len(answers)),
            "expected": artifact.expected.astype("float64"),
            "observed": [answer for answer, _ in answers],
            "label": artifact.labels.astype("int64"),
            "version": [version for _, version in answers],
        }
    )
    facts = {"version": target.version, "manifest_metrics": artifact.manifest["metrics"], "rows": len(table)}
    return (
        Evidence(id="quality", collector="quality", subject=artifact.subject, facts=facts, tables={"answers": table}),
    )


def _ask(
    call: grpc.UnaryUnaryMultiCallable[ModelInferRequest, ModelInferResponse],
    request: ModelInferRequest,
    output: str,
    metadata: Pairs,
) -> tuple[float, str]:
    """(first value of the output, version that answered); NaN and "" when the service gave no such answer."""
    try:
        response, state = call.with_call(request, timeout=CALL_TIMEOUT_S, metadata=metadata)
        value = float(output_array(response, output).reshape(-1)[0])
    except (grpc.RpcError, KeyError, TensorError):
        return math.nan, ""
    trailers = {str(key): str(value) for key, value in state.trailing_metadata() or ()}
    return value, trailers.get(MODEL_VERSION, "")


COLLECTORS = (Collector(ids=("quality",), order=20, collect=collect, needs_control=True),)
