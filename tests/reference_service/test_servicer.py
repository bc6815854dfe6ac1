"""The protocol's rules, each shown by a real call to a real server."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np
import pytest

from reference_service.protocol import open_inference_pb2 as pb
from reference_service.protocol.messages import infer_request, output_array
from reference_service.protocol.open_inference_pb2_grpc import GRPCInferenceServiceStub
from reference_service.settings import Validation
from reference_service.telemetry import PredictionLog
from tests.reference_service.running import in_process, recorded
from tests.reference_service.tiny_registry import COLUMNS, MODEL, tiny_answers, tiny_rows

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from reference_service.registry import ModelVersion

ROWS = tiny_rows(4)
INVALID, MISSING = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND


def good() -> pb.ModelInferRequest:
    return infer_request(MODEL, "features", ROWS[:1], version="1", request_id="abc")


def typed(values: list[float], shape: list[int]) -> pb.ModelInferRequest:
    tensor = pb.ModelInferRequest.InferInputTensor(name="features", datatype="FP32", shape=shape)
    tensor.contents.fp32_contents.extend(values)
    return pb.ModelInferRequest(model_name=MODEL, inputs=[tensor])


def refusal(stub: Any, request: pb.ModelInferRequest) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as caught:
        stub.ModelInfer(request, timeout=5)
    return caught.value


def test_server_and_model_are_live_and_ready(stub: Any) -> None:
    assert stub.ServerLive(pb.ServerLiveRequest()).live
    assert stub.ServerReady(pb.ServerReadyRequest()).ready
    assert stub.ModelReady(pb.ModelReadyRequest(name=MODEL)).ready
    assert stub.ModelReady(pb.ModelReadyRequest(name=MODEL, version="1")).ready


def test_an_unknown_model_or_version_is_not_ready_without_an_error(stub: Any) -> None:
    assert not stub.ModelReady(pb.ModelReadyRequest(name="other")).ready
    assert not stub.ModelReady(pb.ModelReadyRequest(name=MODEL, version="2")).ready


def test_metadata_names_server_model_and_tensors(stub: Any) -> None:
    assert stub.ServerMetadata(pb.ServerMetadataRequest()).name == "gonogo-reference-service"
    answer = stub.ModelMetadata(pb.ModelMetadataRequest(name=MODEL))
    assert (answer.name, list(answer.versions), answer.platform) == (MODEL, ["1"], "onnxruntime_onnx")
    assert [(item.name, item.datatype, list(item.shape)) for item in answer.inputs] == [
        ("features", "FP32", [-1, COLUMNS])
    ]
    assert [(item.name, item.datatype, list(item.shape)) for item in answer.outputs] == [("p", "FP32", [-1, 1])]


@pytest.mark.parametrize(
    "request_", [pb.ModelMetadataRequest(name="x"), pb.ModelMetadataRequest(name=MODEL, version="9")]
)
def test_metadata_of_what_is_not_served_is_not_found(stub: Any, request_: pb.ModelMetadataRequest) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        stub.ModelMetadata(request_)
    assert caught.value.code() is MISSING


@pytest.mark.parametrize("count", [1, 4])
def test_raw_input_is_answered_raw_with_the_models_values(stub: Any, count: int) -> None:
    answer = stub.ModelInfer(infer_request(MODEL, "features", ROWS[:count], request_id="abc"))
    assert (answer.model_name, answer.model_version, answer.id) == (MODEL, "1", "abc")
    assert not answer.outputs[0].HasField("contents")
    assert output_array(answer, "p").shape == (count, 1)
    np.testing.assert_allclose(output_array(answer, "p"), tiny_answers(ROWS[:count]), rtol=1e-6)


def test_typed_input_is_answered_typed_with_the_same_values(stub: Any) -> None:
    answer = stub.ModelInfer(typed(ROWS.ravel().tolist(), [4, COLUMNS]))
    assert not answer.raw_output_contents
    assert list(answer.outputs[0].shape) == [4, 1]
    np.testing.assert_allclose(answer.outputs[0].contents.fp32_contents, tiny_answers(ROWS).ravel(), rtol=1e-6)


def test_the_outputs_offered_may_be_asked_for_by_name(stub: Any) -> None:
    request = good()
    request.outputs.add(name="p")
    assert stub.ModelInfer(request).outputs[0].name == "p"


def test_the_largest_batch_is_answered(stub: Any) -> None:
    rows = np.zeros((Validation().rows_max, COLUMNS), np.float32)
    assert output_array(stub.ModelInfer(infer_request(MODEL, "features", rows)), "p").shape == (
        Validation().rows_max,
        1,
    )


def changed(change: Callable[[pb.ModelInferRequest], object]) -> pb.ModelInferRequest:
    request = good()
    change(request)
    return request


REFUSED = {
    "another model": (lambda r: setattr(r, "model_name", "other"), MISSING, ["'other'", "'tiny'"]),
    "another version": (lambda r: setattr(r, "model_version", "7"), MISSING, ["'7'", "'1'"]),
    "another input name": (lambda r: setattr(r.inputs[0], "name", "x"), INVALID, ["'features' FP32 [-1, 3]", "'x'"]),
    "another datatype": (lambda r: setattr(r.inputs[0], "datatype", "FP64"), INVALID, ["FP32", "'FP64'"]),
    "too many columns": (lambda r: r.inputs[0].shape.__setitem__(1, 4), INVALID, ["[-1, 3]", "[1, 4]"]),
    "no batch axis": (lambda r: r.inputs[0].shape.pop(), INVALID, ["[-1, 3]", "[1]"]),
    "no rows": (lambda r: r.inputs[0].shape.__setitem__(0, 0), INVALID, ["1 to 1024 rows", "got 0"]),
    "negative rows": (lambda r: r.inputs[0].shape.__setitem__(0, -1), INVALID, ["1 to 1024 rows", "got -1"]),
    "too many rows": (lambda r: r.inputs[0].shape.__setitem__(0, 1025), INVALID, ["1 to 1024 rows", "got 1025"]),
    "too few bytes": (lambda r: r.raw_input_contents.__setitem__(0, b"1234"), INVALID, ["12 bytes", "got 4"]),
    "rows without bytes": (lambda r: r.inputs[0].shape.__setitem__(0, 2), INVALID, ["24 bytes", "got 12"]),
    "no input": (lambda r: r.ClearField("inputs"), INVALID, ["1 input, 'features'", "got 0"]),
    "two inputs": (lambda r: r.inputs.append(r.inputs[0]), INVALID, ["1 input, 'features'", "got 2"]),
    "two raw entries": (
        lambda r: r.raw_input_contents.append(b""),
        INVALID,
        ["1 entry in raw_input_contents", "got 2"],
    ),
    "no values": (lambda r: r.ClearField("raw_input_contents"), INVALID, ["3 values in fp32_contents", "got 0"]),
    "raw and typed": (
        lambda r: r.inputs[0].contents.fp32_contents.extend([1, 2, 3]),
        INVALID,
        ["both contents and raw_input_contents"],
    ),
    "an unknown output": (lambda r: r.outputs.add(name="q"), INVALID, ["'q'", "'p' FP32 [-1, 1]"]),
    "an output's parameter": (
        lambda r: r.outputs.add(name="p").parameters["classification"].MergeFrom(pb.InferParameter(int64_param=1)),
        INVALID,
        ["no parameters of a requested output"],
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_request_that_is_not_the_models_is_refused_saying_what_was_expected(stub: Any, case: str) -> None:
    change, code, parts = REFUSED[case]
    error = refusal(stub, changed(change))
    assert error.code() is code
    assert [part for part in parts if part not in error.details()] == [], error.details()


def test_typed_values_that_are_too_few_or_in_a_wrong_field_are_refused(stub: Any) -> None:
    assert "3 values in fp32_contents; got 2" in refusal(stub, typed([1, 2], [1, COLUMNS])).details()
    request = typed([], [1, COLUMNS])
    request.inputs[0].contents.int_contents.extend([1, 2, 3])
    error = refusal(stub, request)
    assert (error.code(), error.details()) == (INVALID, "FP32 travels in fp32_contents; got values in int_contents")


def test_a_very_long_name_is_cut_short_so_that_the_status_still_fits_a_header(stub: Any) -> None:
    error = refusal(stub, infer_request("m" * 100_000, "features", ROWS[:1]))
    assert error.code() is MISSING
    assert len(error.details()) < 200


def test_a_message_over_the_limit_is_refused_by_size(stub: Any) -> None:
    error = refusal(stub, infer_request(MODEL, "features", np.zeros((100_000, COLUMNS), np.float32)))
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "larger than max" in error.details()


def test_calls_that_are_not_offered_are_unimplemented(channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary("/inference.GRPCInferenceService/ModelConfig")(b"")
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_every_answer_says_zone_version_and_request(stub: Any) -> None:
    _, call = stub.ModelInfer.with_call(good(), metadata=[("x-request-id", "00ff")])
    found = dict(call.trailing_metadata())
    assert (found["x-zone"], found["x-model-version"], found["x-request-id"]) == ("zone-t", "1", "00ff")


def test_the_request_id_comes_from_metadata_then_message_then_is_made_up(stub: Any) -> None:
    def answered(request_id: str, *metadata: tuple[str, str]) -> str:
        request = infer_request(MODEL, "features", ROWS[:1], request_id=request_id)
        _, call = stub.ModelInfer.with_call(request, metadata=metadata)
        return str(dict(call.trailing_metadata())["x-request-id"])

    assert answered("abc", ("x-request-id", "def")) == "def"
    assert answered("abc") == "abc"
    assert len(answered("")) == 16
    assert answered("") != answered("")
    assert len(answered("new\nline, which no header can carry")) == 16


def test_an_error_carries_the_same_metadata_in_one_header_block(stub: Any) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        stub.ModelInfer(infer_request("other", "features", ROWS[:1]), metadata=[("x-request-id", "00ff")])
    assert not dict(caught.value.initial_metadata())
    found = dict(caught.value.trailing_metadata())
    assert (found["x-zone"], found["x-model-version"], found["x-request-id"]) == ("zone-t", "1", "00ff")


class BrokenEngine:
    name = "broken"

    def infer(self, batch: object) -> Any:
        raise RuntimeError(f"a secret about {batch}")

    def close(self) -> None: ...


def test_an_unforeseen_error_is_internal_and_logged_but_not_told(
    tiny_version: ModelVersion, caplog: pytest.LogCaptureFixture
) -> None:
    with in_process(tiny_version, engine=BrokenEngine()) as running, grpc.insecure_channel(running.address) as channel:
        error = refusal(GRPCInferenceServiceStub(channel), good())
    assert error.code() is grpc.StatusCode.INTERNAL
    assert "secret" not in error.details()
    record = next(item for item in caplog.records if item.getMessage() == "internal_error")
    assert record.levelno == logging.ERROR
    assert "secret" in record.fields["error"]
    assert record.fields["request_id"] == "abc"


def test_each_answer_and_no_refusal_is_in_the_prediction_log(tiny_version: ModelVersion, tmp_path: Path) -> None:
    predictions = PredictionLog(tmp_path / "log", "zone-t")
    with (
        in_process(tiny_version, predictions=predictions) as running,
        grpc.insecure_channel(running.address) as channel,
    ):
        stub = GRPCInferenceServiceStub(channel)
        stub.ModelInfer(infer_request(MODEL, "features", ROWS), metadata=[("x-request-id", "00ff")])
        refusal(stub, infer_request("other", "features", ROWS))
    predictions.close()
    (prediction,) = recorded(tmp_path / "log")
    assert (prediction["request_id"], prediction["model_version"]) == ("00ff", "1")
    np.testing.assert_allclose(prediction["features"], ROWS.ravel())
    np.testing.assert_allclose(prediction["outputs"], tiny_answers(ROWS).ravel(), atol=1e-7)
