"""The null server speaks HTTP/2 and HTTP/1.1 to clients that are not ours, however their bytes arrive."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import struct
import subprocess
from typing import TYPE_CHECKING, Any

import grpc
import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.fleet.tether import tethered
from harness.load import http2_frames as wire
from harness.load.null_server import NullProtocol, NullServer, null_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

METHOD = "/inference.GRPCInferenceService/ModelInfer"


@pytest.fixture(scope="module")
def server() -> Iterator[NullServer]:
    with null_server(tethered) as running:
        yield running


def test_a_grpc_client_gets_an_empty_answer_and_who_gave_it(server: NullServer) -> None:
    with grpc.insecure_channel(server.address) as channel:
        call = channel.unary_unary(METHOD)
        futures = [call.future(bytes(size), timeout=10) for size in (0, 1, 100, 70_000, 300_000)]
        assert [future.result() for future in futures] == [b""] * 5
        assert dict(futures[0].trailing_metadata())["x-zone"] == "null"


def test_more_answers_than_the_first_window_holds(server: NullServer) -> None:
    """65,535 bytes are 13,107 messages: the client must be asked for more room, or the connection breaks."""
    with grpc.insecure_channel(server.address) as channel:
        call = channel.unary_unary(METHOD)
        for _ in range(15):
            assert all(future.result() == b"" for future in [call.future(b"x", timeout=20) for _ in range(1000)])


def test_an_http_client_gets_json(server: NullServer) -> None:
    with httpx.Client(base_url=f"http://{server.address}") as client:
        answers = [
            client.post("/predict", json={"row": [1] * 1000}),
            client.get("/"),
            client.post("/predict", content=b""),
        ]
    assert [(answer.status_code, answer.json(), answer.http_version) for answer in answers] == [
        (200, {}, "HTTP/1.1")
    ] * 3


@pytest.mark.skipif(shutil.which("h2load") is None, reason="needs the Debian package nghttp2-client")
@pytest.mark.parametrize("version", ["--h1", "-m32"])
def test_another_load_tool_finds_every_answer_good(server: NullServer, tmp_path: Path, version: str) -> None:
    body = tmp_path / "body"
    body.write_bytes(struct.pack(">?I", False, 100) + bytes(100))
    command = ["h2load", version, "-n20000", "-c2", f"-d{body}", f"http://{server.address}{METHOD}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert "20000 succeeded, 0 failed, 0 errored, 0 timeout" in done.stdout


def test_it_is_gone_when_its_user_is_done() -> None:
    with null_server(tethered) as running:
        assert running.process.poll() is None
    assert running.process.returncode is not None


class Wire(asyncio.Transport):
    """A transport that keeps what is written, write by write."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []

    def write(self, data: Any) -> None:
        self.written.append(bytes(data))


def connected() -> tuple[NullProtocol, Wire]:
    protocol, transport = NullProtocol(), Wire()
    protocol.connection_made(transport)
    return protocol, transport


def frames(data: bytes) -> list[tuple[int, int, int, bytes]]:
    """Kind, flags, stream and payload of each frame; there must be nothing left over."""
    found = []
    while data:
        high, low, kind, flags, stream = wire.HEAD.unpack_from(data)
        size = high << 8 | low
        found.append((kind, flags, stream, data[9 : 9 + size]))
        data = data[9 + size :]
    return found


def a_call(stream: int, body: bytes = b"x") -> bytes:
    return wire.frame(wire.HEADERS, wire.END_HEADERS, stream, b"\x82") + wire.frame(
        wire.DATA, wire.END_STREAM, stream, body
    )


TALK = (
    wire.PREFACE
    + wire.frame(wire.SETTINGS, 0, 0, wire.SETTING.pack(wire.HEADER_TABLE_SIZE, 0))
    + a_call(1)
    + wire.frame(wire.PING, 0, 0, b"12345678")
    + a_call(3, bytes(300))
    + wire.frame(wire.SETTINGS, wire.ACK, 0)
    + wire.frame(wire.PING, wire.ACK, 0, b"12345678")
    + wire.frame(wire.HEADERS, wire.END_HEADERS | wire.END_STREAM, 5, b"\x82")
    + wire.frame(wire.RST_STREAM, 0, 5, bytes(4))
)


@given(st.lists(st.integers(0, len(TALK)), max_size=12))
@settings(deadline=None, derandomize=True)
def test_bytes_may_arrive_in_any_pieces(cuts: list[int]) -> None:
    protocol, transport = connected()
    edges = [0, *sorted(cuts), len(TALK)]
    for start, end in itertools.pairwise(edges):
        protocol.data_received(TALK[start:end])
    found = frames(b"".join(transport.written))
    assert [stream for kind, flags, stream, _ in found if kind == wire.HEADERS and flags & wire.END_STREAM] == [1, 3, 5]
    assert [payload for kind, flags, _, payload in found if kind == wire.PING and flags == wire.ACK] == [b"12345678"]
    assert sum(kind == wire.SETTINGS and flags == wire.ACK for kind, flags, *_ in found) == 1


def test_what_one_read_asks_for_is_one_write() -> None:
    protocol, transport = connected()
    protocol.data_received(TALK)
    assert len(transport.written) == 1


def test_it_waits_for_room_in_the_peers_window() -> None:
    protocol, transport = connected()
    room = wire.DEFAULT_WINDOW // 5
    calls = b"".join(a_call(2 * place + 1) for place in range(room + 3))
    protocol.data_received(wire.PREFACE + calls)
    assert b"".join(transport.written).count(b"grpc-status") == room
    protocol.data_received(
        wire.frame(wire.WINDOW_UPDATE, 0, 1, wire.U32.pack(1000))
    )  # a stream's, not the connection's
    assert b"".join(transport.written).count(b"grpc-status") == room
    protocol.data_received(wire.frame(wire.WINDOW_UPDATE, 0, 0, wire.U32.pack(10)))
    assert b"".join(transport.written).count(b"grpc-status") == room + 2


def test_the_peer_gets_back_the_room_that_it_used() -> None:
    protocol, transport = connected()
    protocol.data_received(wire.PREFACE)
    for place in range(80):
        protocol.data_received(a_call(2 * place + 1, bytes(16_000)))
    (_, granted, *more) = (payload for kind, _, _, payload in frames(b"".join(transport.written)) if kind == 8)
    assert not more
    assert wire.U32.unpack(granted)[0] >= wire.REPLENISH


def test_pipelined_requests_of_http_1_are_answered_one_by_one() -> None:
    protocol, transport = connected()
    request = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
    talk = request + b"GET / HTTP/1.1\r\nhost: a\r\n\r\n" + request
    protocol.data_received(talk[:10])
    protocol.data_received(talk[10:-2])
    assert b"".join(transport.written).count(b"200 OK") == 2
    protocol.data_received(talk[-2:])
    assert b"".join(transport.written).count(b"200 OK") == 3
