"""Changes the served model on the disk while it is served, and puts it back.

Rule: see `experiments.actions`. Only the fleet's own copy of the registry is written to.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from experiments import faults, kept
from experiments.fleet import client, timeline
from experiments.probes.answers import zone_says_serving
from experiments.probes.registry import model_is_its_own, served_model
from harness.fleet.breakable import Breakable

TAMPERED = "tampered_model"
FLIPPED_BYTES = 64


def tamper_model(zone: str) -> dict[str, Any]:
    """Turn every bit of some bytes in the middle of the model that the zone serves, in the file itself."""
    registry, model = _places(zone)
    requested_ns = faults.request(TAMPERED, zone, undo=roll_back_tampering, zone=zone)
    digest = kept.keep(model, registry)
    with model.open("r+b") as file:
        at = model.stat().st_size // 2
        file.seek(at)
        content = file.read(FLIPPED_BYTES)
        file.seek(at)
        file.write(bytes(byte ^ 0xFF for byte in content))
    return {"file": str(model), "sha256_before": digest, "at_byte": at, "requested_ns": requested_ns}


def restart_zone(zone: str) -> dict[str, Any]:
    """Kill the zone's processes and start them again, which makes them read the model from the disk."""
    fleet = client()
    return {"zone": zone, "killed": fleet.kill(zone)["pids"], "started": fleet.start(zone)["pids"]}


def restore_model(zone: str) -> dict[str, Any]:
    """Put the original model back and start the zone if it does not serve; may be repeated."""
    registry, model = _places(zone)
    restored = kept.put_back(model, registry)
    if restored:
        timeline().add("fault_removal_requested", zone, fault=TAMPERED)
    if serving := zone_says_serving(zone):
        return {"restored": restored, "started": not serving}
    return {"restored": restored, "started": restart_zone(zone)["started"]}


def roll_back_tampering(zone: str) -> dict[str, Any]:
    """The undo: `restore_model`, and the proof of it where a fault is open."""
    done = restore_model(zone)
    if faults.is_open(TAMPERED, zone):
        model_is_its_own(zone, TAMPERED)
    return done


def _places(zone: str) -> tuple[Path, Path]:
    """The registry, and the model file in it that the zone was started for."""
    status = client().status()
    return Path(Breakable.of(status).registry), served_model(status, zone)
