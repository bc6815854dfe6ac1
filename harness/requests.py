"""The requests that every scenario draws from: real rows where the Plan or the model's golden set has them.

Rule: real inputs before made-up ones; inputs made up from the model's metadata are zeros, and the evidence says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc
import numpy as np

from harness.artifact import load_artifact
from reference_service.protocol import open_inference_pb2 as oip
from reference_service.protocol import open_inference_pb2_grpc as oip_grpc

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from harness.plan import LoadedPlan
    from harness.plan_types import Target

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


class RequestsError(Exception):
    """No requests can be made for this target; the text says what to give."""


@dataclass(frozen=True, slots=True)
class RequestPool:
    """Serialised ModelInferRequests and where their inputs come from."""

    messages: tuple[bytes, ...]
    origin: str


def make_requests(loaded: LoadedPlan, address: str) -> RequestPool:
    """The pool for the Plan's target. Raises RequestsError, or ArtifactError where the golden set can't be read."""
    target = loaded.plan.target
    if target.requests:
        path = loaded.resolve(target.requests)
        return RequestPool(_from_arrays(target, _read_arrays(path)), f"rows of {path.name}")
    if target.registry:
        artifact = load_artifact(loaded.resolve(target.registry), target.model, target.version)
        inputs = {str(artifact.manifest["inputs"][0]["name"]): artifact.inputs}
        return RequestPool(_from_arrays(target, inputs), f"{len(artifact.inputs):,} golden rows of {target.model}")
    return RequestPool((_zeros(target, address),), "zeros made up from the model's metadata, not real inputs")


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (OSError, ValueError) as error:
        raise RequestsError(f"{path}: requests must be an .npz of arrays named like the inputs ({error})") from error


def _from_arrays(target: Target, inputs: Mapping[str, np.ndarray]) -> tuple[bytes, ...]:
    """One request per row: row i of every array, as a batch of one."""
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


def _zeros(target: Target, address: str) -> bytes:
    """One request of zeros in the shapes that the model's metadata names; open dimensions become 1."""
    with grpc.insecure_channel(address) as channel:
        stub = oip_grpc.GRPCInferenceServiceStub(channel)  # type: ignore[no-untyped-call]  # generated code
        asked = oip.ModelMetadataRequest(name=target.model, version=target.version)
        try:
            metadata = stub.ModelMetadata(asked, timeout=METADATA_TIMEOUT_S)
        except grpc.RpcError as error:
            message = f"{address} gave no metadata of model {target.model!r} ({error.code().name}: {error.details()})"
            raise RequestsError(f"{message}; check target.model, or name a file in target.requests") from error
    unsupported = [item.name for item in metadata.inputs if item.datatype not in DTYPES]
    if unsupported or not metadata.inputs:
        raise RequestsError(f"inputs {unsupported} can't be made up; name a file of rows in target.requests")
    inputs = {item.name: np.zeros([max(1, d) for d in item.shape], DTYPES[item.datatype]) for item in metadata.inputs}
    return _message(target, inputs)


def _asked_version(target: Target) -> str:
    """The version named in requests: none of a local target, which may answer with its candidate."""
    return "" if target.provider == "local" else target.version
