"""Turns what a load recorded into the ledger: one row for every scheduled request, in the order of intent.

Rule: the schedule says what must be there, the stream what is. Missing rows are the generator's (status -3); whatever
contradicts the schedule or the process's own summary is counted in `gaps`, and any gap makes the evidence invalid.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa

from harness.load.schedule import Schedule, phase_starts_ns, schedule
from harness.load.spec import SEQUENCE_BITS
from harness.load.streams import LedgerError, Part, read_part
from harness.model import Status

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from harness.load.spec import LoadSpec


def complete(spec: LoadSpec, stream_path: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The ledger of one scenario (one row a request scheduled) and what is to be known about it.

    1. Read every worker's stream up to its last whole batch; a killed writer loses at most its last one.
    2. Refuse one that was written for another schedule.
    3. Put each row into the schedule's place for it; count those that have none, or whose place is taken.
    4. Leave every other place as "not sent: the generator fell behind".

    `stream_path` is where `spec.ledger` lies now. Raises LedgerError when the load never started, or was another one.
    """
    spec = dataclasses.replace(spec, ledger=str(stream_path))
    plan = schedule(spec)
    parts = [read_part(spec, worker) for worker in range(spec.workers)]
    streams = [part.stream for part in parts if part.stream is not None]
    if not streams:
        raise LedgerError("; ".join(part.error for part in parts))
    start_ns = streams[0].header["start_ns"]
    rows = pa.concat_tables(stream.rows for stream in streams)
    placed = _place(spec, plan.intended_ns + start_ns, rows)
    table = _table(spec, plan, start_ns, placed)
    return table, _facts(parts, placed, len(plan)) | {
        "schedule_digest": plan.digest,
        "phases": _phases(spec, start_ns),
    }


def _facts(parts: Sequence[Part], placed: _Placed, scheduled: int) -> dict[str, Any]:
    """What the judge is told of how a scenario was recorded."""
    missing, twice = sum(part.missing_batches for part in parts), sum(part.duplicate_batches for part in parts)
    finished = all(part.summary.get("finished") for part in parts)
    unexplained = scheduled - len(placed.places) if finished else 0
    errors = "; ".join(part.error for part in parts if part.error)
    shares = [part.summary["cpu_share"] for part in parts if part.summary.get("cpu_share") is not None]
    return {
        "scheduled": scheduled,
        "recorded": len(placed.places),
        "workers": len(parts),
        "workers_lost": sum(not part.summary for part in parts),
        "finished": finished,
        "gaps": missing + twice + placed.duplicates + placed.unknown + unexplained,
        "missing_batches": missing,
        "duplicate_batches": twice,
        "duplicate_rows": placed.duplicates,
        "unknown_rows": placed.unknown,
        "drained": all(part.summary.get("drained") for part in parts) if all(part.summary for part in parts) else None,
        "cpu_share": max(shares, default=None),
        "connections": sum(part.summary.get("connections") or 0 for part in parts),
        "connected": sum(part.summary.get("connected") or 0 for part in parts),
        "clock_bound_ns": max((part.summary.get("clock_bound_ns") or 0 for part in parts), default=0),
        "error": errors or None,
        "per_worker": [part.facts() for part in parts],
    }


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


def _table(spec: LoadSpec, plan: Schedule, start_ns: int, placed: _Placed) -> pd.DataFrame:
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

    def named(name: str) -> pd.Categorical:
        encoded = placed.rows[name].combine_chunks().dictionary_encode()
        categories = sorted({"", *encoded.dictionary.to_pylist()})
        codes = np.full(size, categories.index(""), np.int32)
        found = np.array([categories.index(text) for text in encoded.dictionary.to_pylist()], np.int32)
        codes[placed.places] = found[encoded.indices.to_numpy()] if len(found) else 0
        return pd.Categorical.from_codes(codes, categories=pd.Index(categories))

    return pd.DataFrame(
        {
            "request_id": plan.sequence.astype(np.uint64) | np.uint64(spec.request_id(0)),
            "scenario": pd.Categorical.from_codes(np.zeros(size, np.int8), categories=pd.Index([spec.scenario])),
            "phase": pd.Categorical.from_codes(plan.phase, categories=pd.Index(names)),
            "intended_ns": plan.intended_ns + start_ns,
            "sent_ns": nullable("sent_ns"),
            "done_ns": nullable("done_ns"),
            "status": filled("status", Status.GENERATOR_LATE, np.int16),
            "zone": named("zone"),
            "model_version": named("model_version"),
            "worker": (plan.sequence % spec.workers).astype(np.int16),
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
