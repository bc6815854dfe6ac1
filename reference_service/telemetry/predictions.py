"""A record of the predictions, in Parquet: what was asked, what was answered, by which version.

Rule: bounded, sampled, and off the hot path. A call leaves references in a list; a thread makes whole files of them,
each written under another name and renamed, so that whatever kills the process, every file there is can be read. What
does not fit, or can't be written, is dropped and counted; it never costs an answer.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import re
import time
import zlib
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from reference_service.telemetry.log import log_failure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from reference_service.telemetry.drift import Drift

FLUSH_INTERVAL_S: Final = 0.25
"""How long a prediction may wait in memory: what a SIGKILL can lose."""
WAITING_MAX: Final = 10_000
"""Predictions in memory: two seconds of what one process can answer. Beyond it the disk is too slow."""
PARTS_MAX: Final = 4_000
"""Files kept: the oldest leave first. At four a second and under load, a quarter of an hour."""
_SHARES: Final = 1 << 32
_is_part = re.compile(r"part-\d{8}\.parquet").fullmatch
SCHEMA: Final = pa.schema(
    [
        ("request_id", pa.string()),
        ("time_ns", pa.int64()),
        ("model_version", pa.string()),
        ("zone", pa.string()),
        ("row_digest", pa.string()),
        ("features", pa.list_(pa.float32())),
        ("outputs", pa.list_(pa.float32())),
    ]
)
"""`time_ns` is Unix time; `features` and `outputs` are all rows of the request, row after row."""


class _Prediction(NamedTuple):
    request_id: str
    time_ns: int
    version: str
    batch: NDArray[Any]
    outputs: NDArray[Any]


class PredictionLog:
    """Files of predictions in `directory`; without one it records nothing.

    `ratio` of the requests are recorded, chosen by their id alone, so that two versions record the same ones. `drifts`
    counts what is recorded, by version, also where there is no directory.
    """

    def __init__(
        self, directory: Path | None, zone: str, ratio: float = 1.0, drifts: Mapping[str, Drift] | None = None
    ) -> None:
        if directory is not None:
            directory.mkdir(parents=True, exist_ok=True)
        self.dropped = 0
        self._directory = directory
        self._drifts = drifts
        self._records = directory is not None or drifts is not None
        self._zone = zone
        self._share = round(ratio * _SHARES)
        self._waiting: list[_Prediction] = []
        self._kept = _parts(directory) if directory else []
        last = int(self._kept[-1].stem.removeprefix("part-")) if self._kept else 0
        self._numbers = itertools.count(last + 1)

    def add(self, request_id: str, version: str, batch: NDArray[Any], outputs: NDArray[Any]) -> None:
        """Remember one answer, under a microsecond; neither array may change afterwards."""
        if not self._records or zlib.crc32(request_id.encode()) >= self._share:
            return
        if len(self._waiting) >= WAITING_MAX:
            self.dropped += 1
            return
        self._waiting.append(_Prediction(request_id, time.time_ns(), version, batch, outputs))

    def flush(self) -> None:
        """Write what is remembered into a file of its own."""
        if not self._waiting:
            return
        taken, self._waiting = self._waiting, []
        self._write(taken)

    async def flush_forever(self) -> None:
        """Flush again and again until cancelled, on a thread."""
        while True:
            await asyncio.sleep(FLUSH_INTERVAL_S)
            if self._waiting:
                taken, self._waiting = self._waiting, []
                await asyncio.shield(asyncio.to_thread(self._write, taken))

    def close(self) -> None:
        """Write what is left."""
        self.flush()

    def _write(self, taken: Sequence[_Prediction]) -> None:
        """Whatever goes wrong with these, the next ones are tried."""
        try:
            self._count(taken)
            if self._directory is not None:
                self._write_part(self._directory, taken)
        except Exception as error:  # noqa: BLE001 - records are lost, no answer is
            self.dropped += len(taken)
            log_failure("prediction_log_failed", error, lost=len(taken))

    def _write_part(self, directory: Path, taken: Sequence[_Prediction]) -> None:
        part = directory / f"part-{next(self._numbers):08d}.parquet"
        fresh = part.with_suffix(".new")
        try:
            pq.write_table(_table(taken, self._zone), fresh, compression="zstd")
            fresh.replace(part)
        except BaseException:
            fresh.unlink(missing_ok=True)
            raise
        self._kept.append(part)
        while len(self._kept) > PARTS_MAX:
            self._kept.pop(0).unlink(missing_ok=True)

    def _count(self, taken: Sequence[_Prediction]) -> None:
        for version, drift in list((self._drifts or {}).items()):  # another version may be loading
            rows = [item for item in taken if item.version == version]
            if rows:
                scores = np.concatenate([item.outputs for item in rows])[:, 0]
                drift.add(np.concatenate([item.batch for item in rows]), scores)


def _parts(directory: Path) -> list[Path]:
    """The whole files of a directory, in their order; what a killed process left half-written is removed."""
    for half in directory.glob("part-*.new"):
        half.unlink(missing_ok=True)
    return sorted(path for path in directory.glob("part-*.parquet") if _is_part(path.name))


def _table(taken: Sequence[_Prediction], zone: str) -> pa.Table:
    columns = [
        [item.request_id for item in taken],
        [item.time_ns for item in taken],
        [item.version for item in taken],
        [zone] * len(taken),
        [hashlib.sha256(item.batch.tobytes()).hexdigest()[:16] for item in taken],
        [np.asarray(item.batch, np.float32).ravel() for item in taken],
        [np.asarray(item.outputs, np.float32).ravel() for item in taken],
    ]
    arrays = [pa.array(column, kind.type) for column, kind in zip(columns, SCHEMA, strict=True)]
    return pa.Table.from_arrays(arrays, schema=SCHEMA)
