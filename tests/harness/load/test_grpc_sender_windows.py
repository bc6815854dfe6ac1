"""The windows that a peer sets and moves are kept to the octet, and used to the last one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.harness.load import odd_peer as odd
from tests.harness.load.calls import OK, UNAVAILABLE, calls, run
from tests.harness.load.odd_peer import END_STREAM, OddPeer, answer, frame, odd_server, u32

if TYPE_CHECKING:
    from tests.harness.load.odd_peer import Script


def windows(*changes: int) -> Script:
    """A server whose initial window changes after each 100 octets of a body that came, and that then opens up."""

    async def script(peer: OddPeer) -> None:
        await peer.greet((4, 100))
        received, number, pending = b"", 0, list(changes)
        while len(received) < 5 + 5000:
            kind, _, number, payload = await peer.read()
            if kind == odd.DATA:
                received += payload
                assert len(received) <= 5005
                if pending:
                    peer.send(odd.settings((4, pending.pop(0))))
                    peer.send(frame(odd.WINDOW_UPDATE, 0, number, u32(150)))
                else:
                    peer.send(odd.settings((4, 10_000)))
        peer.send(answer(number))
        await peer.answer_all()

    return script


@pytest.mark.parametrize("changes", [(), (0,), (50, 0), (0, 0, 0), (200, 100, 0, 300)])
def test_initial_windows_that_change_under_way_even_below_zero(changes: tuple[int, ...]) -> None:
    async def main() -> None:
        async with odd_server(windows(*changes)) as address, calls(address, (bytes(5000),)) as made:
            assert [end.status for end in await made.call()] == [OK]

    run(main())


def test_a_window_is_never_overrun_and_used_to_the_last_octet() -> None:
    async def script(peer: OddPeer) -> None:
        await peer.greet((4, 1000))
        credit, received = {1: 1000, 3: 1000}, {1: 0, 3: 0}
        in_all = 65_535
        while sum(received.values()) < 2 * (40_005):
            kind, _, number, payload = await peer.read()
            if kind == odd.DATA:
                assert len(payload) <= 16_384
                received[number] += len(payload)
                credit[number] -= len(payload)
                in_all -= len(payload)
                assert credit[number] >= 0
                assert in_all >= 0
                if credit[number] == 0:
                    peer.send(frame(odd.WINDOW_UPDATE, 0, number, u32(20_000)))
                    credit[number] += 20_000
                if in_all == 0:
                    peer.send(frame(odd.WINDOW_UPDATE, 0, 0, u32(30_000)))
                    in_all += 30_000
        peer.send(answer(1), answer(3))
        await peer.answer_all()

    async def main() -> None:
        async with odd_server(script) as address, calls(address, (bytes(40_000),)) as made:
            assert [end.status for end in await made.call(2)] == [OK, OK]

    run(main())


def test_settings_are_acknowledged_before_they_are_used() -> None:
    """A server may hold the client to the old window until then."""

    async def script(peer: OddPeer) -> None:
        await peer.greet((4, 100))
        await peer.until_frame(odd.SETTINGS)  # the client's own
        await peer.until_frame(odd.SETTINGS)
        await peer.until_frame(odd.DATA)
        peer.send(odd.settings((4, 10_000)))
        assert (await peer.read())[:2] == (odd.SETTINGS, 1)
        assert (await peer.read())[:2] == (odd.DATA, END_STREAM)
        peer.send(answer(1))
        await peer.answer_all()

    async def main() -> None:
        async with odd_server(script) as address, calls(address, (bytes(5000),)) as made:
            assert [end.status for end in await made.call()] == [OK]

    run(main())


@pytest.mark.parametrize("end", ["reset", "answer"])
def test_of_a_call_that_has_ended_no_more_is_sent(end: str) -> None:
    async def script(peer: OddPeer) -> None:
        await peer.greet((4, 100_000))
        received = 0
        while received < 65_535:
            received += len((await peer.until_frame(odd.DATA, 1))[3])
        peer.send(frame(odd.RST_STREAM, 0, 1, u32(7)) if end == "reset" else answer(1))
        peer.send(frame(odd.WINDOW_UPDATE, 0, 0, u32(200_000)))
        await peer.until_frame(odd.DATA, 3)
        assert all(number != 1 or kind == odd.RST_STREAM for kind, _, number, _ in peer.passed)
        peer.send(answer(3))
        await peer.until_frame(odd.GOAWAY)

    async def main() -> None:
        async with odd_server(script) as address, calls(address, (bytes(70_000),)) as made:
            assert [found.status for found in await made.call()] == [UNAVAILABLE if end == "reset" else OK]
            assert [found.status for found in await made.call()] == [OK]

    run(main())
