"""While a model loads the process is seen to live and not to be ready; the service then takes over the same port."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from reference_service.before_ready import BeforeReady
from reference_service.listening import Listener
from reference_service.protocol import open_inference_pb2 as pb
from reference_service.protocol.messages import SERVICE, infer_request
from reference_service.protocol.open_inference_pb2_grpc import GRPCInferenceServiceStub
from tests.reference_service.running import LIMIT_S, in_process
from tests.reference_service.tiny_registry import MODEL, tiny_rows

if TYPE_CHECKING:
    from reference_service.registry import ModelVersion

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


def test_it_lives_and_is_not_ready_and_nothing_else_is_offered() -> None:
    async def scene() -> None:
        async with (
            BeforeReady(Listener("127.0.0.1:0")) as loading,
            grpc.aio.insecure_channel(loading.address) as channel,
        ):
            stub = GRPCInferenceServiceStub(channel)
            assert (await stub.ServerLive(pb.ServerLiveRequest())).live
            assert not (await stub.ServerReady(pb.ServerReadyRequest())).ready
            assert not (await stub.ModelReady(pb.ModelReadyRequest(name=MODEL))).ready
            for name in ("", SERVICE):
                assert await health_of(channel, name) == health_pb2.HealthCheckResponse.NOT_SERVING
            assert await refusal(stub.ModelInfer(REQUEST)) is grpc.StatusCode.UNAVAILABLE
            assert await refusal(stub.ModelMetadata(pb.ModelMetadataRequest())) is grpc.StatusCode.UNAVAILABLE
            assert await refusal(channel.unary_unary("/other/Call")(b"")) is grpc.StatusCode.UNIMPLEMENTED

    asyncio.run(scene())


def test_a_client_that_came_early_gets_its_answer_once_the_service_is_there(tiny_version: ModelVersion) -> None:
    async def scene() -> None:
        async with BeforeReady(Listener("127.0.0.1:0")) as loading:
            channel = grpc.aio.insecure_channel(loading.address)
            stub = GRPCInferenceServiceStub(channel)
            assert await refusal(stub.ModelInfer(REQUEST)) is grpc.StatusCode.UNAVAILABLE
            serving = in_process(tiny_version, listen=loading.address)
            running = await asyncio.to_thread(serving.__enter__)
            assert running.address == loading.address
        answer = await stub.ModelInfer(REQUEST, wait_for_ready=True, timeout=LIMIT_S)  # on the same channel
        assert answer.model_name == MODEL
        await channel.close()
        await asyncio.to_thread(serving.__exit__, None, None, None)

    asyncio.run(scene())


def test_a_watch_that_began_early_does_not_hold_up_the_service() -> None:
    async def scene() -> None:
        async with BeforeReady(Listener("127.0.0.1:0")) as loading:
            channel = grpc.aio.insecure_channel(loading.address)
            watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
            assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
            began = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - began < 0.4  # less than it would wait for calls in hand
        await channel.close()

    asyncio.run(scene())
