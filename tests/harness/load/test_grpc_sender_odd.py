"""Peers that do what few do or none may: what is lawful is understood, what is not ends calls and never the load."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.harness.load import odd_peer as odd
from tests.harness.load.calls import INTERNAL, LIMIT_S, OK, UNAVAILABLE, UNKNOWN, calls, run
from tests.harness.load.odd_peer import (
    END_HEADERS,
    END_STREAM,
    GOOD,
    TRAILERS,
    OddPeer,
    answer,
    answering,
    block,
    cut,
    data,
    frame,
    head,
    message,
    odd_server,
    tail,
    u32,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.harness.load.calls import End

BIG = [("x-padding", "v" * 30_000)]


LAWFUL: dict[str, Callable[[int], bytes]] = {
    "plain": answer,
    "continuations": lambda n: cut(n, GOOD, 5) + data(n) + cut(n, TRAILERS, 1, END_STREAM),
    "an empty continuation": lambda n: head(n, GOOD, 0) + frame(odd.CONTINUATION, END_HEADERS, n) + data(n) + tail(n),
    "huge headers": lambda n: cut(n, [*GOOD, *BIG], 16_384) + data(n) + cut(n, [*TRAILERS, *BIG], 16_384, END_STREAM),
    "padding": lambda n: (
        frame(odd.HEADERS, END_HEADERS | odd.PADDED, n, b"\x03" + block(GOOD) + bytes(3))
        + frame(odd.DATA, odd.PADDED, n, b"\xff" + message(b"world") + bytes(255))
        + frame(odd.DATA, odd.PADDED, n, b"\x00")
        + tail(n)
    ),
    "priorities": lambda n: (
        frame(odd.PRIORITY, 0, n, u32(0) + b"\x10")
        + frame(odd.HEADERS, END_HEADERS | odd.PRIORITY_FLAG, n, u32(0) + b"\x10" + block(GOOD))
        + data(n)
        + frame(odd.HEADERS, 0x2D, n, b"\x02" + u32(0) + b"\x10" + block(TRAILERS) + bytes(2))
    ),
    "a message in crumbs": lambda n: (
        head(n) + b"".join(frame(odd.DATA, 0, n, bytes([octet])) for octet in message(b"world")) + tail(n)
    ),
    "informational headers": lambda n: head(n, [(":status", "103"), ("x-zone", "early")]) + answer(n),
    "unknown frames": lambda n: frame(0xBE, 0xFF, n, b"?" * 99) + answer(n) + frame(0xBF, 0, 0),
    "frames for unknown streams": lambda n: (
        data(n + 2000, bytes(999))
        + frame(odd.WINDOW_UPDATE, 0, n + 4000, u32(1))
        + frame(odd.RST_STREAM, 0, n + 2000, u32(2))
        + answer(n)
    ),
    "a reset behind the end": lambda n: answer(n) + frame(odd.RST_STREAM, 0, n, u32(0)),
    "a widening of nothing, and of all": lambda n: (
        frame(odd.WINDOW_UPDATE, 0, n, u32(0)) + frame(odd.WINDOW_UPDATE, 0, 0, u32(2**32 - 1)) + answer(n)
    ),
    "pings and settings": lambda n: (frame(odd.PING, 0, 0, b"12345678") + odd.settings((0xF0F0, 1))) * 500 + answer(n),
    "an acknowledgement": lambda n: frame(odd.SETTINGS, 1, 0) + frame(odd.PING, 1, 0, bytes(8)) + answer(n),
}


async def endings(script: Callable[[OddPeer], object], count: int = 3, **keywords: object) -> list[End]:
    """How some calls end, one after the other, then some at once."""
    async with odd_server(script) as address, calls(address, **keywords) as made:
        return [(await made.call())[0] for _ in range(count)] + await made.call(count)


@pytest.mark.parametrize("name", LAWFUL)
def test_lawful_answers_are_understood(name: str) -> None:
    found = run(endings(answering(LAWFUL[name])))
    assert [(end.status, end.size, end.by.zone) for end in found] == [(OK, 5, "")] * 6


@pytest.mark.parametrize("name", ["continuations", "padding", "priorities", "informational headers"])
def test_lawful_answers_are_understood_octet_by_octet(name: str) -> None:
    found = run(endings(answering(LAWFUL[name], crumbs=True), count=1))
    assert [(end.status, end.size) for end in found] == [(OK, 5)] * 2


# What one stream gets wrong is the end of its call alone.
WRONG: dict[str, tuple[Callable[[int], bytes], int]] = {
    "data without headers": (lambda n: data(n) + tail(n), INTERNAL),
    "headers without a status": (lambda n: head(n, GOOD[1:]) + data(n) + tail(n), UNKNOWN),
    "headers with an odd status": (lambda n: head(n, [(":status", "2oo")]) + data(n) + tail(n), UNKNOWN),
    "the end with the first headers": (lambda n: tail(n, GOOD), UNKNOWN),
    "ok with the first headers": (lambda n: tail(n, [*GOOD, *TRAILERS]), INTERNAL),
    "a status ahead of the data": (lambda n: head(n, [*GOOD, *TRAILERS]) + data(n, flags=END_STREAM), UNKNOWN),
    "trailers without data": (lambda n: head(n) + tail(n), INTERNAL),
    "data without trailers": (lambda n: head(n) + data(n, flags=END_STREAM), UNKNOWN),
    "trailers that are not the end": (lambda n: head(n) + data(n) + head(n, TRAILERS) + frame(0, 1, n), UNKNOWN),
    "trailers, then a reset": (lambda n: head(n) + data(n) + head(n, TRAILERS) + frame(3, 0, n, u32(0)), INTERNAL),
    "an answer cut short": (lambda n: head(n) + frame(0, 0, n, message(b"world")[:-1]) + tail(n), INTERNAL),
    "two answers": (lambda n: head(n) + data(n) + data(n) + tail(n), INTERNAL),
    "compressed, nobody knows how": (lambda n: head(n) + frame(0, 0, n, message(b"w", 1)) + tail(n), INTERNAL),
    "no number for a status": (lambda n: head(n) + data(n) + tail(n, [("grpc-status", "x" * 3000)]), UNKNOWN),
    "a page of HTML": (lambda n: head(n, [(":status", "200")]) + frame(0, 1, n, b"<html>"), UNKNOWN),
    "an HTTP error with good trailers": (lambda n: head(n, [(":status", "503")]) + data(n) + tail(n), UNAVAILABLE),
    **{
        f"HTTP {http}": (lambda n, http=http: tail(n, [(":status", str(http))]), status)
        for http, status in {
            204: 2,
            400: 13,
            401: 16,
            403: 7,
            404: 12,
            429: 14,
            500: 2,
            502: 14,
            503: 14,
            504: 14,
        }.items()
    },
    **{
        f"reset {code}": (
            lambda n, code=code: head(n) + frame(3, 0, n, u32(code)),
            {7: 14, 8: 1, 11: 8, 12: 7}.get(code, 13),
        )
        for code in range(14)
    },
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_with_an_answer_ends_its_call_alone(name: str) -> None:
    make, status = WRONG[name]

    async def script(peer: OddPeer) -> None:
        await peer.greet()
        while True:
            request = await peer.request()
            peer.send(make(request.number) if request.body == message(b"odd") else answer(request.number))

    async def main() -> None:
        async with odd_server(script) as address, calls(address, (b"odd", b"good")) as made:
            for _ in range(2):
                for number in (0, 1, 0, 1):
                    made.send(message=number)
                assert [end.status for end in await made.ended(range(len(made._sent_s)))][-4:] == [status, OK] * 2

    run(main())


# What nothing can be made of is the end of the connection, at once; the next one serves.
BROKEN: dict[str, Callable[[int], bytes]] = {
    "a frame too large": lambda n: frame(odd.DATA, 0, n, bytes(16_385)),
    "the beginning of one": lambda n: frame(odd.DATA, 0, n, bytes(16_385))[:20],
    "no header block": lambda n: frame(odd.HEADERS, END_HEADERS, n, b"\xff\xff\xff\xff\xff\xff"),
    "headers larger than allowed": lambda n: cut(n, [*GOOD, *BIG, *BIG, *BIG], 16_384),
    "headers without end": lambda n: head(n, GOOD, 0) + frame(odd.CONTINUATION, 0, n, bytes(16_384)) * 5,
    "a continuation of nothing": lambda n: frame(odd.CONTINUATION, END_HEADERS, n, block(GOOD)),
    "headers broken off": lambda n: head(n, GOOD, 0) + data(n),
    "headers continued elsewhere": lambda n: head(n, GOOD, 0) + frame(odd.CONTINUATION, END_HEADERS, n + 2),
    "a push": lambda n: frame(odd.PUSH_PROMISE, END_HEADERS, n, u32(2) + block(GOOD)),
    "padding beyond the data": lambda n: head(n) + frame(odd.DATA, odd.PADDED, n, b"\x05" + bytes(4)),
    "padding beyond the headers": lambda n: frame(odd.HEADERS, END_HEADERS | odd.PADDED, n, b"\x09" + block(GOOD)[:8]),
    "a priority cut short": lambda n: frame(odd.HEADERS, END_HEADERS | odd.PRIORITY_FLAG, n, b"\x00\x00"),
    "settings cut short": lambda _: frame(odd.SETTINGS, 0, 0, b"\x00\x01\x00"),
    "a reset cut short": lambda n: frame(odd.RST_STREAM, 0, n, b"\x00"),
    "a window cut short": lambda _: frame(odd.WINDOW_UPDATE, 0, 0, b"\x00"),
    "a farewell cut short": lambda _: frame(odd.GOAWAY, 0, 0, b"\x00"),
    "padding of nothing": lambda n: frame(odd.DATA, odd.PADDED, n),
    "garbage": lambda _: b"\xde\xad\xbe\xef" * 100,
    "nothing, and closes": lambda _: b"",
    "half a frame, and closes": lambda n: answer(n)[:-3],
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_nothing_can_be_made_of_ends_the_connection_and_the_next_serves(name: str) -> None:
    closes = name.endswith("closes")

    async def broken(peer: OddPeer) -> None:
        await peer.greet()
        numbers = [(await peer.request()).number for _ in range(3)]
        peer.send(BROKEN[name](numbers[0]))
        if not closes:
            await peer.request()  # until the client closes

    async def main() -> None:
        async with odd_server(broken, answering(answer)) as address, calls(address) as made:
            lost = await made.call(3)
            assert [end.status for end in lost] == [UNAVAILABLE] * 3
            assert all(end.after_s < 1 for end in lost)
            assert [end.status for end in await made.call(3)] == [OK] * 3

    run(main())


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", id="HTTP/1.1"),
        pytest.param(b"SSH-2.0-OpenSSH_9.6\r\n", id="SSH"),
        pytest.param(frame(odd.HEADERS, END_HEADERS, 1, block(GOOD)), id="no settings first"),
        pytest.param(frame(odd.SETTINGS, 1, 0), id="an acknowledgement first"),
        pytest.param(frame(odd.GOAWAY, 0, 0, u32(0) + u32(11)), id="a farewell first"),
        pytest.param(b"", id="closes"),
    ],
)
def test_a_peer_that_does_not_speak_http_2_is_not_there(reply: bytes) -> None:
    async def script(peer: OddPeer) -> None:
        peer.send(reply)
        if reply:
            await asyncio.sleep(LIMIT_S)

    async def main() -> None:
        async with odd_server(script) as address, calls(address, up=0) as made:
            assert [end.status for end in await made.call(3)] == [UNAVAILABLE] * 3
            assert all(end.after_s < 1 for end in made.ends.values())

    run(main())
