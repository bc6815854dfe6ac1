"""How much a client may ask for in a day, so that no key is an open bill.

Rule: counted in this process, by verified client, from midnight to midnight UTC; a service of n processes therefore
lets a client have n times as much. The state file survives a restart; a crash forgets at most what came since it was
last written, which is the lesser harm: refusing everyone because a disk is full would be an outage.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from reference_service.errors import QuotaError, StartError
from reference_service.telemetry import log_failure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from reference_service.auth.caller import Caller

_DAY_S: Final = 86_400


class DailyQuota:
    """`per_day` calls for each client, or what `by_client` says. `now_s` is the wall clock, in seconds since 1970.

    Raises StartError if there is a state file that can't be read: taking it for empty would give everyone a new day.
    """

    def __init__(
        self, per_day: int, by_client: Mapping[str, int], state: Path | None, now_s: Callable[[], float]
    ) -> None:
        self._per_day = per_day
        self._by_client = by_client
        self._state = state
        self._now_s = now_s
        self._day = 0
        self.used: dict[str, int] = {}
        self._ends_s = 0.0
        self._begin_day()
        self.used = self._remembered()

    def take(self, caller: Caller) -> None:
        """Count one call of `caller`; raises QuotaError, and counts nothing, once its share of the day is used."""
        if self._now_s() >= self._ends_s:
            self._begin_day()
        used = self.used.get(caller.client, 0)
        if used >= self._by_client.get(caller.client, self._per_day):
            raise QuotaError("the calls of today are used up", retry_after_s=self._ends_s - self._now_s())
        self.used[caller.client] = used + 1

    def save(self) -> None:
        """Write the state file, whole or not at all; a disk that fails is logged."""
        if self._state is None:
            return
        fresh = self._state.with_name(self._state.name + ".new")
        try:
            fresh.write_text(json.dumps({"day": self._day, "used": self.used}))
            fresh.replace(self._state)
        except OSError as error:
            log_failure("quota_not_saved", error)

    def _begin_day(self) -> None:
        self._day = int(self._now_s() // _DAY_S)
        self._ends_s = (self._day + 1) * float(_DAY_S)
        self.used = {}

    def _remembered(self) -> dict[str, int]:
        if self._state is None or not self._state.exists():
            return {}
        try:
            document = json.loads(self._state.read_text())
            used = {str(client): int(count) for client, count in document["used"].items()}
            return used if document["day"] == self._day else {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise StartError(f"the quota's state {self._state} can't be read: restore it, or remove it") from error
