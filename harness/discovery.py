"""Finds out what a running service offers: the Open Inference Protocol, a gRPC method by reflection, or HTTP.

Rule: asks and never guesses between two possibilities: where more than one model or method could be meant, they are
listed, and whoever starts a Plan chooses.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc
from google.protobuf import descriptor_pool, json_format, message_factory
from google.protobuf.descriptor_pb2 import FileDescriptorProto

from harness.access import AccessError, grpc_calls, require_grpc, require_http
from harness.load.spec import MODEL_INFER
from harness.requests.arrays import model_metadata
from harness.requests.example import example_message
from harness.requests.methods import described_method, unary_methods
from harness.requests.reflection import NoReflectionError
from reference_service.protocol import open_inference_pb2 as oip
from reference_service.protocol import open_inference_pb2_grpc as oip_grpc

if TYPE_CHECKING:
    from collections.abc import Sequence

    from google.protobuf.message import Message

    from harness.access import Access, Calls

REACH_LIMIT_S = 5.0
CALL_TIMEOUT_S = 5.0
REPOSITORY_INDEX = "/inference.GRPCInferenceService/RepositoryIndex"
READY_ONLY = b"\x10\x01"
"""A RepositoryIndexRequest with `ready` (field 2) set, of the protocol's model repository extension."""


class DiscoveryError(Exception):
    """The service does not say enough of itself; the text says which option to give."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a Plan's target needs: `keys` of it, a `name` for the service, and an example request as one JSON line.

    `inputs` says in words what the model or the method takes, one line an input; `example` is "" where none is needed.
    """

    name: str
    keys: dict[str, str]
    inputs: tuple[str, ...] = ()
    example: str = ""


def discover(access: Access, *, method: str = "", model: str = "") -> Found:
    """What `access` leads to; `method` and `model` choose where there is a choice.

    Raises DiscoveryError, and AccessError, SecretError, RequestsError where asking fails.
    """
    if " " in method:
        require_http(access, REACH_LIMIT_S)
        return _http(access, method)
    try:
        require_grpc(access, REACH_LIMIT_S)
    except AccessError as error:
        how = 'for an HTTP service, say what to send: --method "POST /predict"'
        raise DiscoveryError(f"{error} ({how})") from error
    with grpc_calls(access) as calls:
        if method in ("", MODEL_INFER) and (_is_live(calls) or model):
            return _open_inference(access, model or _only_model(calls))
    return _grpc(access, method or _only_method(access))


def _http(access: Access, method: str) -> Found:
    has_body = method.partition(" ")[0] in ("POST", "PUT", "PATCH")
    keys = {"protocol": "http", "method": method}
    return Found(name=access.address, keys=keys, example="{}" if has_body else "")


def _is_live(calls: Calls) -> bool:
    """Whether the service speaks the Open Inference Protocol."""
    stub = oip_grpc.GRPCInferenceServiceStub(calls.channel)  # type: ignore[no-untyped-call]  # generated code
    try:
        stub.ServerLive(oip.ServerLiveRequest(), timeout=CALL_TIMEOUT_S, metadata=calls.metadata)
    except grpc.RpcError as error:
        if error.code() is grpc.StatusCode.UNIMPLEMENTED:
            return False
        raise DiscoveryError(f"the service does not let itself be asked ({calls.describe(error)})") from error
    return True


def _only_model(calls: Calls) -> str:
    index = calls.channel.unary_unary(REPOSITORY_INDEX, None, response_deserializer=_index_class().FromString)
    try:
        answer = index(READY_ONLY, timeout=CALL_TIMEOUT_S, metadata=calls.metadata)
    except grpc.RpcError as error:
        raise DiscoveryError("the service does not list its models; say which: --model NAME") from error
    return _only(sorted({item["name"] for item in json_format.MessageToDict(answer).get("models", [])}), "model")


def _open_inference(access: Access, model: str) -> Found:
    metadata = model_metadata(access, model)
    inputs = [f"{item.name}: {item.datatype} {list(item.shape)}" for item in metadata.inputs]
    return Found(name=model, keys={"model": model}, inputs=tuple(inputs))


def _only_method(access: Access) -> str:
    with grpc_calls(access) as calls:
        try:
            return _only(sorted(unary_methods(calls)), "method")
        except NoReflectionError as error:
            how = "write the Plan by hand, with target.method and target.descriptors"
            raise DiscoveryError(
                f"the service has neither the Open Inference Protocol nor reflection; {how}"
            ) from error


def _grpc(access: Access, method: str) -> Found:
    described = described_method(access, method, None)
    example = json.dumps(example_message(described.input_type), ensure_ascii=False)
    name, inputs = described.containing_service.full_name, (f"one {described.input_type.full_name}",)
    return Found(name=name, keys={"protocol": "grpc", "method": method}, inputs=inputs, example=example)


def _only(names: Sequence[str], what: str) -> str:
    if len(names) == 1:
        return names[0]
    if not names:
        raise DiscoveryError(f"the service lists no {what} that could be loaded")
    listed = "".join(f"\n  --{what} {name}" for name in names)
    raise DiscoveryError(f"the service has several {what}s; say which:{listed}")


def _index_class() -> type[Message]:
    """The RepositoryIndexResponse of the protocol's model repository extension, as far as it is read here."""

    def field(name: str, kind: str) -> dict[str, object]:
        return {"name": name, "number": 1, "type": kind, "label": "LABEL_OPTIONAL"}

    models = field("models", "TYPE_MESSAGE") | {"label": "LABEL_REPEATED", "typeName": ".inference.ModelIndex"}
    types = [
        {"name": "ModelIndex", "field": [field("name", "TYPE_STRING")]},
        {"name": "RepositoryIndexResponse", "field": [models]},
    ]
    file = {"name": "repository_index.proto", "package": "inference", "syntax": "proto3", "messageType": types}
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(json_format.ParseDict(file, FileDescriptorProto()).SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("inference.RepositoryIndexResponse"))
