"""A gRPC service that is not ours and has no generated code: its description is made here, while the program runs.

Rule: runs in a test's own process, or as a module alone; then it prints its port when it serves.
"""

from __future__ import annotations

import contextlib
import signal
import sys
from concurrent import futures
from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf import descriptor_pool, json_format, message_factory
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet, MethodDescriptorProto
from grpc_health.v1 import health, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.protobuf.message import Message

V1, V1ALPHA = "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"
SERVICE, METHOD, STREAMING = "weather.v1.Weather", "/weather.v1.Weather/Forecast", "/weather.v1.Weather/Watch"


def _field(name: str, number: int, kind: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "number": number, "type": f"TYPE_{kind}", "label": "LABEL_OPTIONAL"} | more


PLACES: dict[str, Any] = {
    "name": "weather/places.proto",
    "package": "weather.v1",
    "syntax": "proto3",
    "messageType": [
        {"name": "Place", "field": [_field("latitude", 1, "DOUBLE"), _field("longitude", 2, "DOUBLE")]},
    ],
}
WEATHER: dict[str, Any] = {
    "name": "weather/weather.proto",
    "package": "weather.v1",
    "syntax": "proto3",
    "dependency": ["weather/places.proto", "google/protobuf/timestamp.proto"],
    "enumType": [{"name": "Unit", "value": [{"name": "CELSIUS", "number": 0}, {"name": "KELVIN", "number": 1}]}],
    "messageType": [
        {
            "name": "ForecastRequest",
            "oneofDecl": [{"name": "where"}],
            "field": [
                _field("city", 1, "STRING", oneofIndex=0),
                _field("place", 2, "MESSAGE", typeName=".weather.v1.Place", oneofIndex=0),
                _field("when", 3, "MESSAGE", typeName=".google.protobuf.Timestamp"),
                _field("days", 4, "INT32", label="LABEL_REPEATED"),
                _field("unit", 5, "ENUM", typeName=".weather.v1.Unit"),
                _field("around", 6, "MESSAGE", typeName=".weather.v1.Place"),
                _field("like", 7, "MESSAGE", typeName=".weather.v1.ForecastRequest"),
            ],
        },
        {"name": "ForecastResponse", "field": [_field("temperature", 1, "DOUBLE")]},
    ],
    "service": [
        {
            "name": "Weather",
            "method": [
                {
                    "name": "Forecast",
                    "inputType": ".weather.v1.ForecastRequest",
                    "outputType": ".weather.v1.ForecastResponse",
                },
                {
                    "name": "Watch",
                    "inputType": ".weather.v1.ForecastRequest",
                    "outputType": ".weather.v1.ForecastResponse",
                    "serverStreaming": True,
                },
            ],
        },
    ],
}


TYPES = {"input_type": ".weather.v1.ForecastRequest", "output_type": ".weather.v1.ForecastResponse"}


def files() -> list[FileDescriptorProto]:
    """The service's own files; what they import of protobuf's is not among them."""
    return [json_format.ParseDict(file, FileDescriptorProto()) for file in (PLACES, WEATHER)]


def descriptor_set() -> bytes:
    """The same as a FileDescriptorSet, as protoc writes it."""
    return FileDescriptorSet(file=files()).SerializeToString()


def _pool(more: tuple[str, ...]) -> descriptor_pool.DescriptorPool:
    """All that the service knows; the methods `more` are described and not served."""
    from google.protobuf import timestamp_pb2

    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(timestamp_pb2.DESCRIPTOR.serialized_pb)
    for file in files():
        for service in file.service:
            service.method.extend(MethodDescriptorProto(name=name, **TYPES) for name in more)
        pool.AddSerializedFile(file.SerializeToString())
    return pool


class Weather:
    """Serves the method, and remembers what it was asked and with which metadata."""

    def __init__(self, token: str = "", more: tuple[str, ...] = ()) -> None:
        self.pool, self.token = _pool(more), token
        self.asked: list[Message] = []
        self.metadata: list[dict[str, str | bytes]] = []

    def forecast(self, request: Message, context: grpc.ServicerContext) -> Message:
        metadata = dict(context.invocation_metadata())
        if not self.takes(str(metadata.get("authorization"))):
            context.abort(grpc.StatusCode.UNAUTHENTICATED, f"who is {metadata.get('authorization')}?")
        self.asked.append(request)
        self.metadata.append(metadata)
        return self._class("ForecastResponse")(temperature=21.5)

    def takes(self, authorization: str) -> bool:
        return not self.token or authorization == f"Bearer {self.token}"

    def handler(self) -> grpc.GenericRpcHandler:
        forecast = grpc.unary_unary_rpc_method_handler(
            self.forecast, self._class("ForecastRequest").FromString, self._class("ForecastResponse").SerializeToString
        )
        return grpc.method_handlers_generic_handler(SERVICE, {"Forecast": forecast})

    def _class(self, name: str) -> type[Message]:
        return message_factory.GetMessageClass(self.pool.FindMessageTypeByName(f"weather.v1.{name}"))


def _reflection(version: str, names: tuple[str, ...], pool: descriptor_pool.DescriptorPool) -> grpc.GenericRpcHandler:
    """Version v1 has v1alpha's messages under another name."""
    describe = grpc.stream_stream_rpc_method_handler(
        reflection.ReflectionServicer(names, pool).ServerReflectionInfo,
        reflection_pb2.ServerReflectionRequest.FromString,
        reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    return grpc.method_handlers_generic_handler(version, {"ServerReflectionInfo": describe})


@contextlib.contextmanager
def serving(
    weather: Weather, *, reflecting: tuple[str, ...] = (V1ALPHA,), credentials: grpc.ServerCredentials | None = None
) -> Iterator[str]:
    """Serve on a free port of the loopback, with these versions of server reflection; gives its address."""
    server = grpc.server(futures.ThreadPoolExecutor(8))
    server.add_generic_rpc_handlers((weather.handler(),))
    health_pb2_grpc.add_HealthServicer_to_server(health.HealthServicer(), server)
    for version in reflecting:
        names = (SERVICE, "grpc.health.v1.Health", version)
        server.add_generic_rpc_handlers((_reflection(version, names, weather.pool),))
    address = "127.0.0.1:0"
    port = server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address)
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(0).wait(5)


if __name__ == "__main__":
    with serving(Weather()) as address:
        sys.stdout.write(address.rpartition(":")[2] + "\n")
        sys.stdout.flush()
        signal.pause()
