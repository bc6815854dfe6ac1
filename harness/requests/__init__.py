"""The requests that every scenario draws from: real rows where the Plan or the model's golden set has them.

Rule: real inputs before made-up ones; made-up ones are all zeros or defaults, and the evidence says so. Each request is
serialised once, before the load.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf import json_format

from harness.access import Access, access_of
from harness.artifact import load_artifact
from harness.requests.arrays import array_requests, file_requests, zero_request
from harness.requests.methods import described_method, input_class
from harness.requests.pool import RequestPool, RequestsError
from harness.requests.rows import Row, json_messages

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from harness.plan import LoadedPlan

__all__ = ["RequestPool", "RequestsError", "make_requests"]


def make_requests(loaded: LoadedPlan, address: str) -> RequestPool:
    """The pool for the Plan's target at `address`.

    Raises RequestsError; AccessError and SecretError where the target must be asked; ArtifactError where the golden set
    can't be read.
    """
    access = access_of(loaded, address)
    make = {"oip": _oip_requests, "grpc": _grpc_requests, "http": _http_requests}[loaded.plan.target.protocol]
    return make(loaded, access)


def _oip_requests(loaded: LoadedPlan, access: Access) -> RequestPool:
    target = loaded.plan.target
    if target.requests:
        path = loaded.resolve(target.requests)
        return RequestPool(file_requests(target, path), f"rows of {path.name}")
    if target.registry:
        artifact = load_artifact(loaded.resolve(target.registry), target.model, target.version)
        inputs = {str(artifact.manifest["inputs"][0]["name"]): artifact.inputs}
        return RequestPool(array_requests(target, inputs), f"{len(artifact.inputs):,} golden rows of {target.model}")
    return RequestPool((zero_request(target, access),), "zeros made up from the model's metadata, not real inputs")


def _grpc_requests(loaded: LoadedPlan, access: Access) -> RequestPool:
    target = loaded.plan.target
    descriptors = loaded.resolve(target.descriptors) if target.descriptors else None
    message = input_class(described_method(access, target.method, descriptors))
    if not target.requests:
        made_up = f"one {message.DESCRIPTOR.full_name} of defaults, made up, not real inputs"
        return RequestPool((message().SerializeToString(),), made_up)
    path = loaded.resolve(target.requests)
    rows = json_messages(path, target.body)
    return RequestPool(tuple(_serialised(message, row) for row in rows), f"{len(rows):,} rows of {path.name}")


def _serialised(message: type[Message], row: Row) -> bytes:
    try:
        return json_format.Parse(row.text, message()).SerializeToString()
    except json_format.ParseError as error:
        said = " ".join(str(error).split())
        raise RequestsError(f"{row.place}: does not fit {message.DESCRIPTOR.full_name}: {said}") from error


def _http_requests(loaded: LoadedPlan, _access: Access) -> RequestPool:
    target = loaded.plan.target
    if not target.requests:
        return RequestPool((b"",), f"none: {target.method} sends no body")
    path = loaded.resolve(target.requests)
    rows = json_messages(path, target.body)
    return RequestPool(tuple(row.text.encode() for row in rows), f"{len(rows):,} rows of {path.name}")
