"""Whatever is killed in an experiment, whenever: the next command leaves all whole, and its gate does not pass."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from harness.fault_journal import FAULTS_VARIABLE, FaultJournal
from harness.process_identity import Life, ProcessIdentity
from tests.integration.processes import PLAN, ROOT, events, family, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow

MOMENTS = 10
SEED = 5
LENGTH_S = 10.0
"""From the start of the experiment until soon before it ends by itself."""
VICTIMS = {
    "harness": ("experiment_run",),
    "chaos": ("chaostoolkit",),
    "locust": ("locust",),
    "all at once": ("experiment_run", "harness.fleet.supervisor", "chaostoolkit"),
}


@dataclass(frozen=True)
class Place:
    """Where one test's commands keep everything: short enough for sockets, and theirs alone."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """Also the mark by which every process of this test is found again."""
        own = {"TMPDIR": str(self.folder), FAULTS_VARIABLE: str(self.folder / "faults"), "PYTHONPATH": str(ROOT)}
        return os.environ | own | {"GONOGO_FLEET": str(self.folder / "f" / "fleet.sock")}

    @property
    def runs(self) -> Path:
        return self.folder / "runs"

    def gonogo(self, *command: str) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", "harness.cli", *command]
        return subprocess.run(
            line, cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=90, check=False
        )

    def left(self) -> list[str]:
        """Every process that was started here, by whom and in whatever session, and still lives."""
        mark = (FAULTS_VARIABLE, self.environment[FAULTS_VARIABLE])
        found = []
        for process in psutil.process_iter(["cmdline", "environ", "status"]):
            words = process.info["cmdline"] or []
            ours = mark in (process.info["environ"] or {}).items() or any(str(self.folder) in word for word in words)
            if ours and process.info["status"] != psutil.STATUS_ZOMBIE:
                found.append(" ".join(words))
        return found


@pytest.fixture
def place() -> Iterator[Place]:
    folder = Path(tempfile.mkdtemp(prefix="kill-"))
    yield Place(folder)
    shutil.rmtree(folder)


def started_experiment(place: Place) -> subprocess.Popen[bytes]:
    """A run whose one experiment has just begun."""
    command = [sys.executable, "-m", "tests.integration.experiment_run", "run", str(PLAN), "--runs", str(place.runs)]
    log = (place.folder / "log").open("wb")
    with log:
        run = subprocess.Popen(command, cwd=ROOT, env=place.environment, stdout=log, stderr=log, start_new_session=True)
    wait_for(lambda: [item for item in events(place.runs) if item["event"] == "experiment_started"], 60, "it began")
    return run


def kill(run: subprocess.Popen[bytes], names: tuple[str, ...]) -> list[ProcessIdentity]:
    """SIGKILL those that the names mean; returns everything that lived before."""
    everything = [psutil.Process(run.pid), *family(run)]
    identities = [ProcessIdentity.of(item.pid) for item in everything]
    victims = [item for item in everything if any(name in " ".join(item.cmdline()[:9]) for name in names)]
    assert len(victims) == len(names), f"{names} were not all there: {victims}"
    for victim in victims:
        os.kill(victim.pid, signal.SIGKILL)
    return identities


def ended(run: subprocess.Popen[bytes], place: Place, lived: list[ProcessIdentity]) -> dict[str, Any]:
    """What the next command healed, once it is certain that nothing is broken and nothing lives."""
    run.wait(60)
    healed = place.gonogo("fleet", "heal", "--json")
    assert healed.returncode == 0, healed.stderr
    assert [item for item in lived if item.life() is Life.ALIVE] == []
    assert place.left() == []
    assert FaultJournal(place.folder / "faults").pending() == []
    assert [*place.folder.glob("*/secrets"), *place.folder.glob("gonogo-*/*.sock")] == []
    facts: dict[str, Any] = json.loads(healed.stdout)
    return facts


def judged(place: Place) -> dict[str, Any]:
    """What the gate of the experiment says of the run."""
    verdict = place.gonogo("judge", str(place.runs), "--json")
    assert verdict.returncode in {1, 3}, verdict.stderr
    result: dict[str, Any] = json.loads(verdict.stdout)["gates"]["zone_failure"]
    return result


def killed_at(place: Place, victim: str, moment_s: float) -> None:
    run = started_experiment(place)
    time.sleep(moment_s)
    last = [item["event"] for item in events(place.runs)][-1]
    lived = kill(run, VICTIMS[victim])
    facts = ended(run, place, lived)
    result = judged(place)
    outcomes = [item["outcome"] for item in facts["faults"]]
    sys.stdout.write(
        f"| {victim} | {moment_s:.1f} | {last} | {outcomes} | {result['outcome']} | {result['reason']} |\n"
    )
    assert result["outcome"] != "PASS"


@pytest.mark.long
def test_an_experiment_that_nobody_kills_passes(place: Place) -> None:
    run = started_experiment(place)
    assert run.wait(60) == 1, "the other gates have no evidence"
    assert judged(place)["outcome"] == "PASS", "else the kills below would prove nothing"


def test_everything_killed_at_once_while_a_zone_is_down(place: Place) -> None:
    run = started_experiment(place)
    wait_for(lambda: [item for item in events(place.runs) if item["event"] == "fault_in_place"], 20, "a zone is down")
    lived = kill(run, VICTIMS["all at once"])
    assert [item["outcome"] for item in ended(run, place, lived)["faults"]] == ["gone with its fleet"]
    assert judged(place)["outcome"] == "UNKNOWN"


@pytest.mark.long
@pytest.mark.parametrize("number", range(MOMENTS))
@pytest.mark.parametrize("victim", VICTIMS)
def test_killed_at_any_moment(place: Place, victim: str, number: int) -> None:
    killed_at(place, victim, random.Random(f"{SEED} {victim} {number}").uniform(0, LENGTH_S))  # noqa: S311 - no secret


def test_an_experiment_by_hand_that_is_killed_while_a_zone_is_down_is_healed_by_hand(place: Place) -> None:
    up = place.gonogo("fleet", "up", str(PLAN))
    assert up.returncode == 0, up.stderr
    try:
        chaos = [sys.executable, "-m", "chaostoolkit", "--no-version-check", "--settings", "none", "run"]
        file = str(ROOT / "experiments" / "local" / "zone_crash.json")
        hold = {"GONOGO_BEFORE_S": "0", "GONOGO_HOLD_S": "60"}
        log = place.folder / "chaos.log"
        with log.open("wb") as output:
            run = subprocess.Popen(
                [*chaos, file], cwd=place.folder, env=place.environment | hold, stdout=output, stderr=output
            )
        wait_for(lambda: zones(place)["zone-b"]["state"] == "down", 30, "zone-b is down")
        assert zones(place)["zone-b"]["state"] == "down", "its maker lives: no command may heal it"
        run.kill()
        run.wait(5)
        healed = place.gonogo("fleet", "heal", "--json")
        assert healed.returncode == 0, healed.stderr
        (fault,) = json.loads(healed.stdout)["faults"]
        assert (fault["fault"], fault["subject"], fault["outcome"]) == ("zone_crash", "zone-b", "undone")
        assert {zone["state"] for zone in zones(place).values()} == {"up"}
        assert place.gonogo("fleet", "heal").stdout == "nothing was left broken\n"
    finally:
        place.gonogo("fleet", "down")
    assert place.left() == []


def zones(place: Place) -> dict[str, Any]:
    status = place.gonogo("fleet", "status", "--json")
    found: dict[str, Any] = json.loads(status.stdout)["zones"]
    return found
