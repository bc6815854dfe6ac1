"""Finds a unary gRPC method and the type of its input, in what the server or a file of descriptors says.

Rule: nothing is generated and nothing global is changed: each set of files has a pool of its own.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor_database import DescriptorDatabase
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.message import DecodeError

from harness.access import grpc_calls
from harness.requests.pool import RequestsError
from harness.requests.reflection import described_files, listed_services

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from google.protobuf.descriptor import MethodDescriptor
    from google.protobuf.message import Message

    from harness.access import Access, Calls

INFRASTRUCTURE = "grpc."
"""Package of gRPC's own services: health, reflection, channelz."""
WELL_KNOWN = "google/protobuf/"


def described_method(access: Access, name: str, descriptors: Path | None) -> MethodDescriptor:
    """The unary method `name` ("/package.Service/Method"), by the file `descriptors` or else by server reflection.

    Raises RequestsError when there is none of that name, or when it streams; AccessError, SecretError.
    """
    service = name.split("/")[1]
    if descriptors is not None:
        return _unary(name, _read_files(descriptors), str(descriptors))
    with grpc_calls(access) as calls:
        return _unary(name, described_files(calls, service), f"the reflection of {access.address}")


def unary_methods(calls: Calls) -> dict[str, MethodDescriptor]:
    """Every unary method that the server lists but those of gRPC's own services, by full name. Raises RequestsError."""
    services = [name for name in listed_services(calls) if not name.startswith(INFRASTRUCTURE)]
    found: dict[str, MethodDescriptor] = {}
    for service in services:
        described = _pool(described_files(calls, service)).FindServiceByName(service)
        found |= {f"/{service}/{item.name}": item for item in described.methods if not _streams(item)}
    return found


def input_class(method: MethodDescriptor) -> type[Message]:
    """The class of the messages that the method takes."""
    return message_factory.GetMessageClass(method.input_type)


def _unary(name: str, files: Iterable[FileDescriptorProto], source: str) -> MethodDescriptor:
    _, service, method = name.split("/")
    try:
        described = _pool(files).FindServiceByName(service)
    except (KeyError, TypeError) as error:  # TypeError: a file that another one imports is missing or does not fit
        raise RequestsError(f"{source} has no service {service}, or not all that it imports ({error})") from error
    found = described.methods_by_name.get(method)
    if found is None:
        offered = ", ".join(sorted(described.methods_by_name)) or "none"
        raise RequestsError(f"target.method: {source} has no method {method} in {service}; its methods: {offered}")
    if _streams(found):
        raise RequestsError(
            f"target.method: {name} streams; only unary methods, one request for one answer, are loaded"
        )
    return found


def _streams(method: MethodDescriptor) -> bool:
    return bool(method.client_streaming or method.server_streaming)


def _read_files(path: Path) -> tuple[FileDescriptorProto, ...]:
    try:
        files = FileDescriptorSet.FromString(path.read_bytes()).file
    except OSError as error:
        raise RequestsError(f"{path}: target.descriptors can't be read ({error.strerror})") from error
    except DecodeError:
        files = FileDescriptorSet().file
    if not files:
        how = "protoc --include_imports --descriptor_set_out=FILE"
        raise RequestsError(f"{path}: target.descriptors must be a FileDescriptorSet, as `{how}` writes it")
    return tuple(files)


def _pool(files: Iterable[FileDescriptorProto]) -> descriptor_pool.DescriptorPool:
    """A pool that holds these files; protobuf's own types come from here where nobody sent them."""
    named = {file.name: file for file in files}
    wanted = [name for file in named.values() for name in file.dependency]
    while wanted:
        name = wanted.pop()
        if name not in named and name.startswith(WELL_KNOWN):
            named[name] = _well_known(name)
            wanted += named[name].dependency
    database = DescriptorDatabase()
    for file in named.values():
        database.Add(file)
    return descriptor_pool.DescriptorPool(database)


def _well_known(name: str) -> FileDescriptorProto:
    module = importlib.import_module(name.removesuffix(".proto").replace("/", ".") + "_pb2")
    file = FileDescriptorProto()
    module.DESCRIPTOR.CopyToProto(file)
    return file
