"""Says which drill it is: a digest over its name, its targets, and everything that decides what it does.

Rule: two drills with one digest did the same thing. A change of a target, of the zones, of the experiment, of the
drill's own code or of the service that this repository runs as zones makes another drill, and what the old one showed
no longer counts. The rest of the Plan is no part of it; the model is the evidence's subject.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

from harness.catalogue import EXPERIMENT_FOLDER
from harness.drill_measures import LOADS
from harness.plan_drills import DEFAULTS

if TYPE_CHECKING:
    from harness.plan_drills import Drill
    from harness.plan_types import Plan

ROOT = Path(__file__).resolve().parents[1]
CODE = (
    "harness/backup.py",
    "harness/durable.py",
    "harness/restore.py",
    "harness/drills/conduct.py",
    "harness/drills/disasters.py",
    "harness/drills/recovery.py",
    "harness/drills/rig.py",
)
"""What makes the disaster and the way back; how a drill is judged is judged anew each time."""
EXPERIMENT_CODE = ("harness/collectors/chaos.py", "harness/collectors/breaking.py", "harness/collectors/chaos_run.py")
"""What runs the experiment that a drill rehearses; its actions and probes may be any module of the experiments."""
SERVICE, SERVICE_DATA = "reference_service", ("trust.json",)
"""The service that every drill is held with, and what of its package decides beside code whom and what it trusts."""


def targets_of(name: str, plan: Plan) -> Drill:
    """The Plan's targets for the drill `name`, or the defaults where it names none."""
    return plan.drills.get(name, DEFAULTS[name])  # type: ignore[call-overload,no-any-return]  # the keys are the names


def definition(name: str, plan: Plan, root: Path = ROOT) -> str:
    """The digest of the drill `name` under this Plan, in hex; one of a file that can't be read is like no other.

    The code is that below `root`.
    """
    files = {path.relative_to(root).as_posix(): _digest(path) for path in _code(name, root)}
    experiment = plan.experiments.get(LOADS[name]) if name in LOADS else None
    document = {
        "name": name,
        "targets": dataclasses.asdict(targets_of(name, plan)),
        "zones": plan.target.zones,
        "processes_per_zone": plan.target.processes_per_zone,
        "files": files,
        "experiment": experiment and _digest(EXPERIMENT_FOLDER / experiment.file_of(LOADS[name])),
    }
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def _code(name: str, root: Path) -> list[Path]:
    """Every file of code that decides what the drill does, and what it does it to."""
    service = root / SERVICE
    files = [*(root / file for file in CODE), *service.rglob("*.py"), *(service / file for file in SERVICE_DATA)]
    if name in LOADS:
        files += [*(root / file for file in EXPERIMENT_CODE), *(root / "experiments").rglob("*.py")]
    return files


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return "not there"
