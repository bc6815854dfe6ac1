"""The drills in which something is lost that only a backup can bring back: state, or the whole region.

Rule: the disaster strikes under load, is proven by readings that ask nothing of who made it, and everything after it is
done as an operator would: stop, restore, start.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from typing import TYPE_CHECKING

from harness.collectors import CollectError
from harness.drills.recovery import Restored, recover
from harness.drills.rig import POLL_S, listening
from harness.fleet.client import FleetError
from harness.slices import SETTLE_S

if TYPE_CHECKING:
    from pathlib import Path

    from harness.drills.rig import Rig

GONE_LIMIT_S = 10.0
WATCH_S = SETTLE_S + 3.0
"""The load goes on for as long as the target allows, and then for as long as the objective must hold, and some more."""
SUBJECT = {"data_loss": "state", "bad_backup": "state", "region_loss": "region"}


def lose_and_restore(rig: Rig, name: str) -> Restored:
    """Lose what the drill `name` is about, restore it, start again, and see the load to its end."""
    timeline, region = rig.context.run.timeline, name == "region_loss"
    with rig.load(after_s=rig.targets.rto_s_max + WATCH_S) as running:
        ports = rig.ports()
        rig.context.progress.step(f"Disaster: the {SUBJECT[name]} is lost, everything stops", 1)
        since_ns = timeline.add("fault_requested", SUBJECT[name], fault=name)
        (_lose_region if region else _lose_state)(rig)
        _prove_gone(rig.region() if region else [rig.state], ports)
        in_place_ns = timeline.add(
            "fault_in_place", SUBJECT[name], fault=name, reading="file system and kernel's socket table"
        )
        rig.stop_backups()
        restored = recover(rig, registry_too=region, spoil=name == "bad_backup")
        if not restored.backup:
            return restored  # there is nothing to start: the load need not go on
        rig.context.progress.step("Start: the zones, from what was restored", 5)
        try:
            (rig.start_zones if region else rig.restart_zones)()
            timeline.add("fault_removed", SUBJECT[name], fault=name, reading="direct health call")
        except (FleetError, CollectError) as error:
            restored.start_error = str(error)
            timeline.add("start_failed", SUBJECT[name], why=str(error)[:200])
            return restored  # the load would show nothing more
        rig.watch(running, since_ns, in_place_ns)
    return restored


def _lose_state(rig: Rig) -> None:
    """The zones' folders vanish beneath the running service; then every zone is stopped."""
    _delete(rig.state)
    for zone in rig.context.plan.target.zones:
        rig.context.require_fleet().client.kill(zone)
    _delete(rig.state)  # what a zone wrote between the two


def _lose_region(rig: Rig) -> None:
    """Zones, edge and supervisor die at once, as by a power cut; all their files are gone with them."""
    fleet = rig.context.require_fleet()
    os.kill(fleet.client.status()["supervisor"]["pid"], signal.SIGKILL)
    fleet.close()
    for folder in rig.region():
        _delete(folder)


def _delete(folder: Path) -> None:
    """Delete a folder that others may still write to."""
    deadline = time.monotonic() + GONE_LIMIT_S
    while folder.exists():
        if time.monotonic() > deadline:
            raise CollectError(f"{folder} could not be deleted")
        with contextlib.suppress(OSError):
            shutil.rmtree(folder)


def _prove_gone(folders: list[Path], ports: list[int]) -> None:
    """The folders are not there, and nobody listens where the zones did. Raises CollectError."""
    deadline = time.monotonic() + GONE_LIMIT_S
    while left := [*(str(folder) for folder in folders if folder.exists()), *map(str, listening(ports))]:
        if time.monotonic() > deadline:
            raise CollectError(f"the disaster is not in place: {', '.join(left)} is still there")
        time.sleep(POLL_S)
