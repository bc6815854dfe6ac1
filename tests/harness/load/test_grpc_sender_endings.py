"""Servers that freeze, stop, die, come back or were never there: no call is lost or waits in vain, all end in time."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import time
from typing import TYPE_CHECKING

import pytest

from harness.load import channel
from tests.harness.load.calls import CANCELLED, DEADLINE_EXCEEDED, OK, UNAVAILABLE, Calls, calls, run, until
from tests.harness.load.grpc_peers import AioPeer, aio_peer, free_port
from tests.harness.load.odd_peer import OddPeer, answer, odd_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SLOW = json.dumps({"sleep_s": 0.1}).encode()
QUICK = b"{}"
LATE_S = 0.02
"""How much later than true an end may be told; timers count milliseconds, and two cores are shared."""


async def steadily(made: Calls, seconds: float) -> AsyncIterator[None]:
    """Send a call every two milliseconds, however late the loop is."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        made.send()
        yield
        await asyncio.sleep(0.002)


async def load(made: Calls, seconds: float) -> None:
    async for _ in steadily(made, seconds):
        pass


async def start(peer: AioPeer) -> None:
    await asyncio.get_running_loop().run_in_executor(None, peer.start)


def test_a_frozen_server_costs_the_deadline_and_no_more() -> None:
    async def main(peer: AioPeer) -> None:
        async with calls(peer.address, (QUICK,), timeout_s=0.25) as made:
            await made.call(5)
            peer.signal(signal.SIGSTOP)
            for _ in range(40):
                made.send(5)
                await asyncio.sleep(0.005)
            found = await made.ended(range(5, 205))
            assert {end.status for end in found} == {DEADLINE_EXCEEDED}
            late = sorted(end.after_s - 0.25 for end in found)
            assert late[0] >= 0
            assert late[100] < 0.005
            assert late[-1] < LATE_S
            peer.signal(signal.SIGCONT)
            assert {end.status for end in await made.call(5)} == {OK}

    with aio_peer() as peer:
        run(main(peer))


def test_a_graceful_stop_under_load_loses_nothing_that_was_accepted() -> None:
    async def main(peer: AioPeer) -> None:
        async with calls(peer.address, (SLOW,), up=3, connections=3) as made:
            await load(made, 0.3)
            stopping = asyncio.get_running_loop().run_in_executor(None, peer.seen)
            await load(made, 0.3)
            seen = await stopping
            await made.ended(range(len(made._sent_s)))
            answered = {call["metadata"]["x-request-id"] for call in seen if call["end"] == "answered"}
            ok = {f"{index:016x}" for index, end in made.ends.items() if end.status == OK}
            assert made.statuses() <= {
                OK,
                CANCELLED,
                UNAVAILABLE,
            }  # a server that stops cancels what it gets
            assert ok == answered
            assert all(end.after_s < LATE_S for end in made.ends.values() if end.status == UNAVAILABLE)
            await start(peer)
            await asyncio.sleep(max(channel.BACKOFF_S))
            assert {end.status for end in await made.call(30)} == {OK}

    with aio_peer() as peer:
        run(main(peer))


def test_connections_of_limited_age_lose_nothing() -> None:
    ages = (("grpc.max_connection_age_ms", 150), ("grpc.max_connection_age_grace_ms", 2000))

    async def main(peer: AioPeer) -> None:
        async with calls(peer.address, (SLOW,), up=2, connections=2) as made:
            await load(made, 1.0)
            await made.ended(range(len(made._sent_s)))
            assert made.statuses() == {OK}
            assert max(end.after_s for end in made.ends.values()) < 0.5

    with aio_peer(*ages) as peer:
        run(main(peer))


def test_pings_of_the_server_are_answered() -> None:
    pings = (("grpc.keepalive_time_ms", 50), ("grpc.keepalive_timeout_ms", 50))

    async def main(peer: AioPeer) -> None:
        async with calls(peer.address, (json.dumps({"sleep_s": 0.5}).encode(),)) as made:
            assert [end.status for end in await made.call(2)] == [OK, OK]

    with aio_peer(*pings) as peer:
        run(main(peer))


def test_a_killed_server_loses_what_is_open_and_is_found_again() -> None:
    async def main(peer: AioPeer) -> None:
        async with calls(peer.address, (json.dumps({"sleep_s": 5}).encode(), QUICK), up=2, connections=2) as made:
            open_calls = made.send(20)
            await asyncio.sleep(0.05)
            killed_s = time.monotonic()
            peer.signal(signal.SIGKILL)
            assert {end.status for end in await made.ended(open_calls)} == {UNAVAILABLE}
            assert time.monotonic() - killed_s < 0.5
            await until(lambda: not any(item._connecting for item in made.sender._channels), "an attempt failed")
            failed = await made.call(10, message=1)
            assert {end.status for end in failed} == {UNAVAILABLE}
            assert max(end.after_s for end in failed) < LATE_S
            await start(peer)
            back_s = time.monotonic()
            while (await made.call(message=1))[0].status != OK:  # noqa: ASYNC110 - a new call each time
                await asyncio.sleep(0.01)
            assert time.monotonic() - back_s < max(channel.BACKOFF_S) + 0.2

    with aio_peer() as peer:
        run(main(peer))


def test_a_server_that_is_not_there_fails_every_call_at_once() -> None:
    async def main() -> None:
        began_s = time.monotonic()
        async with calls(f"127.0.0.1:{free_port()}", up=0, connections=3) as made:
            assert time.monotonic() - began_s < 1.0
            failed = await made.call(30)
            assert {end.status for end in failed} == {UNAVAILABLE}
            assert max(end.after_s for end in failed) < LATE_S

    run(main())


@pytest.mark.parametrize("name", ["no-such-host.invalid", "x" * 70 + ".invalid", "a..b"])
def test_a_name_that_leads_nowhere_is_a_server_that_is_not_there(name: str) -> None:
    async def main() -> None:
        async with calls(f"{name}:1", up=0) as made:
            assert [end.status for end in await made.call(2)] == [UNAVAILABLE] * 2

    run(main())


def test_a_server_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "ATTEMPT_LIMIT_S", 0.2)

    async def main(address: str) -> None:
        made = Calls(address)
        early = made.send(3)
        began_s = time.monotonic()
        assert await made.sender.connect(5.0) == 0
        assert 0.19 < time.monotonic() - began_s < 0.5
        assert {end.status for end in await made.ended(early)} == {UNAVAILABLE}
        await made.sender.close()

    with socket.create_server(("127.0.0.1", 0)) as silent:
        run(main(f"127.0.0.1:{silent.getsockname()[1]}"))


def test_calls_wait_while_the_connection_is_made_and_may_run_out_of_time() -> None:
    seen: list[str] = []

    async def slow_to_greet(peer: OddPeer) -> None:
        await asyncio.sleep(0.2)
        await peer.greet()
        while True:
            request = await peer.request()
            seen.append(dict(request.headers)["x-request-id"])
            peer.send(answer(request.number))

    async def main() -> None:
        async with odd_server(slow_to_greet) as address:
            made = Calls(address, timeout_s=0.15)
            assert await made.sender.connect(0.01) == 0
            hasty = made.send(3)
            await asyncio.sleep(0.1)
            patient = made.send(3)
            assert {end.status for end in await made.ended(hasty)} == {DEADLINE_EXCEEDED}
            assert {end.status for end in await made.ended(patient)} == {OK}
            assert seen == [f"{index:016x}" for index in patient]  # nobody waits for the others any more
            await made.sender.close()

    run(main())
