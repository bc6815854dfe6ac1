"""Against grpcio's own servers, a call ends as they say: status, size, who answered, and once."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from harness.load.sender import NOBODY, AnsweredBy, SenderError
from tests.harness.load.calls import DEADLINE_EXCEEDED, INTERNAL, OK, UNAVAILABLE, Calls, End, calls, run
from tests.harness.load.grpc_peers import AioPeer, aio_peer, threaded_server

if TYPE_CHECKING:
    from collections.abc import Iterator

WHO = (("x-zone", "zone-a"), ("x-model-version", "7"))
BY = AnsweredBy("zone-a", "7")
LARGE = 6 << 20


@pytest.fixture(scope="module")
def peer() -> Iterator[AioPeer]:
    with aio_peer() as running:
        yield running


def told(padding: int = 0, **what: Any) -> bytes:
    """A request that tells the asyncio peer what to do."""
    return json.dumps(what).encode() + b" " * padding


def ends(address: str, *pool: bytes, **keywords: Any) -> list[End]:
    """How one call of each message in `pool` ends."""

    async def main() -> list[End]:
        async with calls(address, pool, **keywords) as made:
            for message in range(len(pool)):
                made.send(message=message)
            return await made.ended(range(len(pool)))

    return run(main())


def test_ok_with_its_size_and_who_answered_wherever_that_stands(peer: AioPeer) -> None:
    pool = (
        told(size=120, trailing=WHO),
        told(size=121, initial=WHO, early=True),
        told(size=122, initial=WHO[:1], trailing=WHO[1:], early=True),
        told(size=0),
    )
    for _ in range(2):
        found = [(end.status, end.size, end.by) for end in ends(peer.address, *pool)]
        assert found == [(OK, 120, BY), (OK, 121, BY), (OK, 122, BY), (OK, 0, NOBODY)]


@pytest.mark.parametrize("early", [False, True], ids=["trailers only", "headers first"])
def test_every_status_code(peer: AioPeer, *, early: bool) -> None:
    codes = [code.value[0] for code in grpc.StatusCode if code is not grpc.StatusCode.OK]
    found = ends(peer.address, *(told(code=code, early=early, trailing=WHO) for code in codes))
    assert [(end.status, end.size, end.by) for end in found] == [(code, 0, BY) for code in codes]


def test_the_threaded_server_too_and_its_exceptions() -> None:
    def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
        if request == b"raise":
            raise ZeroDivisionError
        context.set_trailing_metadata(WHO)
        if request == b"code":
            context.set_code(grpc.StatusCode.DATA_LOSS)
        return request

    with threaded_server(answer) as address:
        found = ends(address, b"", b"hello", b"code", b"raise")
    assert [(end.status, end.size, end.by) for end in found] == [(OK, 0, BY), (OK, 5, BY), (15, 0, BY), (2, 0, NOBODY)]


def test_large_answers_and_large_requests_flow_both_ways(peer: AioPeer) -> None:
    """Larger than any window that the server grants, several at once, over one connection."""
    found = ends(peer.address, *[told(padding=LARGE, size=LARGE)] * 3, told(size=1))
    assert [(end.status, end.size) for end in found] == [(OK, LARGE)] * 3 + [(OK, 1)]


def test_small_server_windows() -> None:
    seen: list[int] = []

    def answer(request: bytes, _: grpc.ServicerContext) -> bytes:
        seen.append(len(request))
        return b"ok"

    limits = (
        ("grpc.http2.lookahead_bytes", 1024),
        ("grpc.http2.bdp_probe", 0),
        ("grpc.max_receive_message_length", -1),
    )
    with threaded_server(answer, *limits) as address:
        found = ends(address, *[bytes(LARGE)] * 2, b"small", bytes(20_000))
    assert [end.status for end in found] == [OK] * 4
    assert sorted(seen) == [5, 20_000, LARGE, LARGE]


def test_an_answer_ahead_of_the_whole_request_ends_the_call() -> None:
    with threaded_server(lambda _, __: b"", ("grpc.max_receive_message_length", 1000)) as address:
        found = ends(address, bytes(LARGE), b"small")
    assert [end.status for end in found] == [8, OK]


@pytest.mark.parametrize("compression", [grpc.Compression.Gzip, grpc.Compression.Deflate])
def test_a_compressed_answer_is_ok_and_as_large_as_it_was_on_the_wire(compression: grpc.Compression) -> None:
    with threaded_server(lambda _, __: b"z" * 10_000, compression=compression) as address:
        (end,) = ends(address, b"hello")
    assert end.status == OK
    assert 0 < end.size < 100


def test_the_peer_is_told_everything_it_must_know(peer: AioPeer) -> None:
    del peer
    with aio_peer() as own:
        metadata, secrets = (("x-tenant", "blue"), ("x-empty-not", "~")), (("authorization", "Bearer s3cret"),)
        found = ends(own.address, *[told()] * 3, metadata=metadata, secrets=secrets, timeout_s=3.0)
        assert [end.status for end in found] == [OK] * 3
        seen = own.seen()
    for number, call in enumerate(sorted(seen, key=lambda call: str(call["metadata"]["x-request-id"]))):
        expected = {"x-tenant": "blue", "x-empty-not": "~", "authorization": "Bearer s3cret", "user-agent": "gonogo"}
        assert expected.items() <= call["metadata"].items()
        assert call["metadata"]["x-request-id"] == f"{number:016x}"
        assert 2.0 < call["left_s"] <= 3.0


def test_a_deadline_ends_the_call_here_and_there() -> None:
    with aio_peer() as own:
        found = ends(own.address, told(sleep_s=5), told(), told(sleep_s=5, early=True), timeout_s=0.3)
        assert [end.status for end in found] == [DEADLINE_EXCEEDED, OK, DEADLINE_EXCEEDED]
        seen = own.seen()
    assert all(0.3 <= end.after_s < 0.32 for end in found if end.status == DEADLINE_EXCEEDED), found
    assert sorted(call["end"] for call in seen) == ["answered", "cancelled", "cancelled"]


def test_few_streams_at_a_time_lose_no_call() -> None:
    """Grpcio's server refuses a stream that follows another's end too closely, of its own clients as well."""
    with aio_peer(("grpc.max_concurrent_streams", 2)) as own:
        found = ends(own.address, *[told(sleep_s=0.01)] * 40)
        assert {end.status for end in found} <= {OK, UNAVAILABLE}
        answered = [call for call in own.seen() if call["end"] == "answered"]
    assert len(answered) == sum(end.status == OK for end in found) > 1


def test_a_call_held_back_can_run_out_of_time_and_the_others_go_on() -> None:
    with aio_peer(("grpc.max_concurrent_streams", 1)) as own:
        found = ends(own.address, told(sleep_s=0.2), told(sleep_s=0.2), told(), timeout_s=0.3)
        assert [end.status for end in found] == [OK, DEADLINE_EXCEEDED, DEADLINE_EXCEEDED]
        assert [call["end"] for call in own.seen()] == ["answered", "cancelled"]  # the third was never sent


def test_many_connections_share_the_calls(peer: AioPeer) -> None:
    async def main() -> None:
        async with calls(peer.address, (told(size=9, trailing=WHO),), up=20, connections=20) as made:
            found = await made.call(400)
            assert {(end.status, end.size, end.by) for end in found} == {(OK, 9, BY)}

    run(main())


def test_what_was_abandoned_is_never_told_and_its_number_is_free_again(peer: AioPeer) -> None:
    async def main() -> None:
        async with calls(peer.address, (told(sleep_s=0.1, size=1), told(sleep_s=0.2, size=2))) as made:
            made.send(5)
            made.sender.abandon()
            made.sender.send(0, 1, f"{0:016x}")
            (again,) = await made.ended([0])
            assert (again.status, again.size, list(made.ends)) == (OK, 2, [0])

    run(main())


@pytest.mark.parametrize("target", ["nowhere", "host:", ":80", "host:http", "host:0", "host:65536", ""])
def test_a_target_that_is_no_address_is_refused(target: str) -> None:
    async def main() -> None:
        with pytest.raises(SenderError, match="HOST:PORT"):
            Calls(target)

    run(main())


def test_many_deadlines_at_once_do_not_stall_the_loop() -> None:
    """A frozen service fills the cap: ending 20,000 calls must not cost what ending one costs, times the open ones."""
    count = 20_000
    with threaded_server(lambda _, __: b"", ("grpc.max_concurrent_streams", 1)) as address:

        async def main() -> None:
            async with calls(address, timeout_s=0.5) as made:
                made.send(10)
                began_s = time.process_time()
                for index in range(10, count):
                    made.sender.send(index, 0, f"{index:016x}")
                made.sender.abandon()
                assert time.process_time() - began_s < 1.0

        run(main())


def test_ok_without_a_message_is_no_success() -> None:
    with threaded_server(lambda _, __: None) as address:  # type: ignore[arg-type, return-value]  # what is tested
        (end,) = ends(address, b"hello")
    assert end.status in (INTERNAL, 2)
