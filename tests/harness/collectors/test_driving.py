"""A load beyond what the generator can do is not driven, and is accounted for."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import TYPE_CHECKING

import pytest

from harness.capacity import Step, capacity
from harness.collectors import CollectError, Context, search
from harness.collectors import scenarios as collector
from harness.collectors.driving import load_spec, start
from harness.load.phases import spike, sustained
from harness.model import Outcome
from harness.plan import load_plan
from harness.profiles import PROFILES
from harness.store import create_run
from harness.validity import STAIRCASE
from tests.harness.collectors.test_ledger import Silent
from tests.harness.test_plan import REFERENCE

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def context(tmp_path: Path) -> Context:
    loaded = load_plan(REFERENCE)
    run = create_run(tmp_path, loaded, profile="quick", subject="m@1", now=dt.datetime.now(tz=dt.UTC))
    return Context(run=run, loaded=loaded, profile=PROFILES["quick"], progress=Silent(), able_rps=450)


def test_a_peak_that_the_generator_can_not_do_refuses_the_scenario(context: Context) -> None:
    with pytest.raises(CollectError, match="refused: this generator can do 450 req/s here, 600 asked"):
        start(context, load_spec(context, "spike", spike(200, 600, 1, 1, 1)), "spike.py")
    assert [spec.scenario for spec, _ in context.loads] == ["spike"]
    assert context.refused["spike"].startswith("refused")
    assert not (context.run.work / "spike.log").exists()


def test_of_a_staircase_the_steps_that_it_can_do_are_driven(context: Context) -> None:
    planned = collector._scenarios(context)[STAIRCASE]
    driven = collector._able(context, STAIRCASE, planned)
    assert [phase.rate_rps for phase in driven] == [200, 400]
    assert context.refused == {STAIRCASE: "refused: this generator can do 450 req/s here, 1000 asked"}
    assert collector._able(dataclasses.replace(context, able_rps=100), STAIRCASE, planned) == planned


def test_no_other_scenario_is_cut(context: Context) -> None:
    phases = sustained(600, 2)
    assert collector._able(context, "sustained", phases) == phases
    assert context.refused == {}


def test_a_search_that_the_generator_ends_says_so(context: Context) -> None:
    held, failed = (
        Step(rate_rps=rate, outcome=outcome, reason="so")
        for rate, outcome in ((440, Outcome.PASS), (445, Outcome.FAIL))
    )
    search._note_refusal(context, capacity([held, failed]))
    assert context.refused == {}
    search._note_refusal(context, capacity([held]))
    assert context.refused == {STAIRCASE: "refused: this generator can do 450 req/s here, 660 asked"}
