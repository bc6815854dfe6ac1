"""Faults of models and credentials on a real fleet: each is withstood or noticed, each is undone from any point.

Rule: one fleet for the module; every test leaves it as it found it. Where a probe says yes, another test or another
line shows that it can say no.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from chaoslib.exceptions import ActivityFailed

from experiments import kept
from experiments.actions import certificates, credentials, pushed_models, tampering
from experiments.calls import known_versions, load_version, ports_of, unload_version
from experiments.probes import answers as answer_probes
from experiments.probes import credentials as credential_probes
from experiments.probes import handshakes, registry
from experiments.probes.edge import edge_sends_to_every_zone, traffic_goes_to
from experiments.probes.zones import all_zones_serve
from experiments.pushed import push, withdraw
from harness.fault_journal import FAULTS_VARIABLE, FaultJournal
from harness.fleet.breakable import Breakable
from harness.fleet.commands import SOCKET_VARIABLE
from harness.fleet.lifecycle import Fleet, start_fleet
from harness.fleet.spec import FleetSpec
from harness.timeline import TIMELINE_VARIABLE, ZERO_VARIABLE
from tests.harness.fleet.fleet_support import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
MODELS = ROOT / "reference_service" / "models"
ZONE = "zone-b"


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    spec = FleetSpec(
        zones=("zone-a", ZONE),
        registry=MODELS,
        model="flight-delay",
        version="1",
        candidate="2",
        directory=tmp_path_factory.mktemp("fleet"),
    )
    before = digests(MODELS)
    with start_fleet(spec, lease=True) as running:
        yield running
    assert digests(MODELS) == before, "an experiment reached the user's own models"


@pytest.fixture(autouse=True)
def environment(fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultJournal]:
    """The fleet, a journal and a timeline as experiments find them; afterwards everything is as it was."""
    monkeypatch.setenv(SOCKET_VARIABLE, str(fleet.client.socket_path))
    monkeypatch.setenv(FAULTS_VARIABLE, str(tmp_path / "faults"))
    monkeypatch.setenv(TIMELINE_VARIABLE, str(tmp_path / "timeline.jsonl"))
    monkeypatch.setenv(ZERO_VARIABLE, str(time.monotonic_ns()))
    before = digests(files(fleet))
    yield FaultJournal(tmp_path / "faults")
    assert digests(files(fleet)) == before
    assert not list((tmp_path / "faults").glob("*.json")), "a fault is still open"
    assert all_zones_serve()
    assert answer_probes.zones_answer_right()
    assert traffic_goes_to("primary")


def files(fleet: Fleet) -> Path:
    return Path(Breakable.of(fleet.client.status()).registry)


def digests(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): kept.digest_of(path) for path in sorted(folder.rglob("*")) if path.is_file()}


def events(tmp_path: Path) -> list[str]:
    return [json.loads(line)["event"] for line in (tmp_path / "timeline.jsonl").read_text().splitlines()]


def test_an_unloadable_model_is_refused_by_every_zone(tmp_path: Path) -> None:
    pushed_models.push_unloadable_model()
    assert registry.unloadable_version_is_there("truncated", "unloadable_model")
    assert not registry.every_zone_refused("truncated")  # nobody asked yet
    said = pushed_models.ask_every_zone_to_load("truncated")
    assert len(said) == 2
    assert all("cannot be run" in text for text in said.values())
    assert registry.every_zone_refused("truncated")
    assert answer_probes.zones_answer_right()
    assert pushed_models.withdraw_unloadable_model()["withdrawn"]
    registry.version_is_gone("truncated", "unloadable_model")
    assert not pushed_models.roll_back_unloadable_model()["withdrawn"]
    assert not registry.unloadable_version_stays("truncated")
    assert events(tmp_path) == ["fault_requested", "fault_in_place", "fault_removal_requested", "fault_removed"]


def test_a_zone_that_takes_a_pushed_version_is_seen(fleet: Fleet) -> None:
    status = fleet.client.status()
    breakable, zone = Breakable.of(status), status["zones"][ZONE]
    push(breakable, "2", "sound", {})
    assert not registry.unloadable_version_stays("sound")
    assert load_version(status, ports_of(zone)[0], breakable.model, "sound") == "OK"
    assert not registry.every_zone_refused("sound")
    assert not answer_probes.zones_answer_right()
    assert answer_probes.zones_answer_right(but=ZONE)
    assert load_version(status, ports_of(zone)[0], breakable.model, "1") == "OK"
    assert unload_version(status, ports_of(zone)[0], breakable.model, "sound") == "OK"
    withdraw(breakable, "sound")


def test_a_tampered_model_is_never_served(tmp_path: Path) -> None:
    assert registry.model_file_is_whole(ZONE)
    tampering.tamper_model(ZONE)
    assert registry.model_is_tampered(ZONE, "tampered_model")
    assert answer_probes.zones_answer_right(0.3)
    tampering.restart_zone(ZONE)
    assert answer_probes.zone_never_serves(ZONE, 10)
    assert answer_probes.zones_answer_right(but=ZONE)
    assert not answer_probes.zones_answer_right()
    assert tampering.restore_model(ZONE)["restored"]
    registry.model_is_its_own(ZONE, "tampered_model")
    assert tampering.roll_back_tampering(ZONE) == {"restored": False, "started": False}
    assert events(tmp_path) == ["fault_requested", "fault_in_place", "fault_removal_requested", "fault_removed"]


def test_a_zone_that_serves_after_all_is_seen() -> None:
    tampering.restart_zone(ZONE)
    assert not answer_probes.zone_never_serves(ZONE, 20)


def test_tampering_is_undone_by_the_rollback_alone_whether_the_zone_was_restarted_or_not() -> None:
    for restarted in (False, True):
        tampering.tamper_model(ZONE)
        if restarted:
            tampering.restart_zone(ZONE)
            assert answer_probes.zone_never_serves(ZONE, 10)
        assert tampering.roll_back_tampering(ZONE)["restored"]
        edge_sends_to_every_zone()


def test_a_worse_model_is_promoted_noticed_and_taken_back_twice(fleet: Fleet, tmp_path: Path) -> None:
    assert not answer_probes.wrong_answers_are_detected("worse_model", 0.3)  # the zones serve, and are right
    for _ in range(2):
        promoted = pushed_models.promote_worse_model()
        assert promoted["wrong_share"] > 0.9
        answer_probes.worse_model_answers("silently-worse", "worse_model")
        assert answer_probes.wrong_answers_are_detected("worse_model", 1.0)
        assert pushed_models.roll_back_worse_model()["taken_back"]
        assert not pushed_models.roll_back_worse_model()["taken_back"]
    status = fleet.client.status()
    seen = known_versions(status, ports_of(status["candidate"])[0])
    assert seen == {"1": ("UNAVAILABLE", "not loaded"), "2": ("READY", "current")}
    assert events(tmp_path).count("wrong_answers_detected") == 2


def test_a_new_version_that_answers_right_is_not_taken_for_a_worse_one(fleet: Fleet) -> None:
    status = fleet.client.status()
    breakable, [candidate] = Breakable.of(status), ports_of(status["candidate"])
    push(breakable, "2", "sound", {})
    assert load_version(status, candidate, breakable.model, "sound") == "OK"
    fleet.client.route("candidate", mirror=False)
    assert not answer_probes.wrong_answers_are_detected("worse_model", 0.3)
    fleet.client.route("primary", mirror=False)
    assert load_version(status, candidate, breakable.model, "2") == "OK"
    assert unload_version(status, candidate, breakable.model, "sound") == "OK"
    withdraw(breakable, "sound")


def test_a_revoked_key_is_refused_within_two_seconds_and_counts_again(tmp_path: Path) -> None:
    assert credential_probes.second_key_is_answered()
    assert not credential_probes.second_key_is_refused(0.2)
    credentials.revoke_second_key()
    assert credential_probes.second_key_is_revoked_on_disk("revoked_key")
    assert credential_probes.second_key_is_refused(2)
    assert credential_probes.load_key_is_answered()
    with pytest.raises(ActivityFailed, match="undo that first"):
        credentials.revoke_second_key()
    assert credentials.roll_back_revocation()["restored"]
    assert not credentials.roll_back_revocation()["restored"]
    assert not credential_probes.second_key_is_revoked_on_disk("revoked_key")
    assert events(tmp_path)[-2:] == ["fault_removal_requested", "fault_removed"]


def test_tokens_of_a_clock_that_is_off_count_within_the_leeway() -> None:
    assert credential_probes.tokens_are_accepted()
    assert not credential_probes.tokens_are_refused()
    credentials.skew_issuer_clock(1000)
    assert credential_probes.issuer_clock_is_off(1000, "clock_skew")
    for ahead_s, accepted in ((45, False), (15, True), (-105, False), (-75, True)):
        credentials.turn_issuer_clock(ahead_s)
        assert credential_probes.issuer_clock_stays_off(ahead_s)
        assert not credential_probes.issuer_clock_is_right("clock_skew")
        assert credential_probes.tokens_are_accepted() is accepted
        assert credential_probes.tokens_are_refused() is not accepted
    assert credential_probes.load_key_is_answered()
    assert credentials.roll_back_skew()["was_ahead_s"] == -75
    assert credentials.roll_back_skew()["was_ahead_s"] == 0
    assert not credential_probes.issuer_clock_is_off(45, "clock_skew")


@pytest.mark.long
def test_an_expired_certificate_keeps_its_zone_out_until_a_fresh_one_is_put_in_place(fleet: Fleet) -> None:
    pids = fleet.client.status()["zones"][ZONE]["pids"]
    assert handshakes.certificates_say(ZONE)
    certificates.let_certificate_expire(ZONE, 2)
    handshakes.certificate_has_expired(ZONE, "expired_certificate")
    assert not handshakes.certificates_say(ZONE)
    assert not handshakes.certificate_holds_again(ZONE, "expired_certificate", 0.2)
    time.sleep(1.5)  # three health checks of a zone that runs again
    assert handshakes.edge_keeps_out()
    certificates.renew_certificate(ZONE)
    assert handshakes.certificate_holds_again(ZONE, "expired_certificate")
    edge_sends_to_every_zone()
    assert handshakes.zone_was_not_restarted(ZONE)
    assert fleet.client.status()["zones"][ZONE]["pids"] == pids
    assert not certificates.roll_back_expiry(ZONE)["restored"]


@pytest.mark.long
@pytest.mark.parametrize("path", ["unloadable_model", "tampered_model", "worse_model", "expired_certificate"])
@pytest.mark.parametrize("after_s", [0.05, 0.4, 3.5])
def test_what_a_killed_experiment_left_is_undone_by_its_journal(
    path: str, after_s: float, environment: FaultJournal, tmp_path: Path
) -> None:
    """SIGKILL some time after the fault was written down; then the undo that stands there, twice."""
    process = start_chaos(path, tmp_path, hold_s=5)
    wait_until(lambda: list(environment.directory.glob("*.json")), 20, "the fault is written down")
    time.sleep(after_s)
    process.kill()
    process.wait()
    assert environment.pending()
    for entry in environment.pending():
        module, _, function = entry.undo.partition(":")
        undo = getattr(sys.modules[module], function)
        undo(**entry.arguments)
        undo(**entry.arguments)
        environment.close(entry)
    wait_until(all_zones_serve, 20, "every zone serves")
    edge_sends_to_every_zone()


def start_chaos(name: str, tmp_path: Path, hold_s: float = 0.5) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "chaostoolkit", "--no-version-check", "--settings", str(tmp_path / "none.yaml")]
    command += ["--log-file", str(tmp_path / "chaos.log"), "run", "--rollback-strategy", "always"]
    command += ["--journal-path", str(tmp_path / "journal.json"), f"experiments/local/{name}.json"]
    short = {"GONOGO_BEFORE_S": "0", "GONOGO_HOLD_S": str(hold_s), "GONOGO_AFTER_S": "0", "GONOGO_ZONE": ZONE}
    variables = os.environ | short | {"PYTHONPATH": str(ROOT)}
    with (tmp_path / "chaos.out").open("wb") as output:
        return subprocess.Popen(command, cwd=ROOT, env=variables, stdout=output, stderr=output)
