"""The moments between: a sender that is closed, a connection that is about to go, a deadline that two sides watch."""

from __future__ import annotations

import asyncio
import signal
import socket
import time
from typing import TYPE_CHECKING

from tests.harness.load.calls import CANCELLED, DEADLINE_EXCEEDED, OK, Calls, calls, run, until
from tests.harness.load.grpc_peers import AioPeer, aio_peer
from tests.harness.load.odd_peer import GOAWAY, OddPeer, answer, answering, frame, odd_server, u32

if TYPE_CHECKING:
    from tests.harness.load.odd_peer import Script


def test_closing_ends_an_attempt_that_is_under_way() -> None:
    async def main(address: str) -> None:
        for _ in range(3):
            made = Calls(address, connections=5)
            assert await made.sender.connect(0.02) == 0
            began_s = time.monotonic()
            await made.sender.close()
            assert time.monotonic() - began_s < 0.1

    with socket.create_server(("127.0.0.1", 0)) as silent:
        run(main(f"127.0.0.1:{silent.getsockname()[1]}"))


def test_closing_in_the_very_turn_in_which_a_connection_is_made() -> None:
    """Then uvloop closes the transport, and tells nobody."""

    async def main() -> None:
        async with odd_server(answering()) as address:
            for turns in range(3, 15):
                made = Calls(address, connections=3)
                connecting = asyncio.ensure_future(made.sender.connect(5))
                made.send(3)
                for _ in range(turns):
                    await asyncio.sleep(0)
                began_s = time.monotonic()
                await made.sender.close()
                assert time.monotonic() - began_s < 0.1
                connecting.cancel()
                assert not any(item._made for item in made.sender._channels)

    run(main())


def test_closing_does_not_wait_for_a_frozen_server() -> None:
    async def main(peer: AioPeer) -> None:
        async with calls(peer.address, (bytes(1 << 20),)) as made:
            peer.signal(signal.SIGSTOP)
            made.send(20)
            await asyncio.sleep(0.05)

    with aio_peer() as peer:
        run(main(peer))


def test_a_call_sent_as_its_connection_ends_goes_to_the_next_one() -> None:
    """In the same turn of the loop in which the connection was lost, or its peer said that it leaves."""

    async def leave(peer: OddPeer, farewell: bytes) -> None:
        await peer.greet()
        peer.send(answer((await peer.request()).number), farewell)
        await asyncio.sleep(0.05)

    async def go_away(peer: OddPeer) -> None:
        await leave(peer, frame(GOAWAY, 0, 0, u32(1) + u32(0)))

    async def break_off(peer: OddPeer) -> None:
        await leave(peer, b"\xff" * 9)

    async def main(script: Script) -> None:
        async with odd_server(script, answering()) as address, calls(address) as made:
            (kept,) = made.sender._channels
            connection = kept._connection
            assert connection is not None
            made.send()
            connection.gone.add_done_callback(lambda _: made.send(3))  # as a pacer would, before anyone else hears
            await until(connection.gone.done, "the connection is gone")
            assert {end.status for end in await made.ended(range(4))} == {OK}

    for script in (go_away, break_off):
        run(main(script))


def test_a_server_that_cancels_at_the_deadline_has_seen_the_deadline_first() -> None:
    """And so has gRPC's own client: CANCELLED by the peer once time is over is DEADLINE_EXCEEDED, before it is not."""

    async def main() -> None:
        made = Calls("127.0.0.1:1", timeout_s=0.02)
        made.send(2)
        streams = [stream for _, _, stream in made.sender._open.values()]
        made.sender._ended(streams[0], 8)
        time.sleep(0.02)  # noqa: ASYNC251 - no timer may be quicker
        made.sender._ended(streams[1], 8)
        assert [end.status for end in made.ends.values()] == [CANCELLED, DEADLINE_EXCEEDED]
        await made.sender.close()

    run(main())
