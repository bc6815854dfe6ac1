"""Whatever the engines hand to their recorders stands in the ledger, field by field, and nothing else does."""

from __future__ import annotations

import dataclasses
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.load.ledger import complete
from harness.load.recorder import NEVER
from harness.load.schedule import schedule
from harness.load.sender import AnsweredBy
from harness.load.spec import LoadSpec, Phase
from harness.model import Status
from tests.harness.load.ledger_support import START_NS, write
from tests.harness.load.test_spec import a_spec

if TYPE_CHECKING:
    from harness.load.recorder import Row

INSTANTS_NS = st.none() | st.integers(0, 2**61)
NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
STATUSES = st.sampled_from([*range(17), Status.OPEN_AT_CUTOFF, Status.CAP_FULL, Status.GENERATOR_LATE])
UNSENT = (None, None, int(Status.GENERATOR_LATE), 0, "", "")


@dataclass(frozen=True)
class Fate:
    """What became of one request; instants on the run's clock, None where it never happened."""

    sent_ns: int | None
    done_ns: int | None
    status: int
    response_bytes: int
    zone: str
    model_version: str

    def row(self, place: int, zero_ns: int) -> Row:
        sent_ns, done_ns = (NEVER if at is None else at + zero_ns for at in (self.sent_ns, self.done_ns))
        return (place, sent_ns, done_ns, self.status, self.response_bytes, AnsweredBy(self.zone, self.model_version))


FATES = st.builds(Fate, INSTANTS_NS, INSTANTS_NS, STATUSES, st.integers(0, 2**31 - 1), NAMES, NAMES)


@st.composite
def loads(draw: st.DrawFn) -> tuple[LoadSpec, dict[int, Fate], list[int]]:
    """A load, what became of the requests that were decided, in the order of deciding, and where batches end."""
    phases = (Phase("a", draw(st.floats(1, 60)), 0.5), Phase("ü", 20.0, 0.5, draw(st.floats(0, 60))))
    spec = a_spec(
        phases=phases,
        seed=draw(st.integers(0, 99)),
        scenario_index=draw(st.integers(0, 2**20)),
        zero_ns=draw(st.integers(1, 2**60)),
        workers=draw(st.sampled_from([1, 1, 2, 3])),
    )
    due = len(schedule(spec))
    numbers = draw(st.lists(st.integers(0, due - 1), unique=True)) if due else []
    return spec, {number: draw(FATES) for number in numbers}, sorted(draw(st.lists(st.integers(0, 20), max_size=4)))


def record(spec: LoadSpec, fates: dict[int, Fate], cuts: list[int]) -> None:
    """Each worker records its own requests, in batches that end at `cuts`."""
    for worker in range(spec.workers):
        mine = {number // spec.workers: fate for number, fate in fates.items() if number % spec.workers == worker}
        rows = [fate.row(place, spec.zero_ns) for place, fate in mine.items()]
        batches = [rows[first:last] for first, last in zip([0, *cuts], [*cuts, len(rows)], strict=True)]
        write(spec, batches, worker, finished=len(rows) == len(schedule(spec, worker, spec.workers)))


def cell(value: Any) -> Any:
    return None if value is pd.NA else value


@given(loads())
@settings(max_examples=150, deadline=None, derandomize=True)
def test_what_was_recorded_is_what_the_ledger_holds(load: tuple[LoadSpec, dict[int, Fate], list[int]]) -> None:
    spec, fates, cuts = load
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.arrow"
        spec = dataclasses.replace(spec, ledger=str(path))
        record(spec, fates, cuts)
        table, summary = complete(spec, path)
        table.to_parquet(path.with_suffix(".parquet"))
        pd.testing.assert_frame_equal(pd.read_parquet(path.with_suffix(".parquet")), table)
    plan, names = schedule(spec), [phase.name for phase in spec.phases]
    fields = ["request_id", "intended_ns", "sent_ns", "done_ns", "status", "response_bytes", "zone", "model_version"]
    read = [tuple(map(cell, row)) for row in table[fields].itertuples(index=False)]
    expected = [dataclasses.astuple(fates[number]) if number in fates else UNSENT for number in range(len(plan))]
    due_ns = (plan.intended_ns + START_NS).tolist()
    assert read == [(spec.request_id(number), due_ns[number], *fate) for number, fate in enumerate(expected)]
    assert table["phase"].tolist() == [names[index] for index in plan.phase]
    assert table["worker"].tolist() == [number % spec.workers for number in range(len(plan))]
    assert (summary["recorded"], summary["gaps"], summary["scheduled"]) == (len(fates), 0, len(plan))
