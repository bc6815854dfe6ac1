"""Prediction logs as the collector reads and joins them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness.collectors import CollectError
from harness.collectors.shadow import outer_join, predictions

if TYPE_CHECKING:
    from pathlib import Path

SCENARIO = 3
FIRST = SCENARIO << 40


Line = tuple[str, float, str]


def line(request_id: str, output: float, version: str = "1") -> Line:
    return request_id, output, version


def log(path: Path, *lines: Line) -> Path:
    """A prediction log of one file a line, as slow traffic makes them."""
    path.mkdir()
    for number, (request_id, output, version) in enumerate(lines):
        columns = {"request_id": [request_id], "model_version": [version], "outputs": [[output]]}
        pq.write_table(pa.table(columns), path / f"part-{number:08d}.parquet")
    return path


def test_predictions_are_those_of_the_scenario(tmp_path: Path) -> None:
    other = f"{(SCENARIO + 1) << 40:016x}"
    one = log(tmp_path / "a", line(f"{FIRST:016x}", 0.25), line("a person", 0.5), line(other, 0.5))
    assert predictions([one, tmp_path / "absent"], SCENARIO) == {FIRST: (0.25, "1")}


def test_a_retried_request_is_one_and_the_last_counts(tmp_path: Path) -> None:
    name = f"{FIRST:016x}"
    logs = [log(tmp_path / "a", line(name, 0.1), line(name, 0.2)), log(tmp_path / "b", line(name, 0.3))]
    assert predictions(logs, SCENARIO) == {FIRST: (0.3, "1")}


def test_a_file_that_is_still_being_written_is_not_there_yet(tmp_path: Path) -> None:
    one = log(tmp_path / "a", line(f"{FIRST:016x}", 0.25))
    (one / "part-00000001.new").write_bytes(b"PAR1 half")
    assert predictions([one], SCENARIO) == {FIRST: (0.25, "1")}


NAMED = {"request_id": ["1"], "model_version": ["1"]}
BROKEN = {
    "no Parquet": b"PAR1",
    "empty": b"",
    "without versions": pa.table({"request_id": ["1"], "outputs": [[0.5]]}),
    "without an output": pa.table(
        {"request_id": ["1"], "model_version": ["1"], "outputs": pa.array([[]], pa.list_(pa.float32()))}
    ),
    "outputs that are none": pa.table(
        {"request_id": ["1"], "model_version": ["1"], "outputs": pa.array([None], pa.list_(pa.float32()))}
    ),
    "outputs of text": pa.table({"request_id": ["1"], "model_version": ["1"], "outputs": [["high"]]}),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file_is_named(tmp_path: Path, case: str) -> None:
    one = log(tmp_path / "zone-a", line(f"{FIRST:016x}", 0.25))
    content, part = BROKEN[case], one / "part-00000001.parquet"
    if isinstance(content, bytes):
        part.write_bytes(content)
    else:
        pq.write_table(content, part)
    with pytest.raises(CollectError, match=r"part-00000001\.parquet: not a file of predictions"):
        predictions([one], SCENARIO)


def test_every_request_that_either_side_logged_has_its_row(tmp_path: Path) -> None:
    names = [f"{FIRST + place:016x}" for place in range(3)]
    primary = predictions([log(tmp_path / "p", line(names[1], 0.5), line(names[0], 0.25))], SCENARIO)
    candidate = predictions([log(tmp_path / "c", line(names[1], 0.75, "2"), line(names[2], 1, "2"))], SCENARIO)
    table = outer_join(primary, candidate)
    assert list(table["request_id"]) == [FIRST, FIRST + 1, FIRST + 2]
    assert table["request_id"].dtype == np.uint64
    np.testing.assert_array_equal(table["primary"], [0.25, 0.5, np.nan])
    np.testing.assert_array_equal(table["candidate"], [np.nan, 0.75, 1])
    assert list(table["primary_version"]) == ["1", "1", ""]
    assert list(table["candidate_version"]) == ["", "2", "2"]


def test_nothing_logged_is_a_table_without_rows() -> None:
    table = outer_join({}, {})
    assert len(table) == 0
    assert list(table.dtypes.astype(str))[:3] == ["uint64", "float64", "float64"]
