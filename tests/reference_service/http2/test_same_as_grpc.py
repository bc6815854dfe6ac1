"""The same handlers, served by gRPC's own asyncio server and by ours: a client of gRPC's can't tell them apart."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from tests.reference_service.http2.methods import methods
from tests.reference_service.http2.serving import LIMIT_S, LIMITS, SERVICE, serving

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def channels() -> Iterator[tuple[grpc.Channel, grpc.Channel]]:
    """To gRPC's server, and to ours."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def begin() -> tuple[Any, int]:
        server = grpc.aio.server(options=[("grpc.max_receive_message_length", LIMITS.message_bytes)])
        handlers = grpc.method_handlers_generic_handler(SERVICE, methods([], [0]))
        server.add_generic_rpc_handlers((handlers,))
        health_pb2_grpc.add_HealthServicer_to_server(health.aio.HealthServicer(), server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        return server, port

    theirs, port = asyncio.run_coroutine_threadsafe(begin(), loop).result(LIMIT_S)
    with (
        serving() as ours,
        grpc.insecure_channel(f"127.0.0.1:{port}") as one,
        grpc.insecure_channel(ours.address) as two,
    ):
        yield one, two
    asyncio.run_coroutine_threadsafe(theirs.stop(0), loop).result(LIMIT_S)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(LIMIT_S)


def seen(channel: grpc.Channel, method: str, message: bytes, **options: Any) -> tuple[Any, ...]:
    """All that a client sees of a call."""
    call = channel.unary_unary(method if method.startswith("/") else f"/{SERVICE}/{method}")
    answer: bytes | None = None
    try:
        answer, state = call.with_call(message, timeout=options.pop("timeout", LIMIT_S), **options)
    except grpc.RpcError as error:
        state = error
    metadata = [sorted(part or ()) for part in (state.initial_metadata(), state.trailing_metadata())]
    return answer, state.code(), state.details(), metadata


CHECK = health_pb2.HealthCheckRequest(service="nobody").SerializeToString()
CALLS: dict[str, tuple[str, bytes, dict[str, Any]]] = {
    "an answer": ("echo", b"x" * 1000, {}),
    "nothing": ("echo", b"", {}),
    "a large one": ("echo", bytes(LIMITS.message_bytes), {}),
    "in gzip": ("echo", bytes(3000), {"compression": grpc.Compression.Gzip}),
    "in deflate": ("echo", bytes(3000), {"compression": grpc.Compression.Deflate}),
    "metadata": ("seen", b"", {"metadata": (("x-a", "b"), ("x-a", " c"), ("y-bin", b"\0\xff,"), ("z-bin", b""))}),
    "a refusal in every kind of letter": ("refuse", "50 % of “it”\r\nis ü%41".encode(), {}),
    "a refusal without words": ("refuse", b"", {}),
    "an unknown name of health": ("/grpc.health.v1.Health/Check", CHECK, {}),
}
WITHOUT_WORDS: dict[str, tuple[str, bytes, dict[str, Any]]] = {
    "an unknown method": ("other", b"", {}),
    "an unknown service": ("/other.Service/Call", b"", {}),
    "too large": ("echo", bytes(LIMITS.message_bytes + 1), {}),
    "a method not written": ("/grpc.health.v1.Health/List", b"", {}),
    "a bug": ("broken", b"", {}),
    "too late": ("wait", b"5", {"timeout": 0.1}),
}


@pytest.mark.parametrize("case", CALLS)
def test_a_client_sees_the_same(channels: tuple[grpc.Channel, grpc.Channel], case: str) -> None:
    method, message, options = CALLS[case]
    theirs, ours = (seen(channel, method, message, **options) for channel in channels)
    assert ours == theirs


@pytest.mark.parametrize("case", WITHOUT_WORDS)
def test_a_client_sees_the_same_code_where_the_server_itself_refuses(
    channels: tuple[grpc.Channel, grpc.Channel], case: str
) -> None:
    method, message, options = WITHOUT_WORDS[case]
    theirs, ours = (seen(channel, method, message, **dict(options)) for channel in channels)
    assert ours[:2] == theirs[:2]


def test_streams_are_the_same(channels: tuple[grpc.Channel, grpc.Channel]) -> None:
    for kind in (grpc.Compression.NoCompression, grpc.Compression.Gzip):
        theirs, ours = (
            list(channel.stream_stream(f"/{SERVICE}/upper")(iter([b"a", b"", b"c" * 90_000]), compression=kind))
            for channel in channels
        )
        assert ours == theirs == [b"A", b"", b"C" * 90_000]
