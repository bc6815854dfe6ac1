"""Bytes that no decent client sends: garbage, floods and broken frames. The service shrugs, and answers the next."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING

import grpc
import psutil
import pytest

from tests.harness.load.odd_peer import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PING,
    PREFACE,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    block,
    frame,
    message,
    settings,
    u32,
)
from tests.integration.hostile import Hostile, good_request, hostile_service
from tests.integration.hostile_wire import PROBE, Seen, body, call, call_headers, continuations, encrypted, head, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Attack = Callable[[Hostile], bytes]

GOOD = good_request().SerializeToString()
OPEN_MAX = 200
RESIDENT_BYTES_MAX = 300 << 20


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hostile]:
    with hostile_service(tmp_path_factory.mktemp("hostile")) as running:
        yield running


def changed(*changes: tuple[str, str], flag: int = 0) -> Attack:
    return lambda service: call(service, GOOD, *changes, flag=flag)


def fixed(content: bytes) -> Attack:
    return lambda _: content


def answered(*codes: grpc.StatusCode) -> Callable[[Seen], bool]:
    return lambda seen: bool(seen.grpc) and seen.grpc <= {code.value[0] for code in codes}


def reset(seen: Seen) -> bool:
    return bool(seen.reset) and not seen.grpc


def ended(seen: Seen) -> bool:
    return bool(seen.closed or seen.goaway)


def ignored(seen: Seen) -> bool:
    return bool(seen.pongs) and not seen.grpc and not seen.goaway


OK = answered(grpc.StatusCode.OK)
BROKEN = answered(grpc.StatusCode.INTERNAL)
"""What gRPC's documents want where a message or a header can't be read; gRPC itself answers so, before our code."""

CALLS: dict[str, tuple[Attack, Callable[[Seen], bool]]] = {
    # gRPC does not look at the type: what matters is that the credential and the message are good. The edge does.
    "another content type": (changed(("content-type", "text/html")), OK),
    "a header of HTTP/1": (changed(("connection", "close")), OK),
    "a line break in a value": (changed(("x-a", "b\r\nx-zone: c")), OK),
    "GET": (changed((":method", "GET")), reset),
    "no te": (changed(("te", "")), reset),
    "no method": (changed((":method", "")), reset),
    "no path": (changed((":path", "")), reset),
    "a header in capitals": (changed(("X-Upper", "1")), BROKEN),
    "a timeout that is no time": (changed(("grpc-timeout", "soon")), BROKEN),
    "a timeout in the past": (changed(("grpc-timeout", "-5S")), BROKEN),
    "an unknown compression": (changed(("grpc-encoding", "snappy"), flag=1), BROKEN),
    "compressed by nothing": (changed(flag=1), BROKEN),
    "gzip that is none": (changed(("grpc-encoding", "gzip"), flag=1), BROKEN),
    "a message said to have 4 GiB": (
        lambda service: head(1, call_headers(service)) + body(1, b"\0\xff\xff\xff\xff" + b"abc"),
        answered(grpc.StatusCode.RESOURCE_EXHAUSTED),
    ),
    "a message cut short": (lambda service: head(1, call_headers(service)) + body(1, b"\0\0\0\0\x10abc"), ignored),
    "no message": (lambda service: head(1, call_headers(service), END_HEADERS | END_STREAM), ignored),
    "two messages": (lambda service: head(1, call_headers(service)) + body(1, message(GOOD) * 2), OK),
    "a bomb of headers": (
        lambda service: frame(
            HEADERS,
            END_HEADERS,
            1,
            block(call_headers(service)) + b"\x40\x01a\x7f\xa1\x1e" + b"b" * 4000 + b"\xbe" * 10_000,
        ),
        answered(grpc.StatusCode.RESOURCE_EXHAUSTED),
    ),
}

FRAMES: dict[str, tuple[Attack, Callable[[Seen], bool]]] = {
    "an even stream": (lambda service: call(service, GOOD, number=2), ignored),
    "data for the connection": (fixed(frame(DATA, 0, 0, b"x")), ignored),
    "headers for the connection": (
        lambda service: frame(HEADERS, END_HEADERS, 0, block(call_headers(service))),
        ignored,
    ),
    "data for a stream that is none": (fixed(frame(DATA, END_STREAM, 5, b"x")), ignored),
    "a push from a client": (fixed(frame(PUSH_PROMISE, END_HEADERS, 1, u32(2) + b"x")), ignored),
    "a window beyond its end": (fixed(frame(WINDOW_UPDATE, 0, 0, u32(2**31 - 1)) * 2), ignored),
    "an unknown frame": (lambda service: frame(99, 0, 0, b"abc") + call(service, GOOD), OK),
    "a continuation of nothing": (fixed(frame(CONTINUATION, END_HEADERS, 1, b"x")), ended),
    "a frame of 16 MiB": (fixed(b"\xff\xff\xff\x00\x00\x00\x00\x00\x01" + b"x" * 100_000), ended),
    "headers that can't be decoded": (fixed(frame(HEADERS, END_HEADERS, 1, b"\xff" * 8)), ended),
    "settings of three octets": (fixed(frame(SETTINGS, 0, 0, b"abc")), ended),
    "a window of nothing": (fixed(frame(WINDOW_UPDATE, 0, 0, u32(0))), ended),
    "a ping of three octets": (fixed(frame(PING, 0, 0, b"abc")), ended),
    "a negative window": (fixed(settings((4, 2**31))), ended),
    "frames of one octet": (fixed(settings((5, 1))), ended),
    "garbage": (fixed(b"\x16\x03\x01" * 500), ended),
    "HTTP/1 after the greeting": (fixed(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), ended),
}

FLOODS: dict[str, tuple[Attack, Callable[[Seen], bool]]] = {
    "calls that are reset at once": (
        lambda service: b"".join(
            call(service, GOOD, number=number) + frame(RST_STREAM, 0, number, u32(8)) for number in range(1, 10_001, 2)
        ),
        lambda seen: bool(seen.pongs or seen.closed),
    ),
    "more streams than may be open": (
        lambda service: b"".join(head(number, call_headers(service)) for number in range(1, 4_001, 2)),
        lambda seen: bool(seen.reset),
    ),
    "pings": (lambda service: frame(PING, 0, 0, b"12345678") * 20_000 + call(service, GOOD), OK),
    "settings": (lambda service: frame(SETTINGS, 0, 0) * 5_000 + call(service, GOOD), OK),
    "priorities": (lambda service: frame(PRIORITY, 0, 1, u32(3) + b"x") * 5_000 + call(service, GOOD), OK),
    "headers without end": (lambda service: continuations(service, 20_000), ended),
}


@pytest.mark.parametrize("case", [*CALLS, *FRAMES, *FLOODS])
def test_what_is_no_decent_http2_harms_nobody_else(service: Hostile, case: str) -> None:
    attack, expected = (CALLS | FRAMES | FLOODS)[case]
    with encrypted(service) as wire:
        wire.send(attack(service))
        wire.send(frame(PING, 0, 0, PROBE))
        wire.hear(expected)
        service.is_right()  # while the attacker is still there
    assert psutil.Process(service.process.popen.pid).memory_info().rss < RESIDENT_BYTES_MAX


@pytest.mark.parametrize(
    "content", [b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", PREFACE, b"\0" * 5000, b"\x16\x03\x03\xff\xff" * 99]
)
def test_what_is_not_tls_is_hung_up_on(service: Hostile, content: bytes) -> None:
    with plain(service) as wire:
        wire.send(content)
        wire.hear(lambda seen: seen.closed)
        assert b"HTTP/1.1 200" not in wire.seen.text
    service.is_right()


def test_many_who_connect_and_say_nothing_keep_nobody_out(service: Hostile) -> None:
    host, _, port = service.address.rpartition(":")
    with contextlib.ExitStack() as waiting:
        for number in range(OPEN_MAX):
            connection = waiting.enter_context(socket.create_connection((host, int(port)), timeout=10))
            if number % 2:
                connection.sendall(b"\x16\x03\x01\x02\x00")  # the first five octets of a TLS greeting
        service.is_right()
    service.is_right()
