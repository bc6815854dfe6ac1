"""Prediction logs as the collector reads and joins them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from harness.collectors import CollectError
from harness.collectors.shadow import outer_join, predictions

if TYPE_CHECKING:
    from pathlib import Path

SCENARIO = 3
FIRST = SCENARIO << 40


def line(request_id: str, output: float, version: str = "1") -> str:
    return json.dumps({"request_id": request_id, "model_version": version, "outputs": [output]}) + "\n"


def log(path: Path, *lines: str) -> Path:
    path.write_text("".join(lines))
    return path


def test_predictions_are_those_of_the_scenario(tmp_path: Path) -> None:
    other = f"{(SCENARIO + 1) << 40:016x}"
    one = log(tmp_path / "a", line(f"{FIRST:016x}", 0.25), line("a person", 0.5), line(other, 0.5))
    assert predictions([one, tmp_path / "absent"], SCENARIO) == {FIRST: (0.25, "1")}


def test_a_retried_request_is_one_and_the_last_counts(tmp_path: Path) -> None:
    name = f"{FIRST:016x}"
    logs = [log(tmp_path / "a", line(name, 0.1), line(name, 0.2)), log(tmp_path / "b", line(name, 0.3))]
    assert predictions(logs, SCENARIO) == {FIRST: (0.3, "1")}


def test_a_half_written_last_line_is_not_there_yet(tmp_path: Path) -> None:
    whole = line(f"{FIRST:016x}", 0.25)
    assert predictions([log(tmp_path / "a", whole, whole[:-9])], SCENARIO) == {FIRST: (0.25, "1")}
    assert predictions([log(tmp_path / "b", whole[:-1])], SCENARIO) == {}


@pytest.mark.parametrize(
    "broken",
    [
        '{"request_id": "3000',
        "",
        "[]",
        "7",
        '{"request_id": "1", "outputs": [0.5]}',
        '{"request_id": "1", "model_version": "1", "outputs": []}',
        '{"request_id": 1, "model_version": "1", "outputs": [0.5]}',
        '{"request_id": "1", "model_version": "1", "outputs": ["high"]}',
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, broken: str) -> None:
    whole = line(f"{FIRST:016x}", 0.25)
    with pytest.raises(CollectError, match=r"zone-a\.jsonl, line 2: not a line of a prediction log"):
        predictions([log(tmp_path / "zone-a.jsonl", whole, broken + "\n", whole)], SCENARIO)


def test_bytes_that_are_no_text_are_a_broken_line(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b'"\xff"\n')
    with pytest.raises(CollectError, match="line 1"):
        predictions([tmp_path / "a"], SCENARIO)


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
