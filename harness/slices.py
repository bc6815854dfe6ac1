"""Reads the ledger and the timeline for gates: slices by scenario, phase, zone and version.

Rule: pure, and suspicious: a column that is missing, empty where it must not be, or impossible raises, which the judge
turns into UNKNOWN. Slices are taken on `intended_ns`; response time is done − intended. Rows that the
generator never sent in time (status −3) are the generator's: `served` leaves them out, and validity limits them.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.ledger_columns import columns
from harness.model import Evidence, Status

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from harness.stats import Counts, Reals

SECOND_NS = 1_000_000_000
MS_NS = 1_000_000
BLOCKS_MIN = 20
"""A phase shorter than this many seconds is cut into this many blocks instead of seconds."""
SETTLE_S = 5.0
"""How long after a fault was removed its window ends: the time that recovery must also last."""

Mask = NDArray[np.bool_]
Rows = Mask | NDArray[np.int64] | slice
"""Which rows: where a mask holds, these places in this order, or a stretch."""


@dataclass(frozen=True)
class Requests:
    """Columns of the ledger, one element a request; `sent_ns` and `done_ns` are NaN where it never happened.

    In order of `request_id`, so the rows of a phase, and those of a scenario, lie together and are taken without a
    copy. Names are categories, because ten million strings take minutes and gigabytes where numbers take neither.
    """

    request_id: NDArray[np.uint64]
    scenario: pd.Categorical
    phase: pd.Categorical
    intended_ns: Reals
    sent_ns: Reals
    done_ns: Reals
    status: NDArray[np.signedinteger[Any]]
    zone: pd.Categorical
    model_version: pd.Categorical

    def __len__(self) -> int:
        return len(self.status)

    def where(self, rows: Rows) -> Requests:
        """The rows asked for."""
        if isinstance(rows, np.ndarray) and rows.dtype == np.bool_ and rows.all():
            return self
        return Requests(*(getattr(self, item.name)[rows] for item in fields(self)))

    def of(self, scenario: str, phase: str | None = None) -> Requests:
        """The rows of a scenario, or of one phase of it."""
        return self.where(self.place(scenario, None if phase is None else [phase]))

    def place(self, scenario: str, phases: Collection[str] | None = None) -> Mask | slice:
        """Where the rows of a scenario lie, or of some phases of it: a stretch whenever they lie together."""
        starts = self._edges[:-1]
        wanted = np.asarray(self.scenario[starts] == scenario)
        if phases is not None:
            wanted &= self.phase[starts].isin(list(phases))
        runs = np.flatnonzero(wanted)
        if not len(runs):
            return slice(0, 0)
        if runs[-1] - runs[0] < len(runs):
            return slice(int(self._edges[runs[0]]), int(self._edges[runs[-1] + 1]))
        return np.repeat(wanted, np.diff(self._edges))

    @cached_property
    def _edges(self) -> NDArray[np.int64]:
        """Where each run of rows of one phase starts, and where the last one ends."""
        codes = (self.scenario.codes, self.phase.codes)
        changes = np.any([code[1:] != code[:-1] for code in codes], axis=0)
        return np.concatenate(([0], np.flatnonzero(changes) + 1, [len(self)])) if len(self) else np.zeros(1, np.int64)

    def served(self) -> Requests:
        """The rows that speak about the service."""
        return self.where(self.speak_of_the_service())

    def speak_of_the_service(self) -> Mask:
        """All rows but those the generator failed to send."""
        return np.asarray(self.status != Status.GENERATOR_LATE)

    def answered(self) -> Mask:
        """Where a good answer came."""
        return np.asarray((self.status == Status.OK) & np.isfinite(self.done_ns))

    def response_ms(self) -> Reals:
        """Response time; infinite where no good answer came."""
        times_ms = self.done_ns - self.intended_ns
        times_ms /= MS_NS
        times_ms[~self.answered()] = np.inf
        return times_ms

    def phases(self) -> list[tuple[str, str]]:
        """Every (scenario, phase) that has rows."""
        starts = self._edges[:-1]
        pairs = pd.DataFrame({"scenario": self.scenario[starts], "phase": self.phase[starts]}).drop_duplicates()
        return sorted((str(scenario), str(phase)) for scenario, phase in pairs.itertuples(index=False))


def requests(evidence: Evidence) -> Requests:
    """The whole ledger, in order of `request_id`; raises ValueError when it can't be one.

    A ledger that was read before (see `read_once`) is given as it is.
    """
    table = evidence.tables["requests"]
    return table if isinstance(table, Requests) else _read(table)


def read_once(evidence: Evidence) -> Evidence:
    """The same evidence with its ledger read, so that `requests` need not do it again; raises as `requests` does."""
    return replace(evidence, tables={**evidence.tables, "requests": requests(evidence)})


def _read(table: pd.DataFrame) -> Requests:
    found = Requests(**columns(table))
    if np.any(found.done_ns < found.intended_ns):
        raise ValueError("the ledger has an answer from before its request was due")
    if np.all(found.request_id[1:] > found.request_id[:-1]):
        return found
    order = np.argsort(found.request_id, kind="stable")  # one order for equal content, whatever the rows' order was
    found = found.where(np.asarray(order))
    if np.any(found.request_id[1:] == found.request_id[:-1]):
        raise ValueError("the ledger has two rows with one request_id")
    return found


def block_counts(rows: Requests, bad: Mask, counted: Mask) -> tuple[Counts, Counts]:
    """Bad ones and all, of the rows that are `counted`, in each block.

    A block is 1 s, or a twentieth of a phase shorter than 20 s, on `intended_ns`.
    """
    over, sizes = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for scenario, phase in rows.phases():
        place = rows.place(scenario, [phase])
        if (due_ns := rows.intended_ns[place][counted[place]]).size:
            blocks = _blocks(due_ns)
            sizes.append(np.bincount(blocks))
            over.append(np.bincount(blocks[bad[place][counted[place]]], minlength=len(sizes[-1])))
    return np.concatenate(over), np.concatenate(sizes)


def _blocks(intended_ns: Reals) -> NDArray[np.int64]:
    start, span = float(intended_ns.min()), float(np.ptp(intended_ns))
    if span >= BLOCKS_MIN * SECOND_NS:
        blocks = (intended_ns - start).astype(np.int64)
        blocks //= SECOND_NS
        return blocks
    width = max(span, 1.0) / BLOCKS_MIN
    return np.asarray(np.minimum((intended_ns - start) // width, BLOCKS_MIN - 1), dtype=np.int64)


def events(evidence: Evidence) -> pd.DataFrame:
    """The timeline in order of time; raises ValueError when a stamp or a name is missing."""
    table = evidence.tables["events"]
    if table[["t_ns", "event", "subject"]].isna().any(axis=None):
        raise ValueError("the timeline has an event without its time, name or subject")
    columns: pd.DataFrame = table[["t_ns", "event", "subject"]]
    return columns.sort_values(["t_ns", "event", "subject"], kind="stable")


def first_event(table: pd.DataFrame, event: str, subject: str, after_ns: float = -np.inf) -> float | None:
    """When `event` first happened to `subject`, at or after `after_ns`."""
    found = table[(table["event"] == event) & (table["subject"] == subject) & (table["t_ns"] >= after_ns)]
    return None if found.empty else float(found["t_ns"].iloc[0])


def largest_gap_s(stamps_ns: Reals, start_ns: float, end_ns: float) -> float:
    """The longest time between `start_ns` and `end_ns` without a reading; all of it when there is none."""
    within = np.unique(stamps_ns[(stamps_ns >= start_ns) & (stamps_ns <= end_ns)])
    return float(np.max(np.diff(np.concatenate(([start_ns], within, [end_ns]))))) / SECOND_NS


def load_span_ns(ledger: Evidence) -> tuple[float, float]:
    """From the start of the first phase to the end of the last; raises ValueError when no load is on record."""
    phases = [phase for facts in ledger.facts["scenarios"].values() for phase in facts["phases"]]
    return min(float(phase["start_ns"]) for phase in phases), max(float(phase["end_ns"]) for phase in phases)


def scenario_facts(evidence: Evidence, scenario: str) -> Mapping[str, Any]:
    """What the ledger's document says of one scenario; raises KeyError when it ran none."""
    facts: Mapping[str, Any] = evidence.facts["scenarios"][scenario]
    return facts
