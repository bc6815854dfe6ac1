"""A client's calls are counted for a day, each client's for itself, over restarts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from reference_service.auth.caller import Caller
from reference_service.auth.quota import DailyQuota
from reference_service.errors import QuotaError, StartError

if TYPE_CHECKING:
    from pathlib import Path

A, B = (Caller(name, frozenset({"infer"}), "key") for name in "ab")
NOON_S = 86_400 * 20_000 + 43_200.0


def test_each_client_has_its_share_and_is_told_when_the_day_ends() -> None:
    quota = DailyQuota(2, {"b": 1}, None, lambda: NOON_S)
    for caller in (A, A, B):
        quota.take(caller)
    for caller in (A, B):
        with pytest.raises(QuotaError) as caught:
            quota.take(caller)
        assert caught.value.retry_after_s == 43_200
    assert quota.used == {"a": 2, "b": 1}


def test_a_new_day_begins_at_midnight() -> None:
    now = [NOON_S]
    quota = DailyQuota(1, {}, None, lambda: now[0])
    quota.take(A)
    now[0] += 43_200
    quota.take(A)
    assert quota.used == {"a": 1}


def test_a_restart_on_the_same_day_forgets_nothing_and_on_the_next_all(tmp_path: Path) -> None:
    state = tmp_path / "quota.json"
    first = DailyQuota(1, {}, state, lambda: NOON_S)
    first.take(A)
    first.save()
    with pytest.raises(QuotaError):
        DailyQuota(1, {}, state, lambda: NOON_S + 60).take(A)
    DailyQuota(1, {}, state, lambda: NOON_S + 86_400).take(A)
    state.write_text("{")
    with pytest.raises(StartError, match=r"quota.json can't be read"):
        DailyQuota(1, {}, state, lambda: NOON_S)
