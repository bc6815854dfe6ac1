"""The load of an experiment lasts until all has settled, and a spike covers the fault and ends before the load does."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

import pytest

from harness.catalogue import read_experiment
from harness.collectors.breaking import CHAOS_START_S, Trial, _phases, _settings
from harness.collectors.chaos import _fault_pauses_s
from harness.extension import LOAD_PHASES
from harness.plan import load_plan
from harness.profiles import PROFILES
from harness.slices import SETTLE_S
from tests.harness.test_plan import REFERENCE

FILE = read_experiment("local/zone_crash.json", {})


def phases(load: str, trial: Trial, longer_s: float = 0.0) -> Any:
    context: Any = SimpleNamespace(plan=load_plan(REFERENCE).plan)
    told = dataclasses.replace(FILE.extension, load=load, longer_s=longer_s)
    return _phases(context, trial, dataclasses.replace(FILE, extension=told))


@pytest.mark.parametrize("load", LOAD_PHASES)
def test_the_phases_are_those_that_the_judge_asks_for(load: str) -> None:
    found = phases(load, Trial(name="zone_crash", pauses_s=(2, 5, 7)))
    assert tuple(phase.name for phase in found) == LOAD_PHASES[load]


def test_a_spike_begins_before_the_fault_can_be_made_and_leaves_time_to_recover() -> None:
    trial = Trial(name="zone_crash", pauses_s=(2, 5, 7))
    before, peak, after = phases("spike", trial)
    assert (before.rate_rps, peak.rate_rps, after.rate_rps) == (200, 600, 200)
    assert before.duration_s <= CHAOS_START_S
    assert before.duration_s + peak.duration_s > CHAOS_START_S + 2 + 5
    assert after.duration_s > SETTLE_S


def test_an_experiment_of_the_standard_profile_takes_some_twenty_seconds() -> None:
    trial = Trial(name="zone_crash", pauses_s=_fault_pauses_s(PROFILES["standard"]))
    assert sum(phase.duration_s for phase in phases("steady", trial)) <= 20


@pytest.mark.parametrize("load", LOAD_PHASES)
def test_a_fault_that_takes_longer_has_a_longer_load(load: str) -> None:
    trial = Trial(name="zone_crash", pauses_s=(2, 5, 7))
    lengths = [sum(phase.duration_s for phase in phases(load, trial, longer_s)) for longer_s in (0, 12)]
    assert lengths == [20, 32]


def test_repeats_have_names_of_their_own() -> None:
    names = [Trial(name="zone_freeze", repeat=repeat, pauses_s=(1, 1, 1)).scenario for repeat in (1, 2, 3)]
    assert names == ["zone_freeze", "zone_freeze#2", "zone_freeze#3"]


def test_the_zone_that_an_experiment_breaks_is_the_one_that_the_run_names() -> None:
    assert FILE.extension.subjects == ("zone-b",)
    assert read_experiment("local/zone_crash.json", {"GONOGO_ZONE": "zone-c"}).extension.subjects == ("zone-c",)


@pytest.mark.parametrize(("zones", "broken"), [(("a", "b", "c"), ("b", "c")), (("a", "b", "c", "d"), ("b", "c"))])
def test_both_zones_that_an_experiment_breaks_are_the_plans(zones: tuple[str, ...], broken: tuple[str, ...]) -> None:
    plan = load_plan(REFERENCE).plan
    plan = dataclasses.replace(plan, target=dataclasses.replace(plan.target, zones=zones))
    settings = _settings(plan, Trial(name="two_zones_lost", pauses_s=(2, 5, 7)))
    assert read_experiment("local/two_zones_lost.json", settings).extension.subjects == broken
