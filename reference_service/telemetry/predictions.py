"""A record of each prediction.

Rule: written in batches, so that a request costs one append to a list; a disk that fails costs the records, never an
answer.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from reference_service.telemetry.log import log_failure

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

FLUSH_INTERVAL_S: Final = 0.2
"""How long a prediction may wait in memory: what a SIGKILL can lose."""
PROBABILITY_DIGITS: Final = 7
"""FP32 carries no more."""

_compact_json = json.JSONEncoder(separators=(",", ":")).encode


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
