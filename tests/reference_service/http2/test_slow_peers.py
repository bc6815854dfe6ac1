"""Peers that take their time: each has some seconds to greet, to finish its headers and message, to read its answer."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from typing import TYPE_CHECKING

import grpc
import pytest

from reference_service.http2 import frames as wire
from reference_service.http2.lasting import WRITE_BUFFER_BYTES
from reference_service.http2.limits import ServerLimits
from tests.reference_service.http2.by_hand import (
    MESSAGE,
    OPEN,
    block,
    closed_within,
    frames_until_end,
    of,
    opened,
    status_of,
    whole,
)
from tests.reference_service.http2.serving import LIMIT_S, Serving, Tls, call, serving
from tests.reference_service.running import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SLOW_S = 0.4
SOON_S = SLOW_S + 0.6


@pytest.fixture(scope="module")
def server() -> Iterator[Serving]:
    with serving(limits=ServerLimits(slow_s=SLOW_S)) as running:
        yield running


GREETING = wire.frame(wire.SETTINGS, 0, 0)
WIDE = wire.frame(wire.SETTINGS, 0, 0, wire.SETTING.pack(wire.INITIAL_WINDOW_SIZE, wire.MAX_WINDOW)) + wire.frame(
    wire.WINDOW_UPDATE, 0, 0, wire.U32.pack(wire.MAX_WINDOW - wire.DEFAULT_WINDOW)
)
MANY = opened(1, OPEN, *of("count")) + wire.frame(wire.DATA, wire.END_STREAM, 1, MESSAGE)
"""A call whose answers never end."""
STUCK = {
    "nothing": b"",
    "half a greeting": wire.PREFACE[:10],
    "a greeting without settings": wire.PREFACE,
    "headers without end": wire.PREFACE + GREETING + wire.frame(wire.HEADERS, 0, 1, block()),
}


def bare(server: Serving) -> socket.socket:
    """A connection on which nothing was said."""
    host, _, port = server.address.rpartition(":")
    return socket.create_connection((host, int(port)), LIMIT_S)


@pytest.mark.parametrize("sent", STUCK.values(), ids=STUCK)
def test_who_does_not_go_on_is_hung_up_on(server: Serving, sent: bytes) -> None:
    began = time.monotonic()
    with bare(server) as connection:
        connection.sendall(sent)
        assert closed_within(connection, SOON_S)
    assert time.monotonic() - began > SLOW_S / 2


def test_headers_octet_by_octet_are_too_slow(server: Serving) -> None:
    with server.raw() as connection:
        connection.sendall(wire.frame(wire.HEADERS, 0, 1, block()))
        with contextlib.suppress(OSError):
            for _ in range(40):
                connection.sendall(wire.frame(wire.CONTINUATION, 0, 1, b"\0\1x\1y"))
                time.sleep(SOON_S / 40)
        assert closed_within(connection, 0.5)


def test_a_message_that_does_not_come_ends_its_call_alone(server: Serving) -> None:
    with server.raw() as connection:
        connection.sendall(opened(1) + wire.frame(wire.DATA, 0, 1, MESSAGE[:3]) + whole(3))
        time.sleep(SOON_S)
        said = frames_until_end(connection)
    assert status_of(said) == "8"
    assert (wire.DATA, 0, 3, MESSAGE) in said


def test_a_message_octet_by_octet_is_too_slow(server: Serving) -> None:
    with server.raw() as connection:
        connection.sendall(opened(1) + wire.frame(wire.DATA, 0, 1, b"\0" + wire.U32.pack(1000)))
        for _ in range(40):
            connection.sendall(wire.frame(wire.DATA, 0, 1, b"\0"))
            time.sleep(SOON_S / 40)
        assert status_of(frames_until_end(connection)) == "8"


def test_an_answer_that_is_not_taken_ends_its_call_alone(server: Serving) -> None:
    small = wire.frame(wire.SETTINGS, 0, 0, wire.SETTING.pack(wire.INITIAL_WINDOW_SIZE, 3))
    with server.raw() as connection:
        connection.sendall(small + whole(1))
        for _ in range(4):  # an octet now and then is no better
            time.sleep(SOON_S / 4)
            connection.sendall(wire.frame(wire.WINDOW_UPDATE, 0, 1, wire.U32.pack(1)))
        said = frames_until_end(connection)
        assert (wire.RST_STREAM, 0, 1, wire.U32.pack(wire.CANCEL)) in said
    wait_for(lambda: not server.server.connections)


def test_who_reads_nothing_at_all_is_hung_up_on(server: Serving) -> None:
    with server.raw() as connection:
        connection.sendall(WIDE + MANY)
        wait_for(lambda: any(one.paused for one in list(server.server.connections)))
        wait_for(lambda: not server.server.connections, SOON_S)


def test_who_reads_nothing_over_tls_is_hung_up_on_too(tmp_path: Path) -> None:
    tls = Tls(tmp_path)
    client = ssl.create_default_context(cadata=tls.authority.chain_pem.decode())
    client.set_alpn_protocols(["h2"])
    limits = ServerLimits(slow_s=SLOW_S)
    with (
        serving(lambda: tls.context, limits) as encrypted,
        bare(encrypted) as plain,
        client.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
    ):
        connection.sendall(wire.PREFACE + GREETING + WIDE + MANY)
        wait_for(lambda: any(one.paused for one in list(encrypted.server.connections)))
        (one,) = encrypted.server.connections
        assert one.transport.get_write_buffer_size() < 4 * WRITE_BUFFER_BYTES
        wait_for(lambda: not encrypted.server.connections, SOON_S)


def test_who_only_waits_for_an_answer_is_not_too_slow(server: Serving) -> None:
    with grpc.insecure_channel(server.address) as channel:
        assert call(channel, "wait")(f"{2 * SLOW_S}".encode(), timeout=LIMIT_S)
        held = channel.stream_stream("/test.Echo/upper")(pausing(), timeout=LIMIT_S)
        assert list(held) == [b"A", b"B"]
        assert call(channel, "echo")(b"the same connection", timeout=LIMIT_S)
    assert len(server.server.connections) <= 1


def pausing() -> Iterator[bytes]:
    yield b"a"
    time.sleep(2 * SLOW_S)
    yield b"b"
