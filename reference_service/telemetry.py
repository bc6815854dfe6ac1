"""What the service tells about itself: its log, and a record of each prediction.

Rule: the log is JSON on stderr, one event a line, and never a line per request. The prediction log is written in
batches, so that a request costs one append to a list; a disk that fails costs the records, never an answer.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, BinaryIO, Final

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

FLUSH_INTERVAL_S: Final = 0.2
"""How long a prediction may wait in memory: what a SIGKILL can lose."""
PROBABILITY_DIGITS: Final = 7
"""FP32 carries no more."""

_LOGGER = logging.getLogger("reference_service")
_compact_json = json.JSONEncoder(separators=(",", ":")).encode


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


class PredictionLog:
    """A line for each inference answered; without a path it records nothing."""

    def __init__(self, path: Path | None, model_version: str, zone: str) -> None:
        self._file: BinaryIO | None = path.open("ab", buffering=0) if path else None
        self._constant = {"model_version": model_version, "zone": zone}
        self._lines: list[str] = []

    def add(self, request_id: str, batch: NDArray[Any], outputs: NDArray[Any]) -> None:
        """Remember one answer; about 5 µs."""
        if self._file is None:
            return
        record = {
            "request_id": request_id,
            **self._constant,
            "row_digest": hashlib.sha256(batch.data).hexdigest()[:16],
            "outputs": [round(value, PROBABILITY_DIGITS) for value in outputs.ravel().tolist()],
        }
        self._lines.append(_compact_json(record))

    def flush(self) -> None:
        """Write what is remembered, whole lines in one write."""
        if self._file is None or not self._lines:
            return
        lines, self._lines = self._lines, []
        try:
            self._file.write(("\n".join(lines) + "\n").encode())
        except OSError as error:
            log_failure("prediction_log_failed", error, lost=len(lines))

    async def flush_forever(self) -> None:
        """Flush again and again until cancelled."""
        while True:
            await asyncio.sleep(FLUSH_INTERVAL_S)
            self.flush()

    def close(self) -> None:
        """Flush, and let go of the file."""
        self.flush()
        if self._file is not None:
            self._file.close()
