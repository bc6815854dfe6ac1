"""Whatever bytes come, in whatever pieces: no error that nobody foresaw, and nothing is left when the peer has gone."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reference_service.http2 import frames as wire
from reference_service.http2.connection import Connection
from reference_service.http2.limits import ServerLimits
from reference_service.http2.server import Server
from tests.reference_service.http2.by_hand import CLOSE, GRPC, MESSAGE, OPEN, block, of, opened, whole
from tests.reference_service.http2.methods import methods
from tests.reference_service.http2.serving import SERVICE

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMITS = ServerLimits(streams=4, message_bytes=300, metadata_bytes=400, held_bytes=1500, calls=6, slow_s=60)
STREAMS = st.sampled_from([0, 1, 1, 1, 2, 3, 3, 5, 99, 2**31 - 1])
ODD = [*of("upper"), ("grpc-encoding", "gzip"), ("te", "trailers"), ("grpc-timeout", "1u"), ("x-bin", "YQ")]
PAYLOADS = st.one_of(
    st.binary(max_size=60),
    st.sampled_from([block(), block(*of("count")), block(*ODD), block(*GRPC, ("x", "y" * 120)), MESSAGE, MESSAGE * 2]),
    st.sampled_from([b"", bytes(4), bytes(5), bytes(8), b"\x7f\xff\xff\xff", b"\0\0\0\1", b"\0\4\0\0\0\0", bytes(400)]),
    st.sampled_from([b"\0\0\0\1\0hello", b"\1\0\0\0\1x", b"\0\xff\xff\xff\xff", b"\xbe", b"\x40\1x\1y", b"\0\1x\1y"]),
)
FRAMES = st.one_of(
    st.builds(wire.frame, st.integers(0, 10), st.integers(0, 63), STREAMS, PAYLOADS),
    st.builds(opened, STREAMS, st.sampled_from([OPEN, CLOSE, 0])),
    st.builds(lambda stream: opened(stream, OPEN, *of("upper")), STREAMS),
    st.builds(lambda stream: opened(stream, OPEN, *of("count")), STREAMS),
    st.builds(whole, STREAMS),
    st.builds(lambda size: wire.frame(wire.SETTINGS, 0, 0, wire.SETTING.pack(4, size)), st.integers(0, 70_000)),
    st.builds(lambda stream, size: wire.frame(8, 0, stream, wire.U32.pack(size)), STREAMS, st.integers(0, 2**31 - 1)),
)


class Transport:
    """Takes all that is written, until it is closed."""

    closed = False

    def write(self, data: bytes) -> None:
        assert data
        assert not self.closed

    def is_closing(self) -> bool:
        return self.closed

    def get_extra_info(self, name: str) -> None:
        del name

    def close(self) -> None:
        self.closed = True

    abort = close

    def nothing(self, *_: Any) -> None: ...

    set_write_buffer_limits = pause_reading = resume_reading = nothing


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    yield made
    made.close()


async def conversation(frames: list[bytes], pieces: list[int], *, stalls: bool) -> None:
    server = Server(LIMITS)
    server.add_registered_method_handlers(SERVICE, methods([], [0]))
    server.add_queue(SERVICE, "echo", 2, lambda _: (8, "full", ()), lambda: None)
    connection, transport = Connection(server, lambda: None), Transport()
    connection.connection_made(transport)  # type: ignore[arg-type] # as much of one as is used
    sent, at = wire.PREFACE + wire.frame(wire.SETTINGS, 0, 0) + b"".join(frames), 0
    for size in [*pieces, len(sent)]:
        connection.data_received(sent[at : at + size])
        at += size
        if stalls:
            connection.pause_writing()
            await asyncio.sleep(0)
            connection.resume_writing()
        for _ in range(3):
            await asyncio.sleep(0)
        connection.look_after(connection.loop.time() + 59)
    assert server.counts.calls == len(connection.streams) <= LIMITS.streams
    assert server.counts.held_bytes == connection.held_bytes == sum(one.held for one in connection.streams.values())
    assert server.counts.held_bytes <= LIMITS.held_bytes
    connection.look_after(connection.loop.time() + 61)
    transport.closed = True
    connection.connection_lost(None)
    assert (server.counts.calls, server.counts.held_bytes, len(connection.streams)) == (0, 0, 0)
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    if tasks:
        await asyncio.wait(tasks, timeout=5)
    assert not [task for task in tasks if not task.done()]


@settings(max_examples=1500, deadline=None)
@given(
    frames=st.lists(FRAMES, max_size=25),
    pieces=st.lists(st.integers(1, 90), max_size=12),
    stalls=st.booleans(),
)
def test_no_bytes_lead_to_a_bug_or_leave_anything_behind(
    loop: asyncio.AbstractEventLoop,
    caplog_all: list[logging.LogRecord],
    frames: list[bytes],
    pieces: list[int],
    *,
    stalls: bool,
) -> None:
    loop.run_until_complete(conversation(frames, pieces, stalls=stalls))
    assert caplog_all == []


@pytest.fixture(scope="module")
def caplog_all() -> Iterator[list[logging.LogRecord]]:
    """All that is logged as an error while the module runs; the handlers that fail on purpose are not called."""
    found: list[logging.LogRecord] = []
    handler = logging.Handler(logging.ERROR)
    handler.emit = found.append  # type: ignore[method-assign] # the shortest of handlers
    logging.getLogger().addHandler(handler)
    yield found
    logging.getLogger().removeHandler(handler)
