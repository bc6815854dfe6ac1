"""A service told to stop answers every call it took, refuses the rest whole, and waits for no stream held open."""

from __future__ import annotations

import contextlib
import fcntl
import signal
import socket
import time
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from reference_service.protocol import open_inference_pb2 as pb
from reference_service.protocol.messages import infer_request
from reference_service.protocol.open_inference_pb2_grpc import GRPCInferenceServiceStub
from tests.harness.load.odd_peer import PING, PREFACE, SETTINGS, frame
from tests.integration.hostile_wire import PROBE, Wire, call, plain
from tests.reference_service.running import LIMIT_S, ROOT, in_own_process, recorded
from tests.reference_service.tiny_registry import MODEL, tiny_rows, write_tiny_version

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GOOD = infer_request(MODEL, "features", tiny_rows(1)).SerializeToString()
CONNECTIONS, BURST, ROUNDS = 4, 20, 3
REGISTRY, FLIGHTS = ROOT / "reference_service" / "models", "flight-delay"
NOTICE_S = 0.3
OK, CANCELLED = 0, 1
SERVING = health_pb2.HealthCheckResponse.SERVING
ALL = 2**31 - 1
"""The last stream there can be: until the service names another, it takes all."""
DRAIN_S_MAX = 8.0
"""Less than the ten seconds after which open calls are cut off."""


class Client:
    """Sends bursts of calls on a connection that it never closes, pings between them, and does not look at health."""

    def __init__(self, wire: Wire, service: Any) -> None:
        self.wire = wire
        self.sent: list[int] = []
        self._service = service
        wire.send(PREFACE + frame(SETTINGS, 0, 0))

    def burst(self) -> None:
        """One burst; what was sent is answered, or the connection has ended."""
        begin = 1 + 2 * len(self.sent)
        numbers = range(begin, begin + 2 * BURST, 2)
        self.wire.send(b"".join(call(self._service, GOOD, number=number) for number in numbers))
        self.wire.send(frame(PING, 0, 0, PROBE))
        self.sent += numbers
        self.wire.hear(lambda seen: seen.closed or (seen.last_taken == ALL and seen.answers.keys() >= set(self.sent)))


class Service:
    """As much of a service as headers name."""

    bearer = ()

    def __init__(self, address: str) -> None:
        self.address = address


def test_every_call_taken_is_answered_and_open_streams_hold_up_nothing(tmp_path: Path) -> None:
    write_tiny_version(tmp_path)
    log = tmp_path / "predictions"
    options = ("--drain-notice", str(NOTICE_S), "--prediction-log", str(log))
    with in_own_process(tmp_path, MODEL, *options) as process, contextlib.ExitStack() as held:
        service: Any = Service(process.await_event("ready")["address"])
        clients = [Client(held.enter_context(plain(service)), service) for _ in range(CONNECTIONS)]
        channel = held.enter_context(grpc.insecure_channel(service.address))
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        question = reflection_pb2.ServerReflectionRequest(list_services="")
        reflection = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(forever(question))
        assert next(watch).status == SERVING
        next(reflection)
        for _ in range(ROUNDS):
            for client in clients:
                client.burst()
        process.popen.send_signal(signal.SIGTERM)
        began = time.monotonic()
        while open_ones := [client for client in clients if not client.wire.seen.closed]:
            assert time.monotonic() - began < LIMIT_S
            for client in open_ones:
                client.burst()
        assert process.await_event("drained")["cut_off"] == 0
        assert time.monotonic() - began < DRAIN_S_MAX
        assert process.popen.wait(LIMIT_S) == 0
        answered = [answers_of(client) for client in clients]
    assert len(recorded(log)) == sum(answered)  # nothing that was refused had been begun
    assert min(answered) > BURST * ROUNDS  # calls were taken after the signal, too


def answers_of(client: Client) -> int:
    """How many calls were answered; all but those that crossed the farewell on its way, which are refused."""
    seen = client.wire.seen
    codes = [seen.answers.get(number) for number in client.sent if number <= seen.last_taken]
    answered = codes.count(OK)
    assert codes == [OK] * answered + [CANCELLED] * (len(codes) - answered)
    assert seen.goaway == {0}  # a farewell, no complaint
    return answered


def forever(question: Any) -> Iterator[Any]:
    """One question, then none, and no end."""
    yield question
    time.sleep(LIMIT_S)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_while_it_drains_changes_nothing(tmp_path: Path, number: signal.Signals) -> None:
    write_tiny_version(tmp_path)
    with in_own_process(tmp_path, MODEL, "--drain-notice", str(NOTICE_S)) as process:
        service: Any = Service(process.await_event("ready")["address"])
        with plain(service) as wire:
            client = Client(wire, service)
            client.burst()
            process.popen.send_signal(number)
            process.await_event("draining")
            process.popen.send_signal(number)
            client.burst()
            assert client.wire.seen.grpc == {0}
        assert process.popen.wait(LIMIT_S) == 0


def test_a_process_that_still_loads_is_seen_to_live_and_not_to_be_ready(tmp_path: Path) -> None:
    (tmp_path / "service.toml").write_text('[registry]\nstate = "state.json"\n')
    config = ("--config", str(tmp_path / "service.toml"))
    with (tmp_path / "state.json.lock").open("ab") as lock, socket.socket() as holder:
        fcntl.flock(lock, fcntl.LOCK_EX)  # loading waits for it, to remember the signed version that it loads
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{holder.getsockname()[1]}"
        with (
            in_own_process(REGISTRY, FLIGHTS, *config, "--listen", address, unsigned=False) as process,
            grpc.insecure_channel(address) as channel,
        ):
            stub, health = GRPCInferenceServiceStub(channel), health_pb2_grpc.HealthStub(channel)
            assert stub.ServerLive(pb.ServerLiveRequest(), wait_for_ready=True, timeout=LIMIT_S).live
            assert not stub.ServerReady(pb.ServerReadyRequest()).ready
            assert health.Check(health_pb2.HealthCheckRequest()).status == health_pb2.HealthCheckResponse.NOT_SERVING
            fcntl.flock(lock, fcntl.LOCK_UN)
            assert process.await_event("ready")["address"] == address
            assert health.Check(health_pb2.HealthCheckRequest(), wait_for_ready=True).status == SERVING
            assert stub.ServerReady(pb.ServerReadyRequest(), wait_for_ready=True).ready
