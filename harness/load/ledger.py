"""Turns what a load recorded into the ledger: one row for every scheduled request, in the order of intent.

Rule: the schedule says what must be there, the stream what is. Missing rows are the generator's (status -3); whatever
contradicts the schedule or the process's own summary is counted in `gaps`, and any gap makes the evidence invalid.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa

from harness.load.recorder import BATCH_KEY, HEADER_KEY
from harness.load.schedule import Schedule, phase_starts_ns, schedule
from harness.load.spec import SEQUENCE_BITS
from harness.load.summary import read_summary
from harness.model import Status

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from harness.load.spec import LoadSpec

DIAGNOSTICS = ("drained", "cpu_share", "connections", "connected", "error")
"""What only the process itself could tell, from its summary; None where that was lost."""


class LedgerError(Exception):
    """There is no ledger to complete; the text says why."""


@dataclass(frozen=True, slots=True)
class Stream:
    """What could be read of a stream: its header, the rows of its whole batches, and how many batches are missing."""

    header: dict[str, Any]
    rows: pa.Table
    missing_batches: int


def complete(spec: LoadSpec, stream_path: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The ledger of one scenario (one row a request scheduled) and what is to be known about it.

    1. Read the stream up to its last whole batch; a killed writer loses at most its last one.
    2. Refuse it if it was written for another schedule.
    3. Put each row into the schedule's place for it; count those that have none, or whose place is taken.
    4. Leave every other place as "not sent: the generator fell behind".

    Raises LedgerError when the load never started, or was another one.
    """
    stream, plan = read_stream(stream_path), schedule(spec)
    if stream.header["digest"] != schedule(spec, stream.header["worker"], stream.header["workers"]).digest:
        raise LedgerError(f"{stream_path} was written for another schedule than {spec.scenario!r} has now")
    intended_ns = plan.intended_ns + stream.header["start_ns"]
    placed = _place(spec, intended_ns, stream.rows)
    finished = read_summary(stream_path) or {}
    unexplained = len(plan) - len(placed.places) if finished.get("finished") else 0
    summary = {
        "scheduled": len(plan),
        "recorded": len(placed.places),
        "workers": stream.header["workers"],
        "workers_lost": 0 if finished else 1,
        "finished": bool(finished.get("finished")),
        "gaps": stream.missing_batches + placed.duplicates + placed.unknown + unexplained,
        "missing_batches": stream.missing_batches,
        "duplicate_rows": placed.duplicates,
        "unknown_rows": placed.unknown,
        "schedule_digest": plan.digest,
        "phases": _phases(spec, stream.header["start_ns"]),
    }
    table = _table(spec, plan, stream.header, placed)
    return table, summary | {key: finished.get(key) for key in DIAGNOSTICS}


def read_stream(path: Path) -> Stream:
    """The stream at `path` up to its last whole batch. Raises LedgerError when not even its header is there."""
    try:
        source = pa.OSFile(str(path), "rb")
        reader = pa.ipc.open_stream(source)
        header = json.loads((reader.schema.metadata or {})[HEADER_KEY])
    except (OSError, pa.ArrowInvalid, KeyError) as error:
        raise LedgerError(f"{path} has no header of a ledger; the load never started ({error})") from error
    batches, numbers = [], set()
    with source:
        while (item := _next_batch(reader)) is not None:
            batches.append(item.batch)
            numbers.add(int(item.custom_metadata[BATCH_KEY]))
    missing = max(numbers, default=-1) + 1 - len(numbers)
    return Stream(header, pa.Table.from_batches(batches, reader.schema), missing)


def _next_batch(reader: Any) -> Any:
    """The next whole batch with its metadata, or None where the stream ends or is cut off."""
    try:
        return reader.read_next_batch_with_custom_metadata()
    except (StopIteration, OSError, pa.ArrowInvalid):
        return None


@dataclass(frozen=True, slots=True)
class _Placed:
    """Rows of a stream, each with its place in the schedule, and how many had to be left out."""

    rows: pa.Table
    places: NDArray[np.int64]
    duplicates: int
    unknown: int


def _place(spec: LoadSpec, intended_ns: NDArray[np.int64], rows: pa.Table) -> _Placed:
    ids = rows["request_id"].to_numpy()
    place = (ids & np.uint64((1 << SEQUENCE_BITS) - 1)).astype(np.int64)
    known = (ids >> np.uint64(SEQUENCE_BITS) == spec.scenario_index) & (place < len(intended_ns))
    known[known] = intended_ns[place[known]] == rows["intended_ns"].to_numpy()[known]
    candidates = np.flatnonzero(known)
    places, first = np.unique(place[candidates], return_index=True)
    used = rows.take(pa.array(candidates[first]))
    return _Placed(used, places, len(candidates) - len(places), len(ids) - len(candidates))


def _table(spec: LoadSpec, plan: Schedule, header: Mapping[str, Any], placed: _Placed) -> pd.DataFrame:
    """The columns that come from the schedule and the stream; a place without a row gets what an unsent one has."""
    size, names = len(plan), [phase.name for phase in spec.phases]

    def filled(name: str, default: Any, dtype: Any) -> NDArray[Any]:
        column = np.full(size, default, dtype)
        column[placed.places] = placed.rows[name].to_numpy()
        return column

    def nullable(name: str) -> pd.api.extensions.ExtensionArray:
        values, missing = np.zeros(size, np.int64), np.ones(size, np.bool_)
        values[placed.places] = placed.rows[name].fill_null(0).to_numpy()
        missing[placed.places] = placed.rows[name].is_null().to_numpy()
        return pd.arrays.IntegerArray(values, missing)

    return pd.DataFrame(
        {
            "request_id": plan.sequence.astype(np.uint64) | np.uint64(spec.request_id(0)),
            "scenario": pd.Categorical([spec.scenario]).repeat(size),
            "phase": pd.Categorical(np.array(names, object)[plan.phase], categories=names),
            "intended_ns": plan.intended_ns + header["start_ns"],
            "sent_ns": nullable("sent_ns"),
            "done_ns": nullable("done_ns"),
            "status": filled("status", Status.GENERATOR_LATE, np.int16),
            "zone": pd.Categorical(filled("zone", "", object)),
            "model_version": pd.Categorical(filled("model_version", "", object)),
            "worker": np.full(size, header["worker"], np.int16),
            "response_bytes": filled("response_bytes", 0, np.int32),
        }
    )


def _phases(spec: LoadSpec, start_ns: int) -> list[dict[str, Any]]:
    """The phases with the instants, on the run's clock, between which their requests were intended."""
    edges = [start_ns + edge for edge in phase_starts_ns(spec)]
    return [
        {
            "name": phase.name,
            "rate_rps": phase.rate_rps,
            "end_rate_rps": phase.end_rate_rps,
            "duration_s": phase.duration_s,
            "start_ns": start,
            "end_ns": end,
        }
        for phase, start, end in zip(spec.phases, edges[:-1], edges[1:], strict=True)
    ]
