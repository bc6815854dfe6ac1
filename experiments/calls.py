"""Direct calls to the processes of a fleet, past the edge: answers, the administrator's side, whether a key counts.

Rule: every call has a limit; what a process answers, refusals too, is returned and judged elsewhere.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import grpc
import numpy as np

from harness.fleet.reach import Reach
from reference_service.protocol import open_inference_pb2 as pb
from reference_service.protocol.headers import MODEL_VERSION
from reference_service.protocol.messages import infer_request, output_array
from reference_service.protocol.open_inference_pb2_grpc import GRPCInferenceServiceStub
from reference_service.protocol.tensors import TensorError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from harness.artifact import Artifact

ACCEPTED = grpc.StatusCode.OK.name
REFUSED = grpc.StatusCode.UNAUTHENTICATED.name
INFER_LIMIT_S = 2.0
LOAD_LIMIT_S = 15.0
"""A small version takes a second to load on a busy machine."""

Status = dict[str, Any]


class Answers(NamedTuple):
    """What came for the rows asked: `values` [n], NaN for none; the version that answered; the code if it refused."""

    values: NDArray[np.float64]
    version: str
    code: str


def ports_of(group: Status) -> list[str]:
    """The addresses of a group's processes."""
    return [f"127.0.0.1:{port}" for port in group["ports"]]


def answers(status: Status, address: str, artifact: Artifact, rows: int, credential: str = "") -> Answers:
    """The first `rows` golden rows of `artifact`, asked in one call; by the load's key unless told otherwise."""
    reach = Reach.of(status)
    credential = credential or Path(reach.load_key).read_text()
    names = (str(artifact.manifest["inputs"][0]["name"]), str(artifact.manifest["outputs"][0]["name"]))
    request = infer_request(str(artifact.manifest["name"]), names[0], artifact.inputs[:rows])
    nothing = np.full(len(artifact.inputs[:rows]), math.nan)
    with reach.channel(address) as channel:
        stub = GRPCInferenceServiceStub(channel)  # type: ignore[no-untyped-call]  # generated
        try:
            answer, state = stub.ModelInfer.with_call(request, timeout=INFER_LIMIT_S, metadata=_bearer(credential))
            values = output_array(answer, names[1]).reshape(len(nothing), -1)[:, 0].astype("float64")
        except grpc.RpcError as error:
            return Answers(nothing, "", error.code().name)
        except (KeyError, TensorError, ValueError):
            return Answers(nothing, "", "")
    trailers = {str(key): str(value) for key, value in state.trailing_metadata() or ()}
    return Answers(values, trailers.get(MODEL_VERSION, ""), ACCEPTED)


def load_version(status: Status, address: str, model: str, version: str) -> str:
    """Ask one process to load and promote a version; "OK", or the code and text of its refusal."""
    parameters = {
        "version": pb.ModelRepositoryParameter(string_param=version),
        "promote": pb.ModelRepositoryParameter(bool_param=True),
    }
    request = pb.RepositoryModelLoadRequest(model_name=model, parameters=parameters)
    return _administer(status, address, lambda stub: stub.RepositoryModelLoad, request)[0]


def unload_version(status: Status, address: str, model: str, version: str) -> str:
    """Ask one process to forget a version; "OK", or the code and text of its refusal."""
    parameters = {"version": pb.ModelRepositoryParameter(string_param=version)}
    request = pb.RepositoryModelUnloadRequest(model_name=model, parameters=parameters)
    return _administer(status, address, lambda stub: stub.RepositoryModelUnload, request)[0]


def known_versions(status: Status, address: str) -> dict[str, tuple[str, str]]:
    """State and reason of every version that one process sees in its registry; raises grpc.RpcError."""
    said, answer = _administer(status, address, lambda stub: stub.RepositoryIndex, pb.RepositoryIndexRequest())
    if answer is None:
        raise ConnectionError(f"{address} does not say which versions it has: {said}")
    return {item.version: (item.state, item.reason) for item in answer.models}


def _administer(status: Status, address: str, method: Callable[[Any], Any], request: Any) -> tuple[str, Any]:
    reach = Reach.of(status)
    with reach.channel(address) as channel:
        stub = GRPCInferenceServiceStub(channel)  # type: ignore[no-untyped-call]  # generated
        try:
            answer = method(stub)(request, timeout=LOAD_LIMIT_S, metadata=_bearer(Path(reach.admin_key).read_text()))
        except grpc.RpcError as error:
            return f"{error.code().name}: {error.details()}", None
    return ACCEPTED, answer


def _bearer(credential: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {credential}"),)
