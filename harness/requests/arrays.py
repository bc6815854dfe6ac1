"""Makes requests of the Open Inference Protocol of arrays: one row of every input is one request.

Rule: what the model's metadata do not say is not guessed; made-up inputs are zeros.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import grpc
import numpy as np

from harness.access import grpc_calls
from harness.requests.pool import RequestsError
from reference_service.protocol import open_inference_pb2 as oip
from reference_service.protocol import open_inference_pb2_grpc as oip_grpc

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from harness.access import Access
    from harness.plan_target import Target

METADATA_TIMEOUT_S = 5.0
DTYPES = {
    "BOOL": "?",
    "INT8": "i1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
    "UINT8": "u1",
    "UINT16": "<u2",
    "UINT32": "<u4",
    "UINT64": "<u8",
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
}
"""numpy's names of the protocol's fixed-size datatypes, little-endian as on the wire."""


def file_requests(target: Target, path: Path) -> tuple[bytes, ...]:
    """One request per row of the .npz at `path`. Raises RequestsError."""
    return array_requests(target, _read_arrays(path))


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (OSError, ValueError) as error:
        raise RequestsError(f"{path}: requests must be an .npz of arrays named like the inputs ({error})") from error


def array_requests(target: Target, inputs: Mapping[str, np.ndarray]) -> tuple[bytes, ...]:
    """One request per row: row i of every array, as a batch of one. Raises RequestsError."""
    rows = {len(values) for values in inputs.values()}
    if len(rows) != 1 or not min(rows):
        raise RequestsError(f"requests need the same number of rows for every input, at least one; found {rows or 0}")
    return tuple(
        _message(target, {name: values[row : row + 1] for name, values in inputs.items()}) for row in range(min(rows))
    )


def _message(target: Target, inputs: Mapping[str, np.ndarray]) -> bytes:
    request = oip.ModelInferRequest(model_name=target.model, model_version=_asked_version(target))
    datatypes = {np.dtype(code): name for name, code in DTYPES.items()}
    for name, values in inputs.items():
        if values.dtype not in datatypes:
            raise RequestsError(f"input {name}: dtype {values.dtype} has no fixed-size datatype in the protocol")
        request.inputs.add(name=name, datatype=datatypes[values.dtype], shape=values.shape)
        request.raw_input_contents.append(np.ascontiguousarray(values).tobytes())
    return request.SerializeToString()


def zero_request(target: Target, access: Access) -> bytes:
    """One request of zeros in the shapes that the model's metadata name; open dimensions become 1.

    Raises RequestsError, AccessError, SecretError.
    """
    metadata = model_metadata(access, target.model, target.version)
    unsupported = [item.name for item in metadata.inputs if item.datatype not in DTYPES]
    if unsupported or not metadata.inputs:
        raise RequestsError(f"inputs {unsupported} can't be made up; name a file of rows in target.requests")
    inputs = {item.name: np.zeros([max(1, d) for d in item.shape], DTYPES[item.datatype]) for item in metadata.inputs}
    return _message(target, inputs)


def model_metadata(access: Access, model: str, version: str = "") -> oip.ModelMetadataResponse:
    """What the service says of a model. Raises RequestsError, AccessError, SecretError."""
    with grpc_calls(access) as calls:
        stub = oip_grpc.GRPCInferenceServiceStub(calls.channel)  # type: ignore[no-untyped-call]  # generated code
        asked = oip.ModelMetadataRequest(name=model, version=version)
        try:
            answer = stub.ModelMetadata(asked, timeout=METADATA_TIMEOUT_S, metadata=calls.metadata)
            return cast("oip.ModelMetadataResponse", answer)
        except grpc.RpcError as error:
            message = f"{access.address} gave no metadata of model {model!r} ({calls.describe(error)})"
            raise RequestsError(f"{message}; check target.model, or name a file in target.requests") from error


def _asked_version(target: Target) -> str:
    """The version named in requests: none of a local target, which may answer with its candidate."""
    return "" if target.provider == "local" else target.version
