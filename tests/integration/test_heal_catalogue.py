"""Every experiment of the catalogue, killed while its fault is made: `gonogo fleet heal` makes the zones whole."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.fault_journal import FaultJournal
from tests.integration.processes import PLAN, ROOT, wait_for
from tests.integration.test_kills import Place, zones

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.slow, pytest.mark.long]

EXPERIMENTS = sorted(path.stem for path in (ROOT / "experiments" / "local").glob("*.json"))
BITES_S = 1.0
"""From the request until a fault is made: a zone killed, a sidecar started, a model pushed."""


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """A fleet that is up, for all of them in turn: what one leaves broken, the next would meet."""
    found = Place(Path(tempfile.mkdtemp(prefix="kill-")))
    up = found.gonogo("fleet", "up", str(PLAN))
    assert up.returncode == 0, up.stderr
    yield found
    down = found.gonogo("fleet", "down")
    assert down.returncode == 0, down.stderr
    assert found.left() == []
    shutil.rmtree(found.folder)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_killed_in_the_middle_it_is_healed_by_hand(place: Place, name: str) -> None:
    journal = FaultJournal(place.folder / "faults")
    chaos = [sys.executable, "-m", "chaostoolkit", "--no-version-check", "--settings", "none", "run"]
    pauses = {"GONOGO_BEFORE_S": "0", "GONOGO_HOLD_S": "60"}
    with (place.folder / f"{name}.log").open("wb") as log:
        file = str(ROOT / "experiments" / "local" / f"{name}.json")
        run = subprocess.Popen([*chaos, file], cwd=place.folder, env=place.environment | pauses, stdout=log, stderr=log)
    try:
        wait_for(lambda: journal.pending() or run.poll() is not None, 40, "a fault is requested")
        time.sleep(BITES_S)
        made = journal.pending()
    finally:
        run.kill()
        run.wait(5)
    assert made, (place.folder / f"{name}.log").read_text()[-2000:]
    healed = place.gonogo("fleet", "heal", "--json")
    assert healed.returncode == 0, healed.stderr
    outcomes = {item["outcome"] for item in json.loads(healed.stdout)["faults"]}
    assert outcomes == {"undone"}
    assert journal.pending() == []
    assert {zone["state"] for zone in zones(place).values()} == {"up"}
