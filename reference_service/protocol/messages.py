"""The client's side of an inference: rows into a request, an answer into rows.

Rule: raw bytes both ways, the form that every server of the protocol understands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from reference_service.protocol.open_inference_pb2 import ModelInferRequest
from reference_service.protocol.tensors import decode_raw

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from reference_service.protocol.open_inference_pb2 import ModelInferResponse

SERVICE = "inference.GRPCInferenceService"
MODEL_INFER = f"/{SERVICE}/ModelInfer"
"""The full name of the method, as HTTP/2 paths and generic gRPC channels want it."""


def infer_request(
    model: str, input_name: str, rows: NDArray[np.float32], *, version: str = "", request_id: str = ""
) -> ModelInferRequest:
    """A raw FP32 request for `rows`: one row [K], or a batch [n, K]. An empty version means the one served."""
    batch = np.atleast_2d(np.ascontiguousarray(rows, "<f4"))
    tensor = ModelInferRequest.InferInputTensor(name=input_name, datatype="FP32", shape=batch.shape)
    return ModelInferRequest(
        model_name=model,
        model_version=version,
        id=request_id,
        inputs=[tensor],
        raw_input_contents=[batch.tobytes()],
    )


def output_array(answer: ModelInferResponse, output_name: str) -> NDArray[Any]:
    """The named output of a raw answer, in the shape it declares.

    Raises:
        KeyError: the answer has no such output.
        TensorError: its bytes do not fit its shape.
    """
    for tensor, raw in zip(answer.outputs, answer.raw_output_contents, strict=True):
        if tensor.name == output_name:
            return decode_raw(raw, tensor.datatype, tensor.shape)
    raise KeyError(f"no output {output_name!r} among {[tensor.name for tensor in answer.outputs]}")
