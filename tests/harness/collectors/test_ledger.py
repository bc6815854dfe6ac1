"""A scenario that never started is accounted for, and takes no other scenario's evidence with it."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from harness.collectors import CollectError, Context
from harness.collectors import ledger as collector
from harness.load.phases import sustained
from harness.load.spec import LoadSpec
from harness.load.streams import LedgerError
from harness.plan import load_plan
from harness.profiles import PROFILES
from harness.store import create_run
from tests.harness.test_plan import REFERENCE

if TYPE_CHECKING:
    from collections.abc import Callable


class Silent:
    """Shows no progress."""

    def step(self, title: str, expected_s: float) -> None:
        """Nothing."""


@pytest.fixture
def context(tmp_path: Path) -> Context:
    loaded = load_plan(REFERENCE)
    run = create_run(tmp_path, loaded, profile="quick", subject="m@1", now=dt.datetime.now(tz=dt.UTC))
    return Context(run=run, loaded=loaded, profile=PROFILES["quick"], progress=Silent())


def _spec(scenario: str, index: int) -> LoadSpec:
    return LoadSpec(
        scenario=scenario,
        scenario_index=index,
        target="127.0.0.1:1",
        phases=sustained(100, 2),
        requests="",
        ledger="",
        zero_ns=0,
    )


def _completing(*started: str) -> Callable[[LoadSpec, Path], tuple[pd.DataFrame, dict[str, Any]]]:
    def complete(spec: LoadSpec, stream: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
        if spec.scenario not in started:
            raise LedgerError(f"{stream} has no header of a ledger; the load never started")
        columns = {"request_id": [spec.scenario_index], "scenario": [spec.scenario], "phase": ["hold"], "zone": [""]}
        return pd.DataFrame({**columns, "model_version": [""], "intended_ns": [1]}), {"finished": True}

    return complete


def test_a_scenario_that_never_started_is_missing_as_a_whole(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collector, "complete", _completing("sustained"))
    context.loads += [(_spec("sustained", 0), Path("a")), (_spec("spike", 1), Path("b"))]
    context.load_errors["spike"] = "spike ended with exit code 1"
    (evidence,) = collector.collect(context)
    assert list(evidence.tables["requests"]["scenario"]) == ["sustained"]
    spike = evidence.facts["scenarios"]["spike"]
    assert (spike["finished"], spike["workers_lost"], spike["recorded"]) == (False, 1, 0)
    assert spike["scheduled"] > 150
    assert spike["scenario_error"] == "spike ended with exit code 1"


def test_without_any_load_there_is_no_ledger(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CollectError, match="no load was driven"):
        collector.collect(context)
    monkeypatch.setattr(collector, "complete", _completing())
    context.loads.append((_spec("sustained", 0), Path("a")))
    with pytest.raises(CollectError, match="no scenario ever started"):
        collector.collect(context)
