"""The HTTP sender says of every request exactly once how it ended, whatever the service does."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest
import uvloop

from harness.load.http_sender import HttpSender, status_of
from harness.load.sender import NOBODY, AnsweredBy, SenderError
from harness.load.senders import make_sender
from harness.plan_target import Tls
from tests.harness.load.certificates import Authority
from tests.integration.http_service import HttpService, serving
from tests.integration.load_support import small_spec

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from pathlib import Path

    from harness.load.sender import Sender

POOL = [b'{"user": 1}', b'{"user": 2}']
ZONE_A = AnsweredBy("zone-a", "7")
LIMIT_S = 10.0


def _run(work: Coroutine[None, None, None]) -> None:
    """On the event loop that loads run on."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(LIMIT_S):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in code that knows no test
            await asyncio.sleep(0.005)


class Ends:
    """What a sender said of each request."""

    def __init__(self) -> None:
        self.by_index: dict[int, tuple[int, int, AnsweredBy]] = {}
        self.sending = False

    def finish(self, index: int, status: int, size: int, answered_by: AnsweredBy) -> None:
        assert not self.sending, "finished from within send"
        assert index not in self.by_index, "finished twice"
        self.by_index[index] = (status, size, answered_by)

    def send(self, sender: Sender, count: int, start: int = 0) -> None:
        self.sending = True
        for index in range(start, start + count):
            sender.send(index, index % len(POOL), f"{index:016x}")
        self.sending = False

    async def wait(self, count: int) -> None:
        await until(lambda: len(self.by_index) == count)


def _drive(
    folder: Path, work: Callable[[HttpService, Sender, Ends], Awaitable[None]], method: str, **changes: Any
) -> Ends:
    """Run `work` with a service and a sender to it for `method`."""
    ends = Ends()

    async def run() -> None:
        service = HttpService()
        async with serving(service) as address:
            spec = small_spec(folder, address, protocol="http", method=method, **changes)
            sender = make_sender(spec, POOL, ends.finish)
            try:
                await work(service, sender, ends)
            finally:
                await sender.close()

    _run(run())
    return ends


def _send_and_wait(count: int) -> Callable[[HttpService, Sender, Ends], Awaitable[None]]:
    async def work(_service: HttpService, sender: Sender, ends: Ends) -> None:
        ends.send(sender, count)
        await ends.wait(count)

    return work


def test_an_answer_is_counted_with_its_size_and_who_gave_it(tmp_path: Path) -> None:
    ends = _drive(tmp_path, _send_and_wait(2), "POST /predict")
    assert ends.by_index == {0: (0, len('{"late": false}'), ZONE_A), 1: (0, len('{"late": true}'), ZONE_A)}


def test_what_is_sent_is_the_message_with_its_headers_and_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    async def work(service: HttpService, sender: Sender, ends: Ends) -> None:
        ends.send(sender, 1)
        await ends.wait(1)
        seen.extend(service.requests)

    monkeypatch.setenv("TEST_API_KEY", "s3cret")
    metadata = (("x-api-key", "env:TEST_API_KEY"), ("X-Team", "blue"))
    _drive(tmp_path, work, "POST /predict?v=1", metadata=metadata)
    request = seen[0]
    assert (request.verb, request.path, request.body) == ("POST", "/predict?v=1", POOL[0])
    wanted = {"x-api-key": "s3cret", "x-team": "blue", "x-request-id": f"{0:016x}", "content-type": "application/json"}
    assert request.headers.items() >= wanted.items()


@pytest.mark.parametrize(
    ("method", "status"),
    [
        ("POST /status/204", 0),
        ("POST /status/302", 2),
        ("POST /status/400", 3),
        ("POST /status/401", 16),
        ("POST /status/418", 9),
        ("POST /status/429", 8),
        ("POST /status/500", 13),
        ("POST /status/503", 14),
        ("POST /status/507", 13),
        ("POST /drop", 14),
        ("POST /half", 14),
    ],
)
def test_each_way_to_fail_has_its_code(tmp_path: Path, method: str, status: int) -> None:
    ends = _drive(tmp_path, _send_and_wait(3), method)
    assert [end[0] for end in ends.by_index.values()] == [status] * 3


def test_every_code_of_the_mapping_is_the_one_that_google_rpc_names() -> None:
    named = {1: 499, 3: 400, 4: 504, 5: 404, 7: 403, 8: 429, 10: 409, 12: 501, 13: 500, 14: 503, 16: 401}
    assert {code: code for code in named} == {code: status_of(status) for code, status in named.items()}


def test_a_service_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    ends = Ends()

    async def run() -> None:
        async with serving(HttpService()) as address:
            pass  # its port is free again
        sender = make_sender(small_spec(tmp_path, address, protocol="http", method="POST /predict"), POOL, ends.finish)
        assert await sender.connect(1.0) == 0
        ends.send(sender, 2)
        await ends.wait(2)
        await sender.close()

    _run(run())
    assert list(ends.by_index.values()) == [(14, 0, NOBODY)] * 2


def test_a_slow_answer_ends_at_the_deadline_and_its_connection_is_not_used_again(tmp_path: Path) -> None:
    async def work(service: HttpService, sender: Sender, ends: Ends) -> None:
        sent_at = time.monotonic()
        ends.send(sender, 50)
        await ends.wait(50)
        assert 0.2 <= time.monotonic() - sent_at < 1.0
        connections = service.connections
        service.gate.set()
        ends.send(sender, 50, start=50)
        await ends.wait(100)
        assert service.connections == connections + 50

    ends = _drive(tmp_path, work, "POST /wait", timeout_s=0.2)
    assert [ends.by_index[index][0] for index in range(100)] == [4] * 50 + [0] * 50


def test_open_requests_have_connections_of_their_own_and_later_ones_use_these_again(tmp_path: Path) -> None:
    async def work(service: HttpService, sender: Sender, ends: Ends) -> None:
        ends.send(sender, 100)
        await until(lambda: len(service.requests) == 100)  # all at once: none waits for another's answer
        service.gate.set()
        await ends.wait(100)
        for start in range(100, 200, 20):
            ends.send(sender, 20, start)
            await ends.wait(start + 20)
        assert service.connections == 100

    ends = _drive(tmp_path, work, "POST /wait")
    assert {end[0] for end in ends.by_index.values()} == {0}


def test_connections_that_the_service_drops_fail_what_is_open_on_them_and_nothing_else(tmp_path: Path) -> None:
    async def work(service: HttpService, sender: Sender, ends: Ends) -> None:
        ends.send(sender, 10)
        await until(lambda: len(service.requests) == 10)
        service.drop_connections()
        await ends.wait(10)
        service.gate.set()
        ends.send(sender, 10, start=10)
        await ends.wait(20)

    ends = _drive(tmp_path, work, "POST /wait")
    assert [ends.by_index[index][0] for index in range(20)] == [14] * 10 + [0] * 10


def test_nothing_is_said_of_what_was_abandoned(tmp_path: Path) -> None:
    async def work(service: HttpService, sender: Sender, ends: Ends) -> None:
        ends.send(sender, 10)
        await until(lambda: len(service.requests) == 10)
        sender.abandon()
        service.gate.set()
        await asyncio.sleep(0.1)
        closing_at = time.monotonic()
        await sender.close()
        assert time.monotonic() - closing_at < 1.0

    assert not _drive(tmp_path, work, "POST /wait", timeout_s=0.05).by_index


def test_a_method_that_is_no_http_request_is_an_error_and_not_a_failing_load(tmp_path: Path) -> None:
    async def run() -> None:
        HttpSender(small_spec(tmp_path, "127.0.0.1:eighty", method="POST /x"), POOL, Ends().finish)

    with pytest.raises(SenderError, match="is no HTTP request"):
        _run(run())


def _status_over_tls(
    folder: Path, authority: Authority, tls: Tls, *, mutual: bool = False, names: tuple[str, ...] = ()
) -> int:
    """How one request ends against a service with a certificate for `names`; -1 where the connection isn't made."""
    ends = Ends()

    async def run() -> None:
        context = authority.serving(authority.sign("server", *names), mutual=mutual)
        async with serving(HttpService(), context) as address:
            spec = small_spec(folder, address, protocol="http", method="POST /predict", tls=tls)
            sender = make_sender(spec, POOL, ends.finish)
            ends.send(sender, 1)
            await ends.wait(1)
            await sender.close()

    _run(run())
    return ends.by_index[0][0]


def test_over_tls_only_the_certificate_of_a_trusted_authority_for_this_name_is_taken(tmp_path: Path) -> None:
    authority, other = Authority(tmp_path), Authority(tmp_path, "other")
    trusted = str(authority.certificate)
    assert _status_over_tls(tmp_path, authority, Tls(ca=trusted)) == 0
    assert _status_over_tls(tmp_path, authority, Tls(ca=str(other.certificate))) == 14
    assert _status_over_tls(tmp_path, authority, Tls()) == 14  # the system does not know it
    assert _status_over_tls(tmp_path, authority, Tls(ca=trusted), names=("model.example",)) == 14
    named = Tls(ca=trusted, server_name="model.example")
    assert _status_over_tls(tmp_path, authority, named, names=("model.example",)) == 0


def test_over_mutual_tls_a_certificate_is_shown(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    mine = authority.sign("client")
    trusted = str(authority.certificate)
    shown = Tls(ca=trusted, certificate=str(mine.certificate), key=str(mine.key))
    assert _status_over_tls(tmp_path, authority, shown, mutual=True) == 0
    assert _status_over_tls(tmp_path, authority, Tls(ca=trusted), mutual=True) == 14
