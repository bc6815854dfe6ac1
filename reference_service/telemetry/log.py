"""The service's log: JSON on stderr, one event a line.

Rule: never a line per request. Refusals are told once a second for each reason, with one request as example and how
many there were; no line holds a credential or a tensor.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

REFUSALS_INTERVAL_S: Final = 1.0

_LOGGER = logging.getLogger("reference_service")


class JsonFormatter(logging.Formatter):
    """One JSON object a line, also for what libraries log."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line: time, level, event, then the event's own fields."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage() if record.name == _LOGGER.name else record.name,
            **getattr(record, "fields", {"message": record.getMessage()}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def log_to_stderr() -> None:
    """Send every log record of this process to stderr as JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


def log_event(event: str, **fields: Any) -> None:
    """Log one event of the service's life."""
    _LOGGER.info(event, extra={"fields": fields})


def log_failure(event: str, error: BaseException, **fields: Any) -> None:
    """Log an error that nobody foresaw, with its traceback."""
    _LOGGER.error(event, exc_info=error, extra={"fields": {"error": str(error), **fields}})


class RefusalLog:
    """Tells of refusals, the first of each reason at once, then one line a second; `clock_s` is any steady clock."""

    def __init__(self, clock_s: Callable[[], float]) -> None:
        self._clock_s = clock_s
        self._next_s: dict[str, float] = {}
        self._untold: dict[str, int] = {}

    def add(self, reason: str, request_id: str) -> None:
        """Count a refusal, and tell of it unless its reason was told of within a second."""
        now_s = self._clock_s()
        if now_s < self._next_s.get(reason, now_s):
            self._untold[reason] = self._untold.get(reason, 0) + 1
            return
        self._next_s[reason] = now_s + REFUSALS_INTERVAL_S
        log_event("refused", reason=reason, request_id=request_id, untold_before=self._untold.pop(reason, 0))
