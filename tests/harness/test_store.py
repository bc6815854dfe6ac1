"""A run is believed only as far as its digests hold."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from harness.model import Evidence
from harness.plan import load_plan
from harness.store import Run, RunError, create_run, find_run, load_run
from tests.harness.test_plan import REFERENCE

if TYPE_CHECKING:
    from pathlib import Path

NOW = dt.datetime(2026, 5, 1, 12, 0, tzinfo=dt.UTC)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    created = create_run(tmp_path, load_plan(REFERENCE), profile="quick", subject="m@1", now=NOW)
    table = pd.DataFrame({"row": [1, 2, 3]})
    created.write(Evidence(id="edge", collector="edge", subject="m@1", facts={"a": 1}, tables={"hosts": table}))
    created.write(Evidence(id="shadow", collector="shadow", subject="m@1", error="no candidate"))
    return created


def test_what_was_written_is_loaded(run: Run) -> None:
    run.seal()
    loaded = load_run(run.folder)
    assert loaded.info == run.info
    assert loaded.info.as_of == "2026-05-01T12:00:00+00:00"
    assert loaded.evidence["edge"].facts == {"a": 1}
    assert list(loaded.evidence["edge"].tables["hosts"]["row"]) == [1, 2, 3]
    assert loaded.evidence["shadow"].error == "no candidate"


def test_names_are_loaded_as_categories_and_what_never_happened_as_nan(run: Run) -> None:
    zones = pd.Categorical(["a", None, "b"], categories=["b", "a", "unused"])
    table = pd.DataFrame({"zone": zones, "sent_ns": pd.array([1, None, 2**52 + 1], "Int64"), "status": np.int16(3)})
    run.write(Evidence(id="ledger", collector="ledger", subject="m@1", tables={"requests": table}))
    run.seal()
    loaded = load_run(run.folder).evidence["ledger"].tables["requests"]
    assert list(loaded["zone"].astype(object).fillna("none")) == ["a", "none", "b"]
    assert loaded["zone"].cat.codes.dtype == np.int8
    assert list(loaded["sent_ns"].fillna(-1)) == [1, -1, 2**52 + 1]
    assert (loaded["sent_ns"].dtype, loaded["status"].dtype) == (np.float64, np.int16)


def test_an_unsealed_run_proves_nothing(run: Run) -> None:
    assert load_run(run.folder).evidence == {}


def test_a_removed_document_is_an_error_not_a_gap(run: Run) -> None:
    run.seal()
    (run.folder / "evidence" / "edge.json").unlink()
    assert "evidence/edge.json is missing" in str(load_run(run.folder).evidence["edge"].error)


def test_a_removed_attachment_is_an_error(run: Run) -> None:
    run.seal()
    (run.folder / "evidence" / "edge" / "hosts.parquet").unlink()
    assert "hosts.parquet is missing" in str(load_run(run.folder).evidence["edge"].error)


def test_a_changed_document_is_an_error(run: Run) -> None:
    run.seal()
    path = run.folder / "evidence" / "edge.json"
    path.write_text(path.read_text().replace('"a": 1', '"a": 2'))
    assert "changed since it was collected" in str(load_run(run.folder).evidence["edge"].error)


def test_a_changed_attachment_is_an_error(run: Run) -> None:
    run.seal()
    pd.DataFrame({"row": [9]}).to_parquet(run.folder / "evidence" / "edge" / "hosts.parquet")
    assert "changed since it was collected" in str(load_run(run.folder).evidence["edge"].error)


def test_a_document_added_after_the_seal_is_not_evidence(run: Run) -> None:
    run.seal()
    run.write(Evidence(id="late", collector="x", subject="m@1"))
    assert "late" not in load_run(run.folder).evidence


@pytest.mark.parametrize("name", ["plan.toml", "run.json"])
def test_a_changed_identity_is_refused(run: Run, name: str) -> None:
    run.seal()
    path = run.folder / name
    path.write_text(path.read_text().replace("quick", "standard").replace("launch_rps = 200", "launch_rps = 20"))
    with pytest.raises(RunError, match="changed since it was collected"):
        load_run(run.folder)


def test_a_run_of_another_schema_is_refused(run: Run) -> None:
    path = run.folder / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema": 99}))
    with pytest.raises(RunError, match="schema 99"):
        load_run(run.folder)


def test_the_latest_run_is_found_below_its_root(run: Run, tmp_path: Path) -> None:
    assert find_run(tmp_path) == run.folder
    assert find_run(run.folder) == run.folder
    with pytest.raises(RunError, match="gonogo run"):
        find_run(tmp_path / "nowhere")
