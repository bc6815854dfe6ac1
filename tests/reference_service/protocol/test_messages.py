"""A client's rows arrive as they were, and its answer is read by name."""

from __future__ import annotations

import numpy as np
import pytest

from reference_service.protocol.messages import infer_request, output_array
from reference_service.protocol.open_inference_pb2 import ModelInferResponse
from reference_service.protocol.tensors import TensorError


def answer(raw: bytes) -> ModelInferResponse:
    tensor = ModelInferResponse.InferOutputTensor(name="p", datatype="FP32", shape=[2, 1])
    return ModelInferResponse(outputs=[tensor], raw_output_contents=[raw])


def test_a_row_becomes_a_batch_of_one() -> None:
    request = infer_request("m", "features", np.array([1, 2, 3], np.float32), version="1", request_id="r")
    assert (request.model_name, request.model_version, request.id) == ("m", "1", "r")
    assert (request.inputs[0].name, request.inputs[0].datatype) == ("features", "FP32")
    assert list(request.inputs[0].shape) == [1, 3]
    assert list(request.raw_input_contents) == [np.array([1, 2, 3], "<f4").tobytes()]


def test_a_strided_batch_of_doubles_is_sent_as_packed_floats() -> None:
    rows = np.arange(12, dtype=np.float64).reshape(4, 3)[::2]
    request = infer_request("m", "features", rows)
    assert list(request.inputs[0].shape) == [2, 3]
    assert np.frombuffer(request.raw_input_contents[0], "<f4").tolist() == [0, 1, 2, 6, 7, 8]


def test_an_output_is_read_in_its_shape() -> None:
    assert output_array(answer(np.array([0.25, 0.5], "<f4").tobytes()), "p").tolist() == [[0.25], [0.5]]


def test_a_missing_or_misfitting_output_is_an_error() -> None:
    with pytest.raises(KeyError, match="no output 'q'"):
        output_array(answer(bytes(8)), "q")
    with pytest.raises(TensorError, match="takes 8 bytes; got 4"):
        output_array(answer(bytes(4)), "p")
