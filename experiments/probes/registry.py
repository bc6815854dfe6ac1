"""Reads the fleet's copy of the registry: its files on the disk, and what each zone says of its versions.

Rule: see `experiments.probes`. Whether a file is itself, its manifest's digest says, which no experiment changes.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from experiments import faults
from experiments.calls import known_versions, ports_of
from experiments.fleet import client, group
from experiments.kept import digest_of
from experiments.probes.answers import zone_says_serving
from experiments.probes.waiting import wait
from experiments.pushed import MANIFEST_FILE, MODEL_FILE, runs, version_folder
from harness.fleet.breakable import Breakable

if TYPE_CHECKING:
    from pathlib import Path

REGISTRY = "registry"

Status = dict[str, Any]


def served_model(status: Status, zone: str) -> Path:
    """The model file that the zone was started for."""
    return version_folder(Breakable.of(status), group(status, zone)["version"]) / MODEL_FILE


def model_file_is_whole(zone: str) -> bool:
    """Whether the file of the model that the zone serves is the one that its manifest names."""
    model = served_model(client().status(), zone)
    stated = json.loads((model.parent / MANIFEST_FILE).read_bytes())["files"][MODEL_FILE]["sha256"]
    return bool(digest_of(model) == stated)


def model_is_tampered(zone: str, fault: str) -> bool:
    """Whether the model file is not the one that its manifest names; then records `fault_in_place`."""
    if tampered := model_stays_tampered(zone):
        faults.in_place(fault, zone, "SHA-256 of the file", file=str(served_model(client().status(), zone)))
    return tampered


def model_stays_tampered(zone: str) -> bool:
    """Whether the model file is still not the one that its manifest names."""
    return not model_file_is_whole(zone)


def model_is_its_own(zone: str, fault: str, limit_s: float = 20.0) -> dict[str, Any]:
    """The model file is the one that its manifest names and the zone serves; records `fault_removed`."""
    wait(lambda: model_file_is_whole(zone) and zone_says_serving(zone), limit_s, f"{zone} does not serve its own model")
    return {"zone": zone, "seen_ns": faults.gone(fault, zone, "SHA-256 of the file and a direct health call")}


def unloadable_version_is_there(version: str, fault: str) -> bool:
    """Whether the version lies there and an engine of our own makes nothing of it; then records `fault_in_place`."""
    if there := unloadable_version_stays(version):
        faults.in_place(fault, REGISTRY, "ONNX Runtime on the file", version=version)
    return there


def unloadable_version_stays(version: str) -> bool:
    """Whether the version still lies there and an engine of our own still makes nothing of it."""
    folder = version_folder(Breakable.of(client().status()), version)
    return folder.is_dir() and not runs((folder / MODEL_FILE).read_bytes())


def every_zone_refused(version: str) -> bool:
    """Whether every process of every zone knows the version, doesn't have it loaded, and says why it could not be."""
    return all(
        seen.get(version, ("", ""))[0] == "UNAVAILABLE" and seen[version][1] not in {"", "not loaded"}
        for seen in _seen_by_zones()
    )


def version_is_gone(version: str, fault: str, limit_s: float = 5.0) -> dict[str, Any]:
    """The version's folder is gone and no zone knows it; records `fault_removed`."""
    folder = version_folder(Breakable.of(client().status()), version)
    wait(
        lambda: not folder.exists() and not any(version in seen for seen in _seen_by_zones()),
        limit_s,
        f"version {version} is still in the registry",
    )
    return {"version": version, "seen_ns": faults.gone(fault, REGISTRY, "file system and every zone's index")}


def version_is_unknown(version: str) -> bool:
    """Whether the registry has no such version: the experiment that pushes it starts from that."""
    return not version_folder(Breakable.of(client().status()), version).exists()


def _seen_by_zones() -> list[dict[str, tuple[str, str]]]:
    """State and reason of each version, for every process of every zone."""
    status = client().status()
    return [known_versions(status, at) for zone in status["zones"].values() for at in ports_of(zone)]
