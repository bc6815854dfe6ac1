"""Whatever the engine hands to the recorder stands in the ledger, field by field, and nothing else does."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.load.ledger import complete
from harness.load.recorder import NEVER, Row
from harness.load.schedule import schedule
from harness.load.sender import AnsweredBy
from harness.load.spec import Phase
from harness.load.summary import write_summary
from harness.model import Status
from tests.harness.load.ledger_support import recorder
from tests.harness.load.test_spec import a_spec

if TYPE_CHECKING:
    from harness.load.spec import LoadSpec

INSTANTS = st.none() | st.integers(0, 2**62)
NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
STATUSES = st.sampled_from([*range(17), Status.OPEN_AT_CUTOFF, Status.CAP_FULL, Status.GENERATOR_LATE])
FATES = st.tuples(INSTANTS, INSTANTS, STATUSES, NAMES, NAMES, st.integers(0, 2**31 - 1))
UNSENT = (None, None, int(Status.GENERATOR_LATE), "", "", 0)


@st.composite
def loads(draw: st.DrawFn) -> tuple[LoadSpec, int, list[tuple[int, tuple[object, ...]]], list[int]]:
    """A load, when it began, what became of the requests that were decided (any order), and where batches end."""
    phases = (Phase("a", draw(st.floats(1, 60)), 0.5), Phase("b", 20.0, 0.5, draw(st.floats(0, 60))))
    spec = a_spec(phases=phases, seed=draw(st.integers(0, 99)), scenario_index=draw(st.integers(0, 2**20)))
    numbers = (
        draw(st.lists(st.integers(0, max(0, len(schedule(spec)) - 1)), unique=True)) if len(schedule(spec)) else []
    )
    fates = [(number, draw(FATES)) for number in numbers]
    cuts = draw(st.lists(st.integers(0, len(fates)), max_size=4))
    return spec, draw(st.integers(0, 10**15)), fates, sorted(cuts)


def row(spec: LoadSpec, number: int, fate: tuple[Any, ...]) -> Row:
    """What the engine hands over: instants on this machine's clock."""
    sent_ns, done_ns, status, zone, version, size = fate
    stamps = [NEVER if instant is None else instant + spec.zero_ns for instant in (sent_ns, done_ns)]
    return (number, *stamps, status, size, AnsweredBy(zone, version))  # type: ignore[return-value]  # two stamps


def record(spec: LoadSpec, start_ns: int, rows: list[Row], cuts: list[int]) -> None:
    writer = recorder(spec, start_ns=start_ns)
    writer.start()
    for first, last in zip([0, *cuts], [*cuts, len(rows)], strict=True):
        writer.put(rows[first:last])
    writer.close()
    write_summary(Path(spec.ledger), {"finished": len(rows) == len(schedule(spec)), "batches": writer.batches})


@given(loads())
@settings(max_examples=150, deadline=None, derandomize=True)
def test_what_was_recorded_is_what_the_ledger_holds(
    load: tuple[LoadSpec, int, list[tuple[int, tuple[object, ...]]], list[int]],
) -> None:
    drawn, start_ns, fates, cuts = load
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.arrow"
        spec = a_spec(phases=drawn.phases, seed=drawn.seed, scenario_index=drawn.scenario_index, ledger=str(path))
        plan = schedule(spec)
        due_ns = [start_ns + instant for instant in plan.intended_ns.tolist()]
        record(spec, start_ns, [row(spec, number, fate) for number, fate in fates], cuts)
        table, summary = complete(spec, path)
        table.to_parquet(path.with_suffix(".parquet"))
        pd.testing.assert_frame_equal(pd.read_parquet(path.with_suffix(".parquet")), table)
    by_number = dict(fates)
    fields = ["request_id", "intended_ns", "sent_ns", "done_ns", "status", "zone", "model_version", "response_bytes"]
    read = [tuple(None if value is pd.NA else value for value in row) for row in table[fields].itertuples(index=False)]
    assert read == [
        (spec.request_id(number), due_ns[number], *by_number.get(number, UNSENT)) for number in range(len(plan))
    ]
    names = [phase.name for phase in spec.phases]
    assert table["phase"].tolist() == [names[index] for index in plan.phase]
    assert (summary["recorded"], summary["gaps"], summary["scheduled"]) == (len(fates), 0, len(plan))
