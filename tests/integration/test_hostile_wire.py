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


def http(status: str) -> Callable[[Seen], bool]:
    return lambda seen: status in seen.http


def ended_with(*codes: int) -> Callable[[Seen], bool]:
    """A farewell with one of these codes of RFC 9113, section 7."""
    return lambda seen: bool(seen.goaway) and seen.goaway <= set(codes)


OK = answered(grpc.StatusCode.OK)
UNREADABLE = answered(grpc.StatusCode.INTERNAL)
"""What gRPC's documents want where a message or its compression can't be read (statuscodes.md, compression.md)."""
NOT_ONE = answered(grpc.StatusCode.UNIMPLEMENTED)
"""statuscodes.md: "request cardinality violation"."""
PROTOCOL, FLOW, SIZE, COMPRESSION, CALM = 1, 3, 6, 9, 11

CALLS: dict[str, tuple[Attack, Callable[[Seen], bool]]] = {
    # PROTOCOL-HTTP2.md: a content type that does not begin with application/grpc SHOULD be answered by HTTP's 415.
    "another content type": (changed(("content-type", "text/html")), http("415")),
    # RFC 9113, 8.2.2: a message with headers of a connection MUST be treated as malformed, which resets its stream.
    "a header of HTTP/1": (changed(("connection", "close")), reset),
    # RFC 9113, 8.2.1: so MUST a value with a line break, which a proxy might take for two headers.
    "a line break in a value": (changed(("x-a", "b\r\nx-zone: c")), reset),
    # RFC 9110, 15.5.6: gRPC knows POST alone.
    "GET": (changed((":method", "GET")), http("405")),
    # It tells servers of proxies that lose trailers. Who sends none but reads them harms nobody.
    "no te": (changed(("te", "")), OK),
    # RFC 9113, 8.3.1: all requests MUST have method, scheme and path; 8.2.1: names are in lower case.
    "no method": (changed((":method", "")), reset),
    "no path": (changed((":path", "")), reset),
    "a header in capitals": (changed(("X-Upper", "1")), reset),
    "a timeout that is no time": (changed(("grpc-timeout", "soon")), UNREADABLE),
    "a timeout in the past": (changed(("grpc-timeout", "-5S")), UNREADABLE),
    # compression.md: UNIMPLEMENTED, with grpc-accept-encoding.
    "an unknown compression": (changed(("grpc-encoding", "snappy"), flag=1), NOT_ONE),
    "compressed by nothing": (changed(flag=1), UNREADABLE),
    "gzip that is none": (changed(("grpc-encoding", "gzip"), flag=1), UNREADABLE),
    "a message said to have 4 GiB": (
        lambda service: head(1, call_headers(service)) + body(1, b"\0\xff\xff\xff\xff" + b"abc"),
        answered(grpc.StatusCode.RESOURCE_EXHAUSTED),
    ),
    "a message cut short": (lambda service: head(1, call_headers(service)) + body(1, b"\0\0\0\0\x10abc"), UNREADABLE),
    "no message": (lambda service: head(1, call_headers(service), END_HEADERS | END_STREAM), NOT_ONE),
    "two messages": (lambda service: head(1, call_headers(service)) + body(1, message(GOOD) * 2), NOT_ONE),
    # Not read to its end, so the table that later headers refer to is unknown, and the connection can't go on.
    "a bomb of headers": (
        lambda service: frame(
            HEADERS,
            END_HEADERS,
            1,
            block(call_headers(service)) + b"\x40\x01a\x7f\xa1\x1e" + b"b" * 4000 + b"\xbe" * 10_000,
        ),
        ended_with(CALM),
    ),
}

FRAMES: dict[str, tuple[Attack, Callable[[Seen], bool]]] = {
    # RFC 9113, 5.1.1, 6.1, 6.2, 5.1, 8.4: each a connection error.
    "an even stream": (lambda service: call(service, GOOD, number=2), ended_with(PROTOCOL)),
    "data for the connection": (fixed(frame(DATA, 0, 0, b"x")), ended_with(PROTOCOL)),
    "headers for the connection": (
        lambda service: frame(HEADERS, END_HEADERS, 0, block(call_headers(service))),
        ended_with(PROTOCOL),
    ),
    "data for a stream that is none": (fixed(frame(DATA, END_STREAM, 5, b"x")), ended_with(PROTOCOL)),
    "a push from a client": (fixed(frame(PUSH_PROMISE, END_HEADERS, 1, u32(2) + b"x")), ended_with(PROTOCOL)),
    "a window beyond its end": (fixed(frame(WINDOW_UPDATE, 0, 0, u32(2**31 - 1)) * 2), ended_with(FLOW)),  # 6.9.1
    "an unknown frame": (lambda service: frame(99, 0, 0, b"abc") + call(service, GOOD), OK),  # 4.1: ignored
    "a continuation of nothing": (fixed(frame(CONTINUATION, END_HEADERS, 1, b"x")), ended_with(PROTOCOL)),
    "a frame of 16 MiB": (fixed(b"\xff\xff\xff\x00\x00\x00\x00\x00\x01" + b"x" * 100_000), ended_with(SIZE)),
    "headers that can't be decoded": (fixed(frame(HEADERS, END_HEADERS, 1, b"\xff" * 8)), ended_with(COMPRESSION)),
    "settings of three octets": (fixed(frame(SETTINGS, 0, 0, b"abc")), ended_with(SIZE)),
    "a window wider by nothing": (fixed(frame(WINDOW_UPDATE, 0, 0, u32(0))), ended_with(PROTOCOL)),
    "a ping of three octets": (fixed(frame(PING, 0, 0, b"abc")), ended_with(SIZE)),
    "a negative window": (fixed(settings((4, 2**31))), ended_with(FLOW)),
    "frames of one octet": (fixed(settings((5, 1))), ended_with(PROTOCOL)),
    "garbage": (fixed(b"\x16\x03\x01" * 500), ended_with(SIZE)),
    "HTTP/1 after the greeting": (fixed(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), ended_with(SIZE)),
}

FLOODS: dict[str, tuple[Attack, Callable[[Seen], bool]]] = {
    # RFC 9113, 10.5: what costs us and carries no call may end the connection; the decent send a few with each call.
    "calls that are reset at once": (
        lambda service: b"".join(
            call(service, GOOD, number=number) + frame(RST_STREAM, 0, number, u32(8)) for number in range(1, 10_001, 2)
        ),
        lambda seen: bool(seen.pongs) or ended_with(CALM)(seen),  # the slower they are taken in, the less they harm
    ),
    "more streams than may be open": (
        lambda service: b"".join(head(number, call_headers(service)) for number in range(1, 4_001, 2)),
        lambda seen: bool(seen.reset),
    ),
    "pings": (lambda service: frame(PING, 0, 0, b"12345678") * 20_000 + call(service, GOOD), ended_with(CALM)),
    "settings": (lambda service: frame(SETTINGS, 0, 0) * 20_000 + call(service, GOOD), ended_with(CALM)),
    "priorities": (
        lambda service: frame(PRIORITY, 0, 1, u32(3) + b"x") * 20_000 + call(service, GOOD),
        ended_with(CALM),
    ),
    "windows of an octet": (
        lambda service: frame(WINDOW_UPDATE, 0, 0, u32(1)) * 20_000 + call(service, GOOD),
        ended_with(CALM),
    ),
    "a message in crumbs": (
        lambda service: head(1, call_headers(service)) + body(1, b"\0", ends=False) * 20_000,
        answered(grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNIMPLEMENTED),
    ),
    "headers without end": (lambda service: continuations(service, 20_000), ended_with(CALM)),
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
