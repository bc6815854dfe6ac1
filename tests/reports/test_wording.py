"""Words: the sentence that explains a decision, names of faults and facts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.model import Decision, Outcome
from reports import wording
from tests.reports.sample import go, no_go, waived


def test_why_counts_what_stops_the_stage() -> None:
    only = tuple(item for item in no_go().results if item.outcome is not Outcome.UNKNOWN)[:2]
    assert wording.why(replace(no_go(), results=only)) == "Of 2 required gates, 1 failed. That alone stops this stage."


def test_why_of_a_waiver_does_not_claim_that_all_passed() -> None:
    assert wording.why(waived()).startswith("1 gate did not pass; a named owner has accepted that")


def test_why_of_an_interrupted_run() -> None:
    assert "did not reach its end" in wording.why(replace(go(), decision=Decision.NO_GO))


def test_the_headline_is_told_whole() -> None:
    verdict = no_go()
    assert wording.stage_words(verdict) == "for stage internal"
    assert wording.headline_detail(verdict).startswith("Failed: sustained_latency")
    assert wording.headline_detail(replace(verdict, headline="NO-GO for stage beta")) == ""


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("memory_bytes", 25_281_593_344, ("memory", "23.5 GiB")),
        ("gpu", False, ("GPU", "none")),
        ("gpu", "NVIDIA L4", ("GPU", "NVIDIA L4")),
        ("generator_shares_cores", True, ("generator shares cores", "yes")),
        ("zones", ["zone-a", "zone-b"], ("zones", "zone-a, zone-b")),
        ("versions", {"locust": "2.47.0"}, ("versions", "locust 2.47.0")),
        ("engine", None, ("engine", "not known")),
        ("load_average", [0.31, 1], ("load average", "0.31, 1")),
    ],
)
def test_facts_are_readable(name: str, value: object, told: tuple[str, str]) -> None:
    assert wording.facts({name: value}) == (told,)


def test_a_fault_without_words_of_its_own_is_named_by_kind() -> None:
    assert wording.fault_words("zone_partition", "zone-a") == "zone-a: zone partition"
    assert wording.fault_words("{x}", "{subject}") == "{subject}: {x}"


def test_checks_of_the_generator_bear_scenarios_names() -> None:
    assert wording.check_words("load_generator", "rollback") == "rollback"
    assert wording.check_words("rollback", "rollback") == "switch back"
    assert wording.check_words("security", "no_secret_leaks") == "no secret leaks"


def test_the_short_steps_of_a_search_share_a_label() -> None:
    labels = [wording.scenario_label(name) for name in ("sustained", "staircase", "search-1", "search-2", "search-10")]
    assert labels == ["sustained load", "staircase", "search", "", ""]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("zone_freeze_lost", "Zone freeze: requests lost (LOST)"),
        ("two_zones_lost_over_slo", "Two zones lost: requests over the latency objective"),
        ("two_zones_lost_lost", "Two zones lost: requests lost (LOST)"),
        ("spike_in_zone_loss_retry_amplification", "Zone lost in a spike: attempts beyond the first, of all requests"),
        ("tampered_model_answers_stay_right", "Tampered model: answers stay right"),
        ("nothing_experiment", "Nothing broken (control): done as its file says"),
        ("vm_zone_suspended_ttr", "Vm zone suspended: time to recover (TTR)"),
        ("experiments", "experiments"),
    ],
)
def test_checks_of_faults_are_told_by_experiment_and_number(name: str, told: str) -> None:
    assert wording.check_words("fault_tolerance", name) == told


def test_a_repeat_is_numbered() -> None:
    assert wording.scenario_words("zone_freeze#2") == "zone freeze, repeat 2"


def test_names_are_listed_and_long_ones_shortened() -> None:
    assert [wording.listed(parts) for parts in ((), ("a",), ("a", "b"), ("a", "b", "c"))] == [
        "",
        "a",
        "a and b",
        "a, b and c",
    ]
    assert [wording.shortened(text, 4) for text in ("zone", "zones")] == ["zone", "zon…"]
