"""Limits on streams, farewells, numbers that run out, what a peer is told: no call suffers for another."""

from __future__ import annotations

import asyncio

import pytest
from hpack import Encoder

from tests.harness.load import odd_peer as odd
from tests.harness.load.calls import DEADLINE_EXCEEDED, OK, UNAVAILABLE, calls, run
from tests.harness.load.odd_peer import (
    END_HEADERS,
    END_STREAM,
    GOOD,
    TRAILERS,
    OddPeer,
    answer,
    answering,
    data,
    frame,
    odd_server,
    u32,
)


def test_a_peer_that_keeps_a_table_though_none_was_granted() -> None:
    async def script(peer: OddPeer) -> None:
        await peer.greet()
        encoder = Encoder()
        for zone in "aabcbaab":
            number = (await peer.request()).number
            peer.send(frame(odd.HEADERS, END_HEADERS, number, encoder.encode(GOOD)), data(number))
            trailers = encoder.encode([*TRAILERS, ("x-zone", zone)])
            peer.send(frame(odd.HEADERS, END_HEADERS | END_STREAM, number, trailers))
        await peer.answer_all()

    async def main() -> None:
        async with odd_server(script) as address, calls(address) as made:
            assert "".join([end.by.zone for end in await made.call(8)]) == "aabcbaab"

    run(main())


def test_calls_that_wait_for_each_other_run_out_of_time_unsent() -> None:
    async def script(peer: OddPeer) -> None:
        await peer.greet((3, 1))
        with pytest.raises(asyncio.IncompleteReadError):
            await peer.until_frame(0xFF)
        assert [frame[2] for frame in peer.passed if frame[0] in (odd.HEADERS, odd.RST_STREAM)] == [1, 1]

    async def main() -> None:
        async with odd_server(script) as address, calls(address, timeout_s=0.05) as made:
            assert {end.status for end in await made.call(3)} == {DEADLINE_EXCEEDED}

    run(main())


def test_no_streams_at_first_then_a_hundred() -> None:
    async def script(peer: OddPeer) -> None:
        await peer.greet((3, 0))
        await peer.until_frame(odd.SETTINGS)
        await asyncio.sleep(0.05)
        assert peer.frames == []
        peer.send(odd.settings((3, 100)))
        first = [await peer.request() for _ in range(100)]
        assert [request.number for request in first] == list(range(1, 200, 2))
        for request in first:
            peer.send(answer(request.number))
        await peer.answer_all()

    async def main() -> None:
        async with odd_server(script) as address, calls(address) as made:
            assert {end.status for end in await made.call(150)} == {OK}

    run(main())


def test_a_farewell_below_open_streams_ends_those_above_and_lets_the_others_finish() -> None:
    async def leaving(peer: OddPeer) -> None:
        await peer.greet((3, 4))
        numbers = [(await peer.request()).number for _ in range(4)]
        peer.send(frame(odd.GOAWAY, 0, 0, u32(numbers[1]) + u32(0)), odd.settings((3, 100)))
        await asyncio.sleep(0.05)
        peer.send(answer(numbers[0]), answer(numbers[1]))
        with pytest.raises(asyncio.IncompleteReadError):
            await peer.request()  # nothing more is sent, and the client closes

    async def main() -> None:
        async with odd_server(leaving, answering()) as address, calls(address) as made:
            found = await made.call(7)  # the last three were never sent: they go to the next connection
            assert [end.status for end in found] == [OK, OK, UNAVAILABLE, UNAVAILABLE, OK, OK, OK]
            assert found[2].after_s < found[0].after_s

    run(main())


def test_secrets_and_metadata_arrive_in_every_call_and_the_timeout_with_them() -> None:
    seen: list[dict[str, str]] = []
    indexable: list[bool] = []

    async def script(peer: OddPeer) -> None:
        await peer.greet()
        while True:
            request = await peer.request()
            seen.append(dict(request.headers))
            indexable.extend(header.indexable for header in request.headers if header[0] == "authorization")
            peer.send(answer(request.number))

    async def main() -> None:
        secrets, metadata = [("authorization", "Bearer s3cret")], [("x-tenant", "blue")]
        keywords = {"secrets": secrets, "metadata": metadata, "timeout_s": 1.5}
        async with odd_server(script) as address, calls(address, **keywords) as made:
            await made.call(3)
        for number, headers in enumerate(seen):
            assert headers == {
                ":method": "POST",
                ":scheme": "http",
                ":path": "/test.Service/Call",
                ":authority": address,
                "te": "trailers",
                "grpc-timeout": "1500m",
                "content-type": "application/grpc",
                "grpc-accept-encoding": "identity,deflate,gzip",
                "user-agent": "gonogo",
                "x-tenant": "blue",
                "authorization": "Bearer s3cret",
                "x-request-id": f"{number:016x}",
            }

    run(main())
    assert indexable == [False] * 3


def test_a_connection_whose_numbers_are_used_up_is_followed_by_another() -> None:
    async def main() -> None:
        async with odd_server(answering()) as address, calls(address) as made:
            (kept,) = made.sender._channels
            first = kept._connection
            assert first is not None
            first._next_id = 2**31 - 7
            assert [end.status for end in await made.call(6)] == [OK] * 6
            assert kept._connection not in (None, first)

    run(main())


def test_a_peer_that_drops_every_connection_is_not_hammered() -> None:
    opened: list[int] = []

    async def script(peer: OddPeer) -> None:
        opened.append(1)
        await peer.greet()

    async def main() -> None:
        async with odd_server(script) as address, calls(address, up=None, timeout_s=0.5) as made:
            for _ in range(100):
                made.send()
                await asyncio.sleep(0.005)
            await made.ended(range(100))
            assert OK not in made.statuses()
            assert len(opened) < 6

    run(main())
