"""Asks a gRPC server what it offers, by the server reflection protocol (gRPC's `doc/server-reflection.md`).

Rule: version v1 first, then v1alpha; their messages are the same on the wire. Every call has a time limit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest, ServerReflectionResponse

from harness.requests.pool import RequestsError

if TYPE_CHECKING:
    from harness.access import Calls

CALL_TIMEOUT_S = 5.0
VERSIONS = ("grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection")


class NoReflectionError(RequestsError):
    """The server does not offer reflection."""


def listed_services(calls: Calls) -> tuple[str, ...]:
    """Full names of the services that the server lists. Raises RequestsError."""
    answer = _ask(calls, ServerReflectionRequest(list_services="*"))
    return tuple(sorted(item.name for item in answer.list_services_response.service))


def described_files(calls: Calls, symbol: str) -> tuple[FileDescriptorProto, ...]:
    """The file that declares `symbol`, and all that it imports as far as the server has them. Raises RequestsError."""
    files: dict[str, FileDescriptorProto] = {}
    asked, wanted = set[str](), [ServerReflectionRequest(file_containing_symbol=symbol)]
    while wanted:
        request = wanted.pop()
        answer = _ask(calls, request)
        if answer.HasField("error_response") and not files:
            reason = answer.error_response.error_message
            raise RequestsError(f"the server does not describe {symbol} ({reason}); check target.method")
        for content in answer.file_descriptor_response.file_descriptor_proto:
            file = FileDescriptorProto.FromString(content)
            files[file.name] = file
        imports = {name for file in files.values() for name in file.dependency} - files.keys() - asked
        asked |= imports
        wanted += [ServerReflectionRequest(file_by_filename=name) for name in sorted(imports)]
    return tuple(files.values())


def _ask(calls: Calls, request: ServerReflectionRequest) -> ServerReflectionResponse:
    for version in VERSIONS:
        try:
            return _ask_version(calls, version, request)
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.UNIMPLEMENTED:
                raise RequestsError(f"server reflection failed ({calls.describe(error)})") from error
    raise NoReflectionError("the server has no reflection; name a file in target.descriptors")


def _ask_version(calls: Calls, version: str, request: ServerReflectionRequest) -> ServerReflectionResponse:
    call = calls.channel.stream_stream(
        f"/{version}/ServerReflectionInfo",
        request_serializer=ServerReflectionRequest.SerializeToString,
        response_deserializer=ServerReflectionResponse.FromString,
    )
    for answer in call(iter([request]), timeout=CALL_TIMEOUT_S, metadata=calls.metadata):
        return answer
    raise RequestsError("server reflection ended without an answer")
