"""Sends a result to the webhooks that a Plan names, and keeps what became of it beside the run.

Rule: a result stands whether or not anybody could be told, so nothing here raises or changes an exit code. An address
may be a secret: only its host is ever said. Each delivery has one limit on time, retries included.
"""

from __future__ import annotations

import datetime as dt
import email.utils
import threading
import urllib.parse
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import httpx
import tenacity

from harness.notices import Notice, body
from harness.plan_notify import require_sendable
from harness.plan_target import Reference, secret_reference
from harness.secret import SecretError, resolve
from harness.store import canonical_json, write_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from harness.plan_notify import Notify

LIMIT_S = 30.0
"""For one webhook in all: a result is told within half a minute, or not."""
ATTEMPT_LIMIT_S = 5.0
ATTEMPTS_MAX = 6
AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses after which the same request may succeed (RFC 9110, RFC 8470, RFC 6585)."""
NOTIFICATIONS = "notifications.json"


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of one notification. `to` is the webhook without what could be secret; once there, `error` is ""."""

    to: str
    format: str
    attempts: int
    error: str


class _RefusedError(Exception):
    """The webhook answered, but not with a 2xx status; `pause_s` is how long it asked us to wait."""

    def __init__(self, status: int, pause_s: float) -> None:
        super().__init__(f"it answered {status}")
        self.status = status
        self.pause_s = pause_s


def notify(
    targets: Sequence[Notify], notice: Notice, seen_from: Callable[[str], Path], limit_s: float = LIMIT_S
) -> list[Delivery]:
    """Tell every webhook that wants to know, all at once; returns what became of each within `limit_s` and a second.

    `seen_from` finds a path that the Plan names (`LoadedPlan.resolve`).
    """
    wanted = [target for target in targets if notice.concerns(target)]
    done: dict[int, Delivery] = {}

    def deliver(number: int, target: Notify) -> None:
        done[number] = _deliver(target, notice, seen_from, limit_s)

    threads = [threading.Thread(target=deliver, args=item, daemon=True) for item in enumerate(wanted)]
    for thread in threads:
        thread.start()
    for thread in threads:  # a peer that answers a byte now and then must not hold up anybody
        thread.join(limit_s + 1.0)
    late = f"no answer within {limit_s:g} s"
    return [done.get(number, Delivery(_said(item), item.format, 1, late)) for number, item in enumerate(wanted)]


def keep(folder: Path, deliveries: Sequence[Delivery]) -> None:
    """Write what became of the notifications into the run's folder; it is no evidence."""
    write_whole(folder / NOTIFICATIONS, canonical_json([asdict(item) for item in deliveries]))


def _deliver(target: Notify, notice: Notice, seen_from: Callable[[str], Path], limit_s: float) -> Delivery:
    attempts, error = 0, ""
    try:
        url = _address(target.url, seen_from)
        with httpx.Client(timeout=min(ATTEMPT_LIMIT_S, limit_s)) as client:
            for attempt in _retrying(limit_s):
                with attempt:
                    attempts += 1
                    _post(client, url, body(notice, target.format))
    except (SecretError, ValueError, _RefusedError) as failure:
        error = str(failure)
    except (httpx.HTTPError, httpx.InvalidURL) as failure:
        error = type(failure).__name__  # its text may hold the address
    return Delivery(_said(target), target.format, attempts, error)


def _post(client: httpx.Client, url: str, document: dict[str, object]) -> None:
    """One attempt. Raises _RefusedError, httpx.HTTPError."""
    with client.stream("POST", url, json=document) as answer:
        if not answer.is_success:
            raise _RefusedError(answer.status_code, _pause_s(answer.headers.get("retry-after", "")))


def _retrying(limit_s: float) -> tenacity.Retrying:
    return tenacity.Retrying(
        retry=tenacity.retry_if_exception(_may_succeed),
        wait=_wait_s,
        stop=tenacity.stop_before_delay(limit_s) | tenacity.stop_after_attempt(ATTEMPTS_MAX),
        reraise=True,
    )


_BACKOFF = tenacity.wait_exponential(multiplier=0.5, max=8.0) + tenacity.wait_random(0, 0.5)


def _wait_s(state: tenacity.RetryCallState) -> float:
    """As long as the webhook asked, and at least our own growing pause."""
    error = state.outcome.exception() if state.outcome else None
    return max(_BACKOFF(state), error.pause_s if isinstance(error, _RefusedError) else 0.0)


def _may_succeed(error: BaseException) -> bool:
    if isinstance(error, _RefusedError):
        return error.status in AGAIN
    return isinstance(error, httpx.TransportError)


def _pause_s(header: str) -> float:
    """Seconds that Retry-After asks for, as a number or as a date (RFC 9110, 10.2.3); 0 when it can't be read."""
    if header.isdecimal():
        return float(header)
    try:
        until = email.utils.parsedate_to_datetime(header)
    except ValueError:
        return 0.0
    aware = until if until.tzinfo else until.replace(tzinfo=dt.UTC)
    return max(0.0, (aware - dt.datetime.now(tz=dt.UTC)).total_seconds())


def _address(url: str, seen_from: Callable[[str], Path]) -> str:
    """The address itself. Raises SecretError, ValueError; neither says it."""
    match secret_reference(url):
        case Reference(before, "file", path):
            url = resolve(Reference(before, "file", str(seen_from(path))))
        case Reference() as reference:
            url = resolve(reference)
        case _:
            return url
    require_sendable(url)
    return url


def _said(target: Notify) -> str:
    """The webhook in words that hold no secret: its reference, or its host."""
    return target.url if secret_reference(target.url) else str(urllib.parse.urlsplit(target.url).hostname)
