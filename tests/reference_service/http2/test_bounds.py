"""How many connections and calls there may be, and of what size a turn of the loop; others go on meanwhile."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import ssl
import time
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest

from reference_service.http2 import frames as wire
from reference_service.http2.limits import FAIR_STREAMS
from tests.reference_service.http2.by_hand import (
    GRPC,
    MESSAGE,
    OPEN,
    closed_within,
    frames_until_end,
    of,
    opened,
    said_to,
    whole,
)
from tests.reference_service.http2.serving import FEW, LIMIT_S, Serving, Tls, call, serving, still_answers
from tests.reference_service.running import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def server() -> Iterator[Serving]:
    with serving(limits=FEW) as running:
        yield running


def open_ones(server: Serving) -> int:
    return len(server.server.connections)


def test_a_connection_without_calls_makes_way_for_another(server: Serving) -> None:
    with contextlib.ExitStack() as held:
        connections = [held.enter_context(server.raw()) for _ in range(FEW.connections)]
        wait_for(lambda: open_ones(server) == FEW.connections)
        still_answers(server)
        assert open_ones(server) <= FEW.connections
        assert [closed_within(one, 0.05) for one in connections].count(True) == 1


def test_who_has_said_nothing_makes_way_first(server: Serving) -> None:
    with contextlib.ExitStack() as held:
        decent = held.enter_context(server.raw())
        wait_for(lambda: any(one.greeted for one in server.server.connections))
        for _ in range(3 * FEW.connections):
            held.enter_context(connected(server))
        still_answers(server)
        assert open_ones(server) <= FEW.connections
        assert frames_until_end(decent)[-1][0] != wire.GOAWAY


def connected(server: Serving) -> socket.socket:
    host, _, port = server.address.rpartition(":")
    return socket.create_connection((host, int(port)), LIMIT_S)


def test_connections_with_calls_stay_and_one_more_is_closed(server: Serving) -> None:
    with contextlib.ExitStack() as held:
        for _ in range(FEW.connections):
            held.enter_context(server.raw()).sendall(opened(1))
        wait_for(lambda: sum(len(one.streams) for one in list(server.server.connections)) == FEW.connections)
        with connected(server) as late:
            assert closed_within(late)
        assert open_ones(server) == FEW.connections


def test_connections_that_are_held_open_for_ever_keep_nobody_out(server: Serving) -> None:
    with contextlib.ExitStack() as held:
        for _ in range(FEW.connections):
            held.enter_context(server.raw()).sendall(opened(1, OPEN, *of("upper")))
        wait_for(lambda: sum(len(one.streams) for one in list(server.server.connections)) == FEW.connections)
        still_answers(server)


def test_when_many_calls_are_open_a_connection_has_its_fair_share_and_no_more(server: Serving) -> None:
    many = b"".join(opened(1 + 2 * number) for number in range(FEW.streams))
    with contextlib.ExitStack() as held:
        for _ in range(2):
            held.enter_context(server.raw()).sendall(many)
        wait_for(lambda: server.server.counts.calls >= FEW.calls)
        said = said_to(server, many)
        refused = [stream for kind, _, stream, code in said if (kind, code) == (wire.RST_STREAM, wire.U32.pack(7))]
        assert len(refused) == FEW.streams - FAIR_STREAMS
        still_answers(server)
    wait_for(lambda: not server.server.counts.calls)


def test_a_burst_of_calls_on_one_connection_keeps_no_other_waiting_for_all_of_it(server: Serving) -> None:
    """Of one connection some frames are taken in each turn, so that another's call comes in between."""
    unoffered = b"".join(opened(1 + 2 * n, OPEN | wire.END_STREAM, *of("nothing")) for n in range(1500))
    with server.raw() as flood, server.raw() as other:
        flood.sendall(unoffered)
        other.sendall(whole(1))
        assert (wire.DATA, 0, 1, MESSAGE) in frames_until_end(other)
        assert len({stream for kind, _, stream, _ in frames_until_end(flood) if kind == wire.HEADERS}) == 1500


def test_calls_that_are_answered_pay_for_frames_that_carry_none(server: Serving) -> None:
    with server.raw() as connection:
        connection.settimeout(LIMIT_S)
        for number in range(60):
            calls = b"".join(whole(1 + 2 * (50 * number + n)) for n in range(50))
            connection.sendall(calls + wire.frame(wire.PING, 0, 0, bytes(8)) * 150)
            seen = b""
            while seen.count(wire.frame(wire.PING, wire.ACK, 0, bytes(8))) < 150:
                more = connection.recv(65_536)
                assert more, "9,000 pings, and 3,000 calls that pay for them"
                seen += more


def test_handshakes_that_do_not_end_make_way_and_leave_nothing_behind(tmp_path: Path) -> None:
    tls = Tls(tmp_path)
    known = grpc.ssl_channel_credentials(tls.authority.chain_pem)
    with serving(lambda: tls.context, FEW) as server, contextlib.ExitStack() as held:
        channel = held.enter_context(grpc.secure_channel(server.address, known))
        assert call(channel, "echo")(b"x", timeout=LIMIT_S) == b"x"
        before = len(descriptors())
        silent = [held.enter_context(connected(server)) for _ in range(5 * FEW.connections)]
        assert call(channel, "echo")(b"x", timeout=LIMIT_S) == b"x"
        for one in silent:
            one.close()
        wait_for(lambda: len(descriptors()) <= before)


def descriptors() -> list[int]:
    return [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]


def test_who_does_not_agree_on_http2_is_hung_up_on(tmp_path: Path) -> None:
    tls = Tls(tmp_path)
    client = ssl.create_default_context(cadata=tls.authority.chain_pem.decode())
    with serving(lambda: tls.context, FEW) as server:
        host = server.address.rpartition(":")[0]
        with connected(server) as plain, client.wrap_socket(plain, server_hostname=host) as connection:
            assert closed_within(connection)  # type: ignore[arg-type] # as good as a socket


def test_without_descriptors_it_waits_and_then_goes_on(server: Serving) -> None:
    host, _, port = server.address.rpartition(":")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.ExitStack() as held, contextlib.ExitStack() as taken:
        waiting = [held.enter_context(socket.socket()) for _ in range(2)]
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(descriptors()) + 2, hard))
        taken.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        with contextlib.suppress(OSError):
            while True:
                taken.callback(os.close, os.dup(0))
        for one in waiting:
            one.connect((host, int(port)))
        time.sleep(0.2)
        assert not server.server.connections
        taken.close()
        wait_for(lambda: open_ones(server) == 2)
    still_answers(server)


def test_a_deadline_ends_a_stream_of_answers_by_trailers_that_are_none_of_headers(server: Serving) -> None:
    late = [*of("count"), ("grpc-timeout", "100m")]
    with server.raw() as connection:
        connection.sendall(opened(1, OPEN, *late) + wire.frame(wire.DATA, wire.END_STREAM, 1, MESSAGE))
        time.sleep(0.3)
        said = frames_until_end(connection)
    assert said[-1][0] == wire.RST_STREAM  # its answers waited for the window, and trailers can't overtake them
    with grpc.insecure_channel(server.address) as channel:
        waiting = channel.stream_stream("/test.Echo/upper")(iter_then_wait(), timeout=0.5)
        assert next(waiting) == b"A"
        with pytest.raises(grpc.RpcError) as caught:
            next(waiting)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


def iter_then_wait() -> Iterator[bytes]:
    yield b"a"
    time.sleep(1)


def test_trailers_of_a_client_end_its_message_and_those_of_a_call_that_is_over_nothing(server: Serving) -> None:
    trailers = wire.frame(wire.HEADERS, OPEN | wire.END_STREAM, 1, b"\0\1x\1y")
    said = said_to(server, opened(1) + wire.frame(wire.DATA, 0, 1, MESSAGE) + trailers)
    assert (wire.DATA, 0, 1, MESSAGE) in said
    # Refused at once by its headers, while its message and trailers were on their way.
    early = opened(1, OPEN, *GRPC, ("grpc-encoding", "snappy")) + wire.frame(wire.DATA, 0, 1, MESSAGE) + trailers
    assert (wire.DATA, 0, 3, MESSAGE) in said_to(server, early + whole(3))
