"""The life of a server: it drains without losing a call, and tells health, reflection and pings as an edge wants."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
import time
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from reference_service.calls import FrontDoor
from reference_service.errors import DETAILS, StartError
from reference_service.health import Health
from reference_service.listening import Listener, start
from reference_service.protocol import open_inference_pb2 as pb
from reference_service.protocol.messages import SERVICE, infer_request, output_array
from reference_service.protocol.open_inference_pb2_grpc import GRPCInferenceServiceStub
from reference_service.servicer import InferenceServicer
from reference_service.settings import Limits
from tests.reference_service.running import InProcess, in_process, wait_for
from tests.reference_service.tiny_registry import MODEL, tiny_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reference_service.registry import ModelVersion

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


def health_of(channel: grpc.Channel, service: str = "") -> int:
    stub = health_pb2_grpc.HealthStub(channel)
    return int(stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=5).status)


@pytest.mark.parametrize("name", ["", SERVICE])
def test_health_is_serving_for_the_server_and_the_service(channel: grpc.Channel, name: str) -> None:
    assert health_of(channel, name) == SERVING


def test_health_of_an_unknown_service_is_not_found(channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        health_of(channel, "other")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


def test_reflection_lists_the_services_and_gives_the_protocol(channel: grpc.Channel) -> None:
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    requests = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol=SERVICE),
    ]
    listed, described = stub.ServerReflectionInfo(iter(requests), timeout=5)
    names = {item.name for item in listed.list_services_response.service}
    assert names == {SERVICE, "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"}
    assert b"ModelInferRequest" in described.file_descriptor_response.file_descriptor_proto[0]


class GatedServicer(InferenceServicer):
    """Holds every inference until the test opens the gate."""

    gate: asyncio.Event

    async def model_infer(self, raw: bytes, context: Any) -> bytes:
        entered = self.admission.enter(None)
        await self.gate.wait()
        self.admission.leave(entered)
        return await super().model_infer(raw, context)


def test_draining_says_not_serving_first_then_finishes_what_is_open_and_refuses_the_rest(
    tiny_version: ModelVersion,
) -> None:
    request = infer_request(MODEL, "features", tiny_rows(1))
    with in_process(tiny_version, servicer_type=GatedServicer) as running:
        gate = running.servicer.gate = asyncio.Event()
        with grpc.insecure_channel(running.address) as channel:
            stub = GRPCInferenceServiceStub(channel)
            open_call = stub.ModelInfer.future(request, timeout=20)
            wait_for(lambda: running.servicer.in_flight == 1)
            drained = running.drain(notice_s=0.5, limit_s=20)
            wait_for(lambda: health_of(channel) == NOT_SERVING)
            assert health_of(channel, SERVICE) == NOT_SERVING
            assert not stub.ServerReady(pb.ServerReadyRequest()).ready
            assert not stub.ModelReady(pb.ModelReadyRequest(name=MODEL)).ready
            late_call = stub.ModelInfer.future(request, timeout=20)
            wait_for(lambda: running.servicer.in_flight == 2)  # still taken within the notice
            wait_for(lambda: refused(running.address))
            assert not drained.done()
            running.loop.call_soon_threadsafe(gate.set)
            assert output_array(open_call.result(20), "p").shape == (1, 1)
            assert output_array(late_call.result(20), "p").shape == (1, 1)
            drained.result(20)


def refused(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_call_that_never_ends_is_cut_off_at_the_limit(tiny_version: ModelVersion) -> None:
    with (
        in_process(tiny_version, servicer_type=GatedServicer) as running,
        grpc.insecure_channel(running.address) as channel,
    ):
        running.servicer.gate = asyncio.Event()
        stub = GRPCInferenceServiceStub(channel)
        call = stub.ModelInfer.future(infer_request(MODEL, "features", tiny_rows(1)), timeout=20)
        wait_for(lambda: running.servicer.in_flight == 1)
        running.drain(notice_s=0, limit_s=0.2).result(10)
        assert call.exception(20).code() in {grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE}


def test_a_watch_sees_the_change_and_does_not_hold_up_the_end(tiny_version: ModelVersion) -> None:
    seen: list[int] = []
    with in_process(tiny_version) as running, grpc.insecure_channel(running.address) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())

        reader = threading.Thread(target=lambda: seen.extend(until_error(watch)))
        reader.start()
        wait_for(lambda: seen == [SERVING])
        running.drain(notice_s=0.1, limit_s=60).result(10)
        reader.join(10)
    assert seen == [SERVING, NOT_SERVING]


def test_a_reflection_that_is_held_open_does_not_hold_up_the_end(tiny_version: ModelVersion) -> None:
    hold = threading.Event()

    def questions() -> Iterator[reflection_pb2.ServerReflectionRequest]:
        yield reflection_pb2.ServerReflectionRequest(list_services="")
        hold.wait(20)

    with in_process(tiny_version) as running, grpc.insecure_channel(running.address) as channel:
        answers = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(questions())
        assert next(answers).list_services_response.service
        running.drain(notice_s=0, limit_s=60).result(10)
        assert list(answers) == []
        hold.set()


def until_error(watch: Any) -> Iterator[int]:
    """Each status that arrives; a watch of a server that stops ends by UNAVAILABLE."""
    with pytest.raises(grpc.RpcError) as caught:  # noqa: PT012 - the stream is what raises
        for item in watch:
            yield int(item.status)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def frames(connection: socket.socket) -> Iterator[int]:
    """The type of each HTTP/2 frame that arrives (RFC 9113 section 4.1)."""
    with connection.makefile("rb") as stream:
        while head := stream.read(9):
            stream.read(int.from_bytes(head[:3], "big"))
            yield head[3]


def test_an_edge_that_pings_often_is_not_sent_away(service: InProcess) -> None:
    settings, ping, goaway = 4, 6, 7
    host, _, port = service.address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + struct.pack(">I5x", settings))
        arriving = frames(connection)
        for _ in range(20):
            connection.sendall(struct.pack(">HBBBI8x", 0, 8, ping, 0, 0))
            assert next(kind for kind in arriving if kind in {ping, goaway}) == ping


class SlowEngine:
    """Holds the whole loop for a while, again and again."""

    name = "slow"
    takes_s = 0.02

    def __init__(self) -> None:
        self.answered = 0

    def infer(self, batch: Any) -> Any:
        time.sleep(self.takes_s)
        self.answered += 1
        return batch[:, :1]

    def close(self) -> None: ...


def test_of_more_calls_than_may_wait_the_rest_is_refused_at_once_and_those_who_wait_are_answered(
    tiny_version: ModelVersion,
) -> None:
    engine, limits = SlowEngine(), Limits(in_flight_max=32)
    message = infer_request(MODEL, "features", tiny_rows(1))
    with (
        in_process(tiny_version, engine=engine, limits=limits) as running,
        grpc.insecure_channel(running.address) as channel,
    ):
        stub, seen_after = GRPCInferenceServiceStub(channel), {}
        calls = [stub.ModelInfer.future(message, timeout=20) for _ in range(100)]
        for call in calls:
            call.add_done_callback(lambda done: seen_after.setdefault(done, engine.answered))
        wait_for(lambda: sum(call.done() for call in calls) >= 100 - 32 - 4)
        # Neither who asks whether it lives nor who checks its health waits for those that wait.
        before = engine.answered
        assert stub.ServerLive(pb.ServerLiveRequest(), timeout=20).live
        assert health_of(channel) == SERVING
        assert engine.answered - before <= 12
        codes = [call.code() for call in calls]  # waits for each
    assert set(codes) == {grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED}
    assert 28 <= codes.count(grpc.StatusCode.OK) <= 50
    refused = [call for call in calls if call.code() is not grpc.StatusCode.OK]
    assert max(seen_after[call] for call in refused) <= 16  # while most of those who wait still waited
    assert all(retry_s(call) > 0 for call in refused)
    assert running.servicer.admission.refused_full == len(refused) == running.servicer.metrics.codes[8]


def retry_s(call: Any) -> float:
    """When a refusal says to come back."""
    status = Status.FromString(dict(call.trailing_metadata())[DETAILS])
    info = RetryInfo()
    assert status.details[0].Unpack(info)
    return float(info.retry_delay.ToNanoseconds() / 1e9)


def starting_at(address: str, service: InProcess) -> Any:
    beginning = start(service.servicer, Health(), FrontDoor(), Listener(address))
    return asyncio.run_coroutine_threadsafe(beginning, service.loop)


@pytest.mark.parametrize("listen", ["9000", ":9000", "127.0.0.1", "127.0.0.1:http"])
def test_an_address_without_host_or_port_is_refused(service: InProcess, listen: str) -> None:
    starting = asyncio.run_coroutine_threadsafe(
        start(service.servicer, Health(), FrontDoor(), Listener(listen)), service.loop
    )
    with pytest.raises(StartError, match="expected HOST:PORT"):
        starting.result(10)


def test_a_port_that_another_program_listens_on_is_an_error_that_names_it(service: InProcess) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        starting = asyncio.run_coroutine_threadsafe(
            start(service.servicer, Health(), FrontDoor(), Listener(address)), service.loop
        )
        with pytest.raises(StartError, match=address):
            starting.result(10)
