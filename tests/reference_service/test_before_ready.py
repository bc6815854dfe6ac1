"""While a model loads the process is seen to live and not to be ready; the service then takes over the same port."""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import TYPE_CHECKING, Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from reference_service.before_ready import start_before_ready
from reference_service.calls import FrontDoor
from reference_service.health import Health
from reference_service.http2 import frames as wire
from reference_service.listening import Listener, offer
from reference_service.protocol import open_inference_pb2 as pb
from reference_service.protocol.messages import SERVICE, infer_request
from reference_service.protocol.open_inference_pb2_grpc import GRPCInferenceServiceStub
from tests.reference_service.http2.by_hand import GRPC, MESSAGE, OPEN, opened
from tests.reference_service.running import LIMIT_S, servicer_of
from tests.reference_service.tiny_registry import MODEL, tiny_rows

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from reference_service.http2.server import Server
    from reference_service.registry import ModelVersion

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
REQUEST = infer_request(MODEL, "features", tiny_rows(1))


async def refusal(call: Any) -> grpc.StatusCode:
    try:
        await call
    except grpc.RpcError as error:
        return error.code()
    return grpc.StatusCode.OK


async def health_of(channel: grpc.aio.Channel, name: str) -> int:
    call = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=name), timeout=LIMIT_S)
    return int((await call).status)


@contextlib.asynccontextmanager
async def before_ready() -> AsyncIterator[tuple[Server, str, Health]]:
    health = Health()
    server, address = await start_before_ready(Listener("127.0.0.1:0"), health)
    try:
        yield server, address, health
    finally:
        health.end_watches()
        await server.stop(0.5)


def test_it_lives_and_is_not_ready_and_nothing_else_is_offered() -> None:
    async def scene() -> None:
        async with before_ready() as (_, address, _), grpc.aio.insecure_channel(address) as channel:
            stub = GRPCInferenceServiceStub(channel)
            assert (await stub.ServerLive(pb.ServerLiveRequest())).live
            assert not (await stub.ServerReady(pb.ServerReadyRequest())).ready
            assert not (await stub.ModelReady(pb.ModelReadyRequest(name=MODEL))).ready
            for name in ("", SERVICE):
                assert await health_of(channel, name) == NOT_SERVING
            assert await refusal(stub.ModelInfer(REQUEST)) is grpc.StatusCode.UNAVAILABLE
            assert await refusal(stub.ModelMetadata(pb.ModelMetadataRequest())) is grpc.StatusCode.UNAVAILABLE
            assert await refusal(channel.unary_unary("/other/Call")(b"")) is grpc.StatusCode.UNIMPLEMENTED

    asyncio.run(scene())


def test_who_came_early_gets_answers_and_the_change_of_health_on_the_same_connection(
    tiny_version: ModelVersion,
) -> None:
    async def scene() -> None:
        async with before_ready() as (server, address, health), grpc.aio.insecure_channel(address) as channel:
            stub = GRPCInferenceServiceStub(channel)
            assert await refusal(stub.ModelInfer(REQUEST)) is grpc.StatusCode.UNAVAILABLE
            watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service=SERVICE))
            assert (await watch.read()).status == NOT_SERVING
            await offer(server, servicer_of(tiny_version), health, FrontDoor())
            assert (await watch.read()).status == SERVING
            assert (await stub.ModelInfer(REQUEST, timeout=LIMIT_S)).model_name == MODEL
            assert (await stub.ServerReady(pb.ServerReadyRequest())).ready
            assert len(server.connections) == 1
            watch.cancel()

    asyncio.run(scene())


def test_a_call_that_began_before_is_answered_by_what_was_offered_then(tiny_version: ModelVersion) -> None:
    def path(name: str) -> list[tuple[str, str]]:
        return [(key, f"/{SERVICE}/{name}" if key == ":path" else value) for key, value in GRPC]

    async def scene() -> list[bytes]:
        async with before_ready() as (server, address, health):
            host, _, port = address.rpartition(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            calls = [opened(1 + 2 * n, OPEN, *path(name)) for n, name in enumerate(("ModelInfer", "ModelMetadata"))]
            writer.write(wire.PREFACE + wire.frame(wire.SETTINGS, 0, 0) + b"".join(calls))
            await until(lambda: server.counts.calls == len(calls))
            await offer(server, servicer_of(tiny_version), health, FrontDoor())
            for stream in (1, 3):
                writer.write(wire.frame(wire.DATA, wire.END_STREAM, stream, MESSAGE))
            said = b""
            while said.count(b"grpc-status") < len(calls):
                said += await asyncio.wait_for(reader.read(65_536), LIMIT_S)
            writer.close()
            return re.findall(rb"grpc-status.(\d+)", said, re.DOTALL)

    assert asyncio.run(scene()) == [b"14", b"14"]


async def until(condition: Callable[[], bool]) -> None:
    end = asyncio.get_running_loop().time() + LIMIT_S
    while not condition():
        assert asyncio.get_running_loop().time() < end
        await asyncio.sleep(0.005)
