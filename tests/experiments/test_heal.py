"""Faults whose makers are dead are undone, on real zones of a stand-in service; and only those, and only by actions."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from experiments import faults
from experiments import heal as healing
from experiments.actions.traffic import switch_traffic
from experiments.actions.zones import restore_zone, start_zone
from harness.durable import write_synced
from harness.fault_journal import FAULTS_VARIABLE, FaultJournal, OpenFault
from harness.fleet.commands import SOCKET_VARIABLE
from harness.fleet.lifecycle import Fleet, start_fleet
from tests.harness.dead import dead_identity
from tests.harness.fleet.fleet_support import standin_spec

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
RESTORE = "experiments.actions.zones:restore_zone"


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with start_fleet(standin_spec(tmp_path_factory.mktemp("fleet"), candidate="2"), lease=True) as running:
        yield running


@pytest.fixture
def journal(fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FaultJournal:
    monkeypatch.setenv(FAULTS_VARIABLE, str(tmp_path / "faults"))
    monkeypatch.setenv(SOCKET_VARIABLE, str(fleet.client.socket_path))
    return FaultJournal(tmp_path / "faults")


def orphaned(journal: FaultJournal, **changes: object) -> None:
    """Make every entry so far look as if its maker had been killed."""
    for entry in journal.pending():
        journal.close(entry)
        fields = {"maker": dead_identity()} | changes
        changed = replace(entry, **fields)  # type: ignore[arg-type]
        document = {name: getattr(changed, name) for name in OpenFault.__slots__}
        write_synced(journal.path(changed), json.dumps(document).encode())


def heal(journal: FaultJournal) -> list[tuple[str, str]]:
    return [(line["fault"], line["outcome"]) for line in healing.heal(journal)]


def states(fleet: Fleet) -> list[str]:
    return [zone["state"] for zone in fleet.client.status()["zones"].values()]


def test_a_zone_is_brought_back_and_traffic_with_it(fleet: Fleet, journal: FaultJournal) -> None:
    switch_traffic("candidate")
    faults.request("zone_crash", "zone-b", undo=restore_zone, zone="zone-b")
    fleet.client.kill("zone-b")
    assert heal(journal) == [], "whoever made it may be about to undo it"
    assert states(fleet)[1] == "down"
    orphaned(journal)
    assert heal(journal) == [("zone_crash", "undone"), ("traffic_to_candidate", "undone")]
    assert states(fleet) == ["up"] * 3
    assert fleet.client.status()["route"]["to"] == "primary"
    assert journal.pending() == []


def test_traffic_that_came_back_by_itself_leaves_nothing_to_heal(journal: FaultJournal) -> None:
    switch_traffic("candidate")
    assert [entry.subject for entry in journal.pending()] == ["candidate"]
    switch_traffic("primary")
    assert journal.pending() == []


def test_what_fails_stays_open_and_keeps_nothing_else_from_being_undone(fleet: Fleet, journal: FaultJournal) -> None:
    faults.request("zone_crash", "zone-a", undo=restore_zone, zone="zone-a")
    faults.request("zone_crash", "zone-x", undo=restore_zone, zone="zone-x")
    fleet.client.kill("zone-a")
    orphaned(journal)
    worse, healed = healing.heal(journal)
    assert (worse["subject"], worse["outcome"]) == ("zone-x", "failed")
    assert "zone-x" in worse["reason"]
    assert (healed["subject"], healed["outcome"]) == ("zone-a", "undone")
    assert [entry.subject for entry in journal.pending()] == ["zone-x"]


def test_an_undo_is_not_believed_while_a_zone_does_not_serve(
    fleet: Fleet, journal: FaultJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(healing, "WHOLE_LIMIT_S", 0.5)
    faults.write_down("silent", "zone-a", start_zone, zone="zone-a")
    orphaned(journal)
    fleet.client.freeze("zone-a")
    try:
        (line,) = healing.heal(journal)
        assert (line["outcome"], line["reason"]) == ("failed", "ActivityFailed: not every zone serves after 0.5 s")
        assert len(journal.pending()) == 1
    finally:
        fleet.client.thaw("zone-a")
    assert heal(journal) == [("silent", "undone")]


@pytest.mark.parametrize(
    "undo",
    [
        *("os:system", "experiments.fleet:client", "experiments.actions.zones:client", "experiments.actions.zones:_x"),
        *("experiments.actions.nowhere:undo", "experiments.actionsx:undo", "experiments.actions.zones", ""),
    ],
)
def test_nothing_but_an_action_is_ever_called(journal: FaultJournal, undo: str) -> None:
    journal.open("odd", "zone-a", undo, {}, {})
    orphaned(journal)
    assert heal(journal) == [("odd", "failed")]


def test_what_was_broken_in_zones_that_are_gone_is_gone_with_them(journal: FaultJournal) -> None:
    faults.request("zone_crash", "zone-x", undo=restore_zone, zone="zone-x")
    orphaned(journal, fleet=dead_identity())
    assert heal(journal) == [("zone_crash", "gone with its fleet")]
    assert journal.pending() == []


def test_two_at_once_do_not_both_heal(fleet: Fleet, journal: FaultJournal) -> None:
    faults.request("zone_crash", "zone-c", undo=restore_zone, zone="zone-c")
    fleet.client.kill("zone-c")
    orphaned(journal)
    command = [sys.executable, "-m", "experiments.heal"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with journal.locked(5):
        healers = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) for _ in range(2)]
        with pytest.raises(subprocess.TimeoutExpired):
            healers[0].wait(2.5)
        assert states(fleet)[2] == "down"
    lines = [line for healer in healers for line in healer.communicate(timeout=60)[0].splitlines()]
    assert [healer.returncode for healer in healers] == [0, 0]
    assert [json.loads(line)["outcome"] for line in lines] == ["undone"]
    assert states(fleet)[2] == "up"
