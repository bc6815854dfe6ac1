"""Results reach a real HTTP server, whatever it answers first; and when they don't, that is said, but no address is."""

from __future__ import annotations

import datetime as dt
import email.utils
import json
import time
from pathlib import Path

import pytest

from harness.notices import Notice
from harness.notify import NOTIFICATIONS, Delivery, keep, notify
from harness.plan_notify import Notify
from tests.harness.test_notices import notice
from tests.harness.webhook import Webhook, drip, never

OK, BUSY, BROKEN = (200, {}), (429, {"retry-after": "1"}), (500, {})
SHORT_S = 2.0


def send(hook: Webhook | str, limit_s: float = 10.0, **fields: object) -> Delivery:
    url = hook.url if isinstance(hook, Webhook) else hook
    (delivery,) = notify([Notify(url=url, on=("always",), **fields)], notice(), Path, limit_s)  # type: ignore[arg-type]
    return delivery


@pytest.mark.parametrize("status", [200, 201, 204])
def test_what_is_taken_at_once_is_sent_once(status: int) -> None:
    with Webhook((status, {})) as hook:
        assert send(hook) == Delivery("127.0.0.1", "json", 1, "")
    assert len(hook.received) == 1
    assert hook.received[0]["headline"] == notice().headline


def test_a_server_error_is_followed_by_another_attempt() -> None:
    with Webhook(BROKEN, OK) as hook:
        assert send(hook) == Delivery("127.0.0.1", "json", 2, "")
    assert hook.received[0] == hook.received[1]


def test_a_webhook_that_is_busy_is_left_alone_for_as_long_as_it_asks() -> None:
    with Webhook((429, {"retry-after": "2"}), OK) as hook:
        assert send(hook).error == ""
    first, second = hook.at_s
    assert second - first >= 2


def test_a_date_to_retry_after_is_kept_to() -> None:
    until = dt.datetime.now(tz=dt.UTC) + dt.timedelta(seconds=3)
    with Webhook((503, {"retry-after": email.utils.format_datetime(until, usegmt=True)}), OK) as hook:
        assert send(hook).error == ""
    first, second = hook.at_s
    assert second - first >= 1.5, "the date has whole seconds"


def test_a_pause_that_is_too_long_ends_it_at_once() -> None:
    with Webhook((429, {"retry-after": "3600"})) as hook:
        began = time.monotonic()
        assert send(hook) == Delivery("127.0.0.1", "json", 1, "it answered 429")
    assert time.monotonic() - began < 1


@pytest.mark.parametrize("status", [301, 400, 401, 404, 410])
def test_what_can_never_succeed_is_tried_once_and_followed_nowhere(status: int) -> None:
    with Webhook((status, {"location": "http://127.0.0.1:1/"})) as hook:
        assert send(hook) == Delivery("127.0.0.1", "json", 1, f"it answered {status}")


@pytest.mark.parametrize("answer", [never, drip])
def test_one_that_never_answers_to_the_end_holds_up_nobody(answer: object) -> None:
    with Webhook(answer) as hook, Webhook(OK) as other:
        targets = [Notify(url=hook.url, on=("always",)), Notify(url=other.url, on=("always",))]
        began = time.monotonic()
        slow, quick = notify(targets, notice(), Path, SHORT_S)
        assert time.monotonic() - began < SHORT_S + 2
    assert slow.error
    assert not quick.error


def test_one_that_is_not_there_is_tried_until_the_time_is_up() -> None:
    with Webhook(OK) as hook:
        url = hook.url
    delivery = send(url, SHORT_S)
    assert delivery.attempts >= 2
    assert delivery.error == "ConnectError"


@pytest.mark.parametrize(
    "wrong", ["", "http://example.com/x", "not an address", "https://a b/", "https://[", "ftp://x/"]
)
def test_a_secret_that_is_no_address_is_said_without_it(wrong: str, tmp_path: Path) -> None:
    (tmp_path / "hook").write_text(wrong)
    (delivery,) = notify([Notify(url="file:hook", on=("always",))], notice(), tmp_path.joinpath, SHORT_S)
    assert delivery.to == "file:hook"
    assert delivery.error
    assert not wrong or wrong not in delivery.error


def test_an_address_by_reference_is_read_beside_the_plan_and_never_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Webhook((404, {})) as hook:
        (tmp_path / "hook").write_text(hook.url + "\n")
        monkeypatch.setenv("HOOK", hook.url)
        targets = [Notify(url=url, on=("always",), format="slack") for url in ("file:hook", "env:HOOK", "env:NONE")]
        deliveries = notify(targets, notice(), tmp_path.joinpath, SHORT_S)
    keep(tmp_path, deliveries)
    kept = (tmp_path / NOTIFICATIONS).read_text()
    assert [item["error"] for item in json.loads(kept)[:2]] == ["it answered 404"] * 2
    assert "NONE" in deliveries[2].error
    assert "s3cret" not in kept


def test_only_those_whom_it_concerns_are_told() -> None:
    go, stop = (notice(decision=decision) for decision in ("GO", "NO-GO"))
    told = {
        on: [item.concerns(Notify(url="https://x", on=(on,))) for item in (go, stop)]
        for on in ("go", "no-go", "always")
    }  # type: ignore[arg-type]
    assert told == {"go": [True, False], "no-go": [False, True], "always": [True, True]}
    assert notify([Notify(url="https://x")], go, Path) == []
    assert isinstance(go, Notice)
