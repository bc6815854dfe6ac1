"""Requests that the model does not take: each is refused by its field, and the next good one is answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np
import pytest

from reference_service.protocol import open_inference_pb2 as pb
from tests.integration.hostile import GOLDEN, INPUT, OUTPUT, Hostile, good_request, hostile_service

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CODE = grpc.StatusCode
COLUMNS = [column.name for column in INPUT.columns]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hostile]:
    with hostile_service(tmp_path_factory.mktemp("hostile")) as running:
        yield running


@dataclass(frozen=True)
class Bad:
    """A change that spoils a good request, and the field that the refusal names."""

    change: Callable[[pb.ModelInferRequest], Any]
    field: str
    code: grpc.StatusCode = CODE.INVALID_ARGUMENT


def value_at(column: str, value: float) -> Callable[[pb.ModelInferRequest], None]:
    def change(request: pb.ModelInferRequest) -> None:
        row = GOLDEN.inputs[:1].copy()
        row[0, COLUMNS.index(column)] = value
        request.raw_input_contents[0] = row.tobytes()

    return change


def bytes_at(index: int, four: bytes) -> Callable[[pb.ModelInferRequest], None]:
    def change(request: pb.ModelInferRequest) -> None:
        row = bytearray(request.raw_input_contents[0])
        row[4 * index : 4 * index + 4] = four
        request.raw_input_contents[0] = bytes(row)

    return change


def place(column: str) -> str:
    return f"inputs[0].contents[0][{COLUMNS.index(column)}] ({column})"


MISSING = CODE.NOT_FOUND
REQUESTS: dict[str, Bad] = {
    "no model": Bad(lambda r: r.ClearField("model_name"), "", MISSING),
    "another model": Bad(lambda r: setattr(r, "model_name", "other"), "", MISSING),
    "a path for a model": Bad(lambda r: setattr(r, "model_name", "../../../etc/passwd"), "", MISSING),
    "a name of half a megabyte": Bad(lambda r: setattr(r, "model_name", "m" * 500_000), "", MISSING),
    "another version": Bad(lambda r: setattr(r, "model_version", "999"), "", MISSING),
    "another input": Bad(lambda r: setattr(r.inputs[0], "name", "x\r\ny"), "inputs[0].name"),
    "a wider type": Bad(lambda r: setattr(r.inputs[0], "datatype", "FP64"), "inputs[0].datatype"),
    "texts for numbers": Bad(lambda r: setattr(r.inputs[0], "datatype", "BYTES"), "inputs[0].datatype"),
    "a column too many": Bad(lambda r: r.inputs[0].shape.__setitem__(1, 75), "inputs[0].shape"),
    "ten thousand dimensions": Bad(lambda r: r.inputs[0].shape.extend([1] * 10_000), "inputs[0].shape"),
    "no rows": Bad(lambda r: r.inputs[0].shape.__setitem__(0, 0), "inputs[0].shape[0]"),
    "less than no rows": Bad(lambda r: r.inputs[0].shape.__setitem__(0, -1), "inputs[0].shape[0]"),
    "more rows than memory": Bad(lambda r: r.inputs[0].shape.__setitem__(0, 2**62), "inputs[0].shape[0]"),
    "one row too many": Bad(lambda r: r.inputs[0].shape.__setitem__(0, 1025), "inputs[0].shape[0]"),
    "fewer bytes than its shape": Bad(lambda r: r.inputs[0].shape.__setitem__(0, 2), "raw_input_contents"),
    "no bytes": Bad(lambda r: r.raw_input_contents.__setitem__(0, b""), "raw_input_contents"),
    "two tensors of bytes": Bad(lambda r: r.raw_input_contents.append(b""), "raw_input_contents"),
    "bytes and values": Bad(lambda r: r.inputs[0].contents.fp32_contents.append(1), "raw_input_contents"),
    "values of another type": Bad(
        lambda r: [r.ClearField("raw_input_contents"), r.inputs[0].contents.int_contents.append(1)],
        "inputs[0].contents",
    ),
    "two inputs": Bad(lambda r: r.inputs.append(r.inputs[0]), "inputs"),
    "no input": Bad(lambda r: r.ClearField("inputs"), "inputs"),
    "NaN": Bad(value_at("temperature_f", np.nan), place("temperature_f")),
    "a signalling NaN": Bad(bytes_at(COLUMNS.index("rain_log"), b"\x01\x00\x80\x7f"), place("rain_log")),
    "infinity": Bad(value_at("wind_mph", np.inf), place("wind_mph")),
    "less than infinity": Bad(value_at("wind_mph", -np.inf), place("wind_mph")),
    "a wrong unit": Bad(value_at("pressure_hpa", 101_325), place("pressure_hpa")),
    "a day of a hundred hours": Bad(value_at("departure_h", 100), place("departure_h")),
    "an unknown parameter": Bad(
        lambda r: r.parameters["debug"].CopyFrom(param(bool_param=True)), "parameters['debug']"
    ),
    "a sequence": Bad(
        lambda r: r.parameters["sequence_id"].CopyFrom(param(int64_param=1)), "parameters['sequence_id']"
    ),
    "a timeout that is a text": Bad(
        lambda r: r.parameters["timeout"].CopyFrom(param(string_param="1s")), "parameters['timeout']"
    ),
    "an input in shared memory": Bad(
        lambda r: r.inputs[0].parameters["shared_memory_region"].CopyFrom(param(string_param="region")),
        "inputs[0].parameters",
    ),
    "an output to shared memory": Bad(
        lambda r: r.outputs.add(name=OUTPUT.name).parameters["shared_memory_region"].CopyFrom(param(string_param="x")),
        "outputs[0].parameters",
    ),
    "an unknown output": Bad(lambda r: r.outputs.add(name="weights"), "outputs[0].name"),
}


def param(**value: Any) -> pb.InferParameter:
    return pb.InferParameter(**value)


@pytest.mark.parametrize("case", REQUESTS)
def test_a_request_that_is_not_for_the_model_is_refused_by_its_field(service: Hostile, case: str) -> None:
    bad, request = REQUESTS[case], good_request()
    bad.change(request)
    ended = service.call(request.SerializeToString())
    assert ended.code is bad.code, ended
    assert ended.fields[:1] == ((bad.field,) if bad.field else ())
    assert len(ended.text) < 500
    service.is_right()
