"""A Plan is read whole or refused with the file, the key and the nearest valid one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.model import Stage
from harness.plan import PlanError, load_plan, parse_plan

REFERENCE = Path(__file__).parents[2] / "reference_service" / "readiness.toml"


def _reference_with(old: str, new: str) -> str:
    text = REFERENCE.read_text()
    assert old in text
    return text.replace(old, new, 1)


def test_the_reference_plan_is_valid_and_holds_the_numbers_it_promises() -> None:
    plan = load_plan(REFERENCE).plan
    assert plan.launch.stage is Stage.INTERNAL
    assert (plan.traffic.launch_rps, plan.traffic.spike_rps, plan.traffic.one_year_rps) == (200, 600, 1000)
    assert (plan.slo.availability, plan.slo.latency_ms_p99, plan.slo.spike_latency_ms_p99) == (0.9995, 50, 200)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("latency_ms_p99 = 50", "latencyms_p99 = 50", 'slo.latencyms_p99: unknown key; did you mean "latency_ms_p99"?'),
        ("[shadow]", "[shadw]", 'shadw: unknown key; did you mean "shadow"?'),
        ("lost_max = 0", "lost_mx = 0", 'experiments.zone_crash.lost_mx: unknown key; did you mean "lost_max"?'),
        ("\nrollback = {", "\nspike = {", "experiments.spike: another load of the run has this name"),
        ("\nrollback = {", "\nRoll-back = {", "Roll-back: a name is made of a-z, 0-9 and _"),
        ("lost_max = 0", "repeats = 2", "experiments.zone_crash.repeats: this one is run once"),
        ("ttd_s_max = 2", "switch_s_max = 2", "zone_crash.switch_s_max: not judged of this one, which takes ttd_s_max"),
        ("switch_s_max = 1", "ttr_s_max = 1", "rollback.ttr_s_max: not judged of this one, which takes switch_s_max"),
        ("lost_max = 0", "retry_amplification_max = 0.9", "retry_amplification_max must be 1 or more"),
        ("lost_max = 0", "budget_share_max = 1.1", "budget_share_max must lie between 0 and 1"),
        ("[service]", "[service]\nxyzzy = 1", "service.xyzzy: unknown key; valid keys here: name, owner"),
        ('stage = "internal"', 'stage = "internl"', "launch.stage: Input should be 'internal', 'beta', 'ga' or 'load'"),
        ("availability = 0.9995", "availability = 99.95", "availability must lie between 0 and 1, not 99.95"),
        ("latency_ms_p99 = 50", "latency_ms_p99 = nan", "latency_ms_p99 must be above 0"),
        ("launch_rps = 200", "launch_rps = 700", "spike_rps must be above launch_rps"),
        ('registry = "models"', "", "registry must name the model registry folder"),
        ('provider = "local"', 'provider = "attached"', 'address must be "host:port"'),
        ("[quality]", "[quality", "not valid TOML"),
        ("[quality]", "[gpu]\nevidnce = 'gpu.json'\n[quality]", 'gpu.evidnce: unknown key; did you mean "evidence"?'),
        ("[quality]", "[gpu]\nevidence = ''\n[quality]", "evidence must name the file that check-gpu wrote"),
        ("[quality]", "[gpu]\nevidence = 'a'\nage_days_max = 0\n[quality]", "age_days_max must be above 0, not 0"),
        ('candidate = "2"', 'candidate = "1"', "candidate must be another version than the one to launch"),
        ('"zone-c"]', '"candidate"]', 'zones must not use the name "candidate"'),
        ("latency_ms_p99 = 50", 'latency_ms_p99 = "50"', "slo.latency_ms_p99: Input should be a valid number"),
        ("latency_ms_p99 = 50", "latency_ms_p99 = true", "slo.latency_ms_p99: Input should be a valid number"),
    ],
)
def test_a_mistake_is_named_with_its_key_and_what_to_do(old: str, new: str, said: str) -> None:
    with pytest.raises(PlanError) as caught:
        parse_plan(_reference_with(old, new), "my/readiness.toml")
    assert said in str(caught.value)
    assert str(caught.value).startswith("my/readiness.toml: ")


def _with_experiments(*lines: str) -> str:
    """The reference Plan with these experiments and no other."""
    before, rest = REFERENCE.read_text().split("[experiments]")
    return "\n".join([before, "[experiments]", *lines, "[shadow]", rest.split("[shadow]")[1]])


def test_an_experiment_is_one_line_its_file_has_its_name() -> None:
    lines = ("zone_freeze = { ttr_s_max = 3, repeats = 2 }", 'bad_version = { file = "local/rollback.json" }')
    plan = parse_plan(_with_experiments("zone_crash = {}", *lines))
    assert plan.catalogue == ("zone_freeze", "bad_version")
    files = [plan.experiments[name].file_of(name) for name in plan.catalogue]
    assert files == ["local/zone_freeze.json", "local/rollback.json"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "zone_crush = {}",
            "experiments.zone_crush: there is no file local/zone_crush.json; did you mean local/zone_c",
        ),
        ("xyz = {}", "experiments.xyz: there is no file local/xyz.json; there are "),
        ('none = { file = "FOLDER/none.json" }', "none.json is no experiment of the catalogue: it must have one entry"),
        ('bad = { file = "FOLDER/bad.json" }', "bad.json is no experiment of the catalogue: detects must be a bool"),
        ('zone = { file = "FOLDER/zone.json" }', "the configuration does not say what ${zone} is"),
        (
            'deaf = { file = "local/clock_skew.json", ttd_s_max = 2 }',
            "experiments.deaf.ttd_s_max: local/clock_skew.json breaks nothing that the edge should stop sending to",
        ),
        ('torn = { file = "FOLDER/torn.json" }', "torn.json is no experiment of the catalogue: Expecting"),
    ],
)
def test_the_file_of_an_experiment_must_be_there_and_say_what_it_does(line: str, said: str, tmp_path: Path) -> None:
    told = {"name": "gonogo", "fault": "f", "subjects": ["${zone}"], "load": "steady", "expectations": [], "label": "l"}
    (tmp_path / "none.json").write_text("{}")
    (tmp_path / "bad.json").write_text(json.dumps({"extensions": [{**told, "subjects": ["zone-b"]}]}))
    (tmp_path / "zone.json").write_text(json.dumps({"extensions": [{**told, "detects": True}]}))
    (tmp_path / "torn.json").write_text("{")
    path = tmp_path / "readiness.toml"
    path.write_text(_with_experiments(line.replace("FOLDER", str(tmp_path))))
    with pytest.raises(PlanError) as caught:
        load_plan(path)
    assert said in str(caught.value)
    assert str(caught.value).startswith(f"{path}: ")


def test_a_fault_that_breaks_no_zone_and_no_edge_may_hardly_cost_a_retry() -> None:
    experiments = load_plan(REFERENCE).plan.experiments
    for name in ("nothing", "clock_skew", "revoked_key", "unloadable_model", "disk_full", "memory_cap"):
        assert experiments[name].retry_amplification_max == 1.01, name


def test_every_mistake_is_named_at_once() -> None:
    text = _reference_with("[shadow]", "[shadw]").replace("lost_max", "lost_mx")
    with pytest.raises(PlanError) as caught:
        parse_plan(text)
    assert len(str(caught.value).splitlines()) == 1 + text.count("lost_mx =")


def test_a_missing_plan_says_where_to_find_a_first_one(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="README shows a first Plan"):
        load_plan(tmp_path / "readiness.toml")


def test_paths_in_a_plan_are_meant_from_its_folder() -> None:
    assert load_plan(REFERENCE).resolve("models") == REFERENCE.resolve().parent / "models"


WAIVER = """
[[waivers]]
gate = "zone_failure"
owner = "A. Owner"
reason = "second zone arrives in June"
granted = 2026-05-01
expires = 2026-06-01
"""


def test_a_waiver_names_owner_reason_and_dates() -> None:
    waiver = parse_plan(REFERENCE.read_text() + WAIVER).waivers[0]
    assert (waiver.gate, waiver.owner, waiver.expires.isoformat()) == ("zone_failure", "A. Owner", "2026-06-01")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('owner = "A. Owner"', 'owner = " "', "owner must not be empty"),
        ("expires = 2026-06-01", "expires = 2026-04-01", "expires must not lie before granted"),
        ("expires = 2026-06-01", "", "waivers.0.expires: this key is required"),
    ],
)
def test_a_waiver_without_an_owner_or_an_end_is_refused(old: str, new: str, said: str) -> None:
    with pytest.raises(PlanError, match=said):
        parse_plan(REFERENCE.read_text() + WAIVER.replace(old, new))
