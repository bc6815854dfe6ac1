"""A real Envoy carries its callers' calls on one connection: what one does wrong never costs the others theirs."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING

import grpc
import pytest

from reference_service.http2 import frames as wire
from tests.harness.load.test_grpc_sender_proxies import envoy
from tests.reference_service.http2.by_hand import (
    CLOSE,
    GRPC,
    MESSAGE,
    OPEN,
    block,
    of,
    opened,
)
from tests.reference_service.http2.serving import LIMIT_S, Serving, call, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

CALLER = [*GRPC[:3], (":authority", "edge"), GRPC[3], ("te", "trailers")]
CRUMB = wire.frame(wire.DATA, 0, 1, b"x")
TRAILERS = wire.frame(wire.HEADERS, CLOSE, 1, b"\0\1x\1y")


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Serving, str]]:
    with (
        serving() as running,
        envoy(tmp_path_factory.mktemp("edge"), int(running.address.rpartition(":")[2])) as (to, _),
    ):
        yield running, to


def begun(*fields: tuple[str, str], stream: int = 1) -> bytes:
    return opened(stream, OPEN, *CALLER, *fields)


ATTACKS = {
    "a message in crumbs": begun() + wire.frame(wire.DATA, 0, 1, b"\0\0\x02\0\0") + CRUMB * 6000,
    "letters that are not ASCII": wire.frame(wire.HEADERS, CLOSE, 1, block(*CALLER) + b"\0\3x-a\2\xc3\xbc"),
    "bytes that are no text": wire.frame(wire.HEADERS, CLOSE, 1, block(*CALLER) + b"\0\3x-a\2\xff\xfe"),
    "a name that gRPC does not know": wire.frame(wire.HEADERS, CLOSE, 1, block(*CALLER) + b"\0\3x!a\1b"),
    "binary metadata that is none": begun(("x-bin", "*")) + wire.frame(wire.DATA, wire.END_STREAM, 1, MESSAGE),
    "too many headers, again and again": b"".join(
        opened(number, OPEN, *CALLER, *[(f"x-{n}", "y" * 120) for n in range(90)]) for number in range(1, 201, 2)
    ),
    "no time": begun(("grpc-timeout", "soon")),
    "a compression of nobody's": begun(("grpc-encoding", "snappy")) + wire.frame(wire.DATA, 0, 1, MESSAGE) + TRAILERS,
    "trailers": begun() + wire.frame(wire.DATA, 0, 1, MESSAGE) + TRAILERS,
    "two messages": begun() + wire.frame(wire.DATA, wire.END_STREAM, 1, MESSAGE * 2),
    "a message said to have 4 GiB": begun() + wire.frame(wire.DATA, 0, 1, b"\0\xff\xff\xff\xff") + CRUMB * 100,
    "another content type": opened(1, CLOSE, *CALLER[:4], ("content-type", "text/html")),
    "calls that are reset at once": b"".join(
        begun(stream=n) + wire.frame(wire.RST_STREAM, 0, n, wire.U32.pack(8)) for n in range(1, 3001, 2)
    ),
    "answers that are not taken": wire.frame(wire.SETTINGS, 0, 0, wire.SETTING.pack(4, 0))
    + b"".join(begun(stream=n) + wire.frame(wire.DATA, wire.END_STREAM, n, MESSAGE) for n in range(1, 181, 2)),
    "messages without end": opened(1, OPEN, *of("upper")[:3], *CALLER[3:])
    + wire.frame(wire.DATA, 0, 1, bytes(5) * 3000) * 9,
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_the_connection_that_callers_share_outlives_what_one_does(edge: tuple[Serving, str], attack: str) -> None:
    server, to = edge
    host, _, port = to.rpartition(":")
    with grpc.insecure_channel(to, [("grpc.use_local_subchannel_pool", 1)]) as channel:
        assert call(channel, "echo")(b"before", timeout=LIMIT_S) == b"before"
        shared = set(server.server.connections)
        held = call(channel, "wait").future(b"0.3", timeout=LIMIT_S)
        with socket.create_connection((host, int(port)), LIMIT_S) as caller:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                caller.sendall(wire.PREFACE + wire.frame(wire.SETTINGS, 0, 0) + ATTACKS[attack])
            for number in range(50):
                message = f"{number}".encode()
                assert call(channel, "echo")(message, timeout=LIMIT_S) == message
            assert held.result() == b"0.3"
    assert shared <= set(server.server.connections)
