"""gRPC's own client against the own server: what it does with `grpc.aio`, it does here."""

from __future__ import annotations

import ssl
import threading
import time
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from tests.reference_service.certificates import signed
from tests.reference_service.http2.serving import LIMIT_S, LIMITS, Serving, call, serving
from tests.reference_service.running import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def server() -> Iterator[Serving]:
    with serving() as running:
        yield running


@pytest.fixture
def channel(server: Serving) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(server.address) as opened:
        yield opened


def failure(channel: grpc.Channel, method: str, message: bytes = b"", **options: Any) -> Any:
    with pytest.raises(grpc.RpcError) as caught:
        call(channel, method)(message, timeout=options.pop("timeout", LIMIT_S), **options)
    return caught.value


@pytest.mark.parametrize("size", [0, 1, 16_384 - 5, 16_384 - 4, 65_535, 65_536, LIMITS.message_bytes])
def test_a_message_of_any_size_comes_back_whole(channel: grpc.Channel, size: int) -> None:
    message = bytes(range(256)) * (size // 256 + 1)
    answer, done = call(channel, "echo").with_call(message[:size], timeout=LIMIT_S)
    assert answer == message[:size]
    assert dict(done.trailing_metadata()) == {
        "said": message[: min(size, 16)].hex(),
        "raw-bin": message[: min(size, 16)],
    }


def test_a_message_that_is_too_large_is_refused_and_the_connection_stays(channel: grpc.Channel) -> None:
    error = failure(channel, "echo", bytes(LIMITS.message_bytes + 1))
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "200000 bytes" in error.details()
    assert call(channel, "echo")(b"after", timeout=LIMIT_S) == b"after"


def test_metadata_arrives_as_it_was_sent(channel: grpc.Channel) -> None:
    sent = (("x-request-id", "abc"), ("x-request-id", "second"), ("data-bin", b"\x00\xfe"))
    seen = call(channel, "seen")(b"", metadata=sent, timeout=LIMIT_S)
    for pair in sent:
        assert repr(pair).encode() in seen
    assert b"grpc-timeout" not in seen


def test_a_refusal_has_code_text_and_trailers(channel: grpc.Channel) -> None:
    error = failure(channel, "refuse", "not yet: 100 % “ready”\n".encode())
    assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert error.details() == "not yet: 100 % “ready”\n"
    assert ("why-bin", b"\0\xff") in error.trailing_metadata()


def test_a_bug_is_unknown_and_tells_nothing(channel: grpc.Channel) -> None:
    error = failure(channel, "broken")
    assert error.code() is grpc.StatusCode.UNKNOWN
    assert "secret" not in str(error)


def test_a_method_that_is_not_offered(channel: grpc.Channel) -> None:
    assert failure(channel, "nothing").code() is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("how", [grpc.Compression.Gzip, grpc.Compression.Deflate])
def test_a_compressed_message_is_unpacked_and_its_size_bounded(channel: grpc.Channel, how: grpc.Compression) -> None:
    assert call(channel, "echo")(bytes(5000), compression=how, timeout=LIMIT_S) == bytes(5000)
    error = failure(channel, "echo", bytes(60_000_000), compression=how)
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_a_handler_is_stopped_when_its_caller_gives_up(server: Serving, channel: grpc.Channel) -> None:
    pending = call(channel, "wait").future(b"8.25")
    wait_for(lambda: any(item.streams for item in list(server.server.connections)))
    pending.cancel()
    wait_for(lambda: b"8.25" in server.stopped)


def test_a_handler_is_stopped_at_the_callers_deadline(server: Serving, channel: grpc.Channel) -> None:
    began = time.monotonic()
    assert failure(channel, "wait", b"8.5", timeout=0.2).code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert time.monotonic() - began < 2
    wait_for(lambda: b"8.5" in server.stopped)


def test_many_calls_at_once_are_each_answered_with_their_own(channel: grpc.Channel) -> None:
    messages = [f"{number}".encode() * 50 for number in range(2000)]
    pending = [call(channel, "echo").future(message, timeout=LIMIT_S) for message in messages]
    assert [one.result() for one in pending] == messages


def test_health_is_checked_and_watched(server: Serving, channel: grpc.Channel) -> None:
    stub: Any = health_pb2_grpc.HealthStub(channel)
    assert stub.Check(health_pb2.HealthCheckRequest(), timeout=LIMIT_S).status == 1
    watch = stub.Watch(health_pb2.HealthCheckRequest(service="one"), timeout=LIMIT_S)
    seen = [next(watch).status]
    import asyncio

    asyncio.run_coroutine_threadsafe(server.health.set("one", 2), server.loop).result(LIMIT_S)
    seen.append(next(watch).status)
    watch.cancel()
    assert seen == [3, 2]


def test_reflection_answers_each_question_as_it_comes(channel: grpc.Channel) -> None:
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
    asked, go_on = reflection_pb2.ServerReflectionRequest(list_services=""), threading.Event()

    def questions() -> Any:
        yield asked
        assert go_on.wait(LIMIT_S)
        yield asked

    answers = stub.ServerReflectionInfo(questions(), timeout=LIMIT_S)
    assert "test.Echo" in str(next(answers))
    go_on.set()
    assert len(list(answers)) == 1


def test_leaving_loses_no_call() -> None:
    with serving() as running, grpc.insecure_channel(running.address) as opened:
        assert call(opened, "echo")(b"", timeout=LIMIT_S) == b""
        pending = [call(opened, "wait").future(b"0.5", timeout=LIMIT_S) for _ in range(20)]
        wait_for(lambda: sum(len(one.streams) for one in list(running.server.connections)) == 20)
        stopping = running.stop()
        assert [one.result() for one in pending] == [b"0.5"] * 20
        stopping.result(LIMIT_S)
        assert not running.server.connections


def test_leaving_does_not_wait_for_ever() -> None:
    with serving() as running, grpc.insecure_channel(running.address) as opened:
        pending = call(opened, "wait").future(b"9.75", timeout=LIMIT_S)
        wait_for(lambda: any(one.streams for one in list(running.server.connections)))
        running.stop(0.3).result(LIMIT_S)
        assert pending.exception().code() is grpc.StatusCode.UNAVAILABLE


def test_over_mutual_tls_the_certificate_names_the_caller(tmp_path: Path) -> None:
    authority = signed("authority")
    (tmp_path / "ca.pem").write_bytes(authority.chain_pem)
    signed("localhost", authority).write(tmp_path)
    client = signed("caller", authority)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.set_alpn_protocols(["h2"])
    tls.load_cert_chain(tmp_path / "server.pem", tmp_path / "server.key")
    tls.load_verify_locations(tmp_path / "ca.pem")
    tls.verify_mode = ssl.CERT_REQUIRED
    with serving(lambda: tls) as running:
        known = grpc.ssl_channel_credentials(authority.chain_pem, client.key_pem, client.chain_pem)
        with grpc.secure_channel(running.address, known) as opened:
            assert call(opened, "who")(b"", timeout=LIMIT_S) == repr([b"localhost", b"127.0.0.1"]).encode()
        with grpc.secure_channel(running.address, grpc.ssl_channel_credentials(authority.chain_pem)) as opened:
            assert failure(opened, "who").code() is grpc.StatusCode.UNAVAILABLE
