"""However the network cuts what a server sends, calls end the same way; and the same as with gRPC's own client."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import grpc.aio
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.load.answer_blocks import AnswerBlocks
from harness.load.grpc_status import status_of
from harness.load.hpack_blocks import RequestBlocks
from harness.load.http2 import Connection
from harness.load.http2_frames import Stream
from reference_service.protocol.headers import MODEL_VERSION, ZONE
from tests.harness.load import odd_peer as odd
from tests.harness.load.calls import calls, run
from tests.harness.load.grpc_peers import aio_peer
from tests.harness.load.odd_peer import GOOD, answer, cut, data, frame, head, tail, u32

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

CALLS = 6
LARGE = odd.message(bytes(range(256)) * 100)
GREETING = odd.settings((3, 100), (4, 70_000))
RECORDED = [
    GREETING,
    answer(1),
    head(3) + frame(odd.DATA, odd.PADDED, 3, b"\x04" + odd.message(b"w") + bytes(4)) + tail(3),
    cut(5, GOOD, 7) + data(5) + tail(5, [("grpc-status", "5"), ("x-zone", "zone-a")]),
    frame(odd.PING, 0, 0, bytes(8)) + frame(odd.RST_STREAM, 0, 7, u32(7)) + frame(0xAA, 0, 9, b"odd"),
    head(9) + b"".join(frame(odd.DATA, 0, 9, part) for part in (LARGE[:16_000], LARGE[16_000:])),
    tail(9) + answer(2001),
    frame(odd.GOAWAY, 0, 0, u32(9) + u32(0)),
]
BREAKS = [b"", frame(odd.DATA, 0, 1, bytes(16_385)), b"garbage that is no frame at all", head(11, GOOD, 0) + data(11)]


class Wire(asyncio.Transport):
    """Remembers what was written, and that it was broken off; after that, writing is an error, as it is in uvloop."""

    def __init__(self) -> None:
        super().__init__()
        self.written, self.broken = b"", False

    def write(self, data: Any) -> None:
        assert not self.broken, "written to what is no more"
        self.written += data

    def close(self) -> None:
        pass

    def abort(self) -> None:
        self.broken = True


def ends(chunks: Sequence[bytes]) -> list[tuple[int, int, int, Any]]:
    """How calls end when these bytes come, and then the connection breaks."""
    found: list[tuple[int, int, int, Any]] = []

    async def main() -> None:
        def ended(stream: Stream, error: int | None) -> None:
            found.append((stream.token, status_of(stream, error), stream.received, stream.answer))

        connection, wire = a_connection(ended)
        for token in range(CALLS):
            connection.open(Stream(token, b"0" * 16, b"body"))
        for chunk in chunks:
            if not wire.broken:
                connection.data_received(chunk)
        connection.connection_lost(None)

    asyncio.run(main())
    return found


def chunked(content: bytes, cuts: Sequence[int]) -> list[bytes]:
    edges = [0, *sorted(cut % len(content) for cut in cuts), len(content)]
    return [content[start:end] for start, end in itertools.pairwise(edges)]


@settings(deadline=None, max_examples=150)
@given(st.permutations(RECORDED[1:7]), st.sampled_from(BREAKS), st.lists(st.integers(0, 10**6), max_size=40))
def test_ends_are_the_same_however_the_octets_are_cut(order: list[bytes], broken: bytes, cuts: list[int]) -> None:
    content = b"".join([*order, RECORDED[7], broken])
    whole = ends([content])
    assert sorted(end[0] for end in whole) == list(range(CALLS))
    assert ends(chunked(content, cuts)) == whole


def test_ends_are_the_same_octet_by_octet() -> None:
    content = b"".join(RECORDED)
    expected = [(0, 0), (1, 0), (2, 5), (3, 14), (4, 0), (5, 14)]
    assert [end[:2] for end in ends([bytes([octet]) for octet in content])] == expected


def a_connection(ended: Callable[[Stream, int | None], None] = lambda *_: None) -> tuple[Connection, Wire]:
    """A connection that has been greeted, and its wire."""
    connection, wire = Connection(RequestBlocks((), "x-id"), AnswerBlocks(), ended), Wire()
    connection.connection_made(wire)
    connection.data_received(GREETING)
    return connection, wire


def test_whatever_was_received_is_allowed_again() -> None:
    """Padding and what came for nobody as well: otherwise a peer would fall silent after two gigabytes."""

    async def main() -> None:
        connection, wire = a_connection()
        wire.written = b""
        for _ in range(100):
            connection.data_received(frame(odd.DATA, odd.PADDED, 7, b"\xff" + bytes(16_000)))
        total = 16_001 * (2**20 // 16_001 + 1)
        assert wire.written == frame(odd.WINDOW_UPDATE, 0, 0, u32(total))

    asyncio.run(main())


def test_to_a_connection_that_is_lost_nothing_is_written() -> None:
    async def main() -> None:
        connection, wire = a_connection()
        stream = Stream(1, b"0" * 16, b"body")
        connection.open(stream)
        connection.connection_lost(None)
        wire.broken = True
        connection.open(Stream(2, b"0" * 16, b"body"))
        connection.reset(stream)
        connection.close()
        connection.abort()
        assert list(connection.take_unsent()) == [2]

    asyncio.run(main())


REQUESTS = [
    {"size": size, "code": code, "early": early, "initial": initial, "trailing": [["x-model-version", "3"]]}
    for size in (0, 100, 70_000)
    for code in (0, 5, 14)
    for early, initial in ((False, []), (True, []), (True, [["x-zone", "b"]]))
] * 12
"""324 calls."""


def test_grpc_s_own_client_sees_the_same() -> None:
    messages = [json.dumps(request).encode() for request in REQUESTS]

    async def by_grpc(address: str) -> list[tuple[Any, ...]]:
        async with grpc.aio.insecure_channel(address) as channel:
            method = channel.unary_unary("/test.Service/Call", None, None)
            return await asyncio.gather(*(one(method(message)) for message in messages))

    async def one(call: Any) -> tuple[Any, ...]:
        try:
            size = len(await call)
        except grpc.aio.AioRpcError:
            size = 0
        metadata = dict([*await call.trailing_metadata(), *await call.initial_metadata()])
        return (await call.code()).value[0], size, metadata.get(ZONE, ""), metadata.get(MODEL_VERSION, "")

    async def by_us(address: str) -> list[tuple[Any, ...]]:
        async with calls(address, messages) as made:
            for message in range(len(messages)):
                made.send(message=message)
            return [(end.status, end.size, *end.by) for end in await made.ended(range(len(messages)))]

    with aio_peer() as peer:
        theirs, ours = asyncio.run(by_grpc(peer.address)), run(by_us(peer.address))
    assert ours == theirs
    assert len(Counter(ours)) == 5 * 2
