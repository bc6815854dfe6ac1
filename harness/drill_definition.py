"""Says which drill it is: a digest over its name, its targets, and everything that decides what it does.

Rule: two drills with one digest did the same thing. A change of a target, of the experiment or of the drill's own code
makes another drill, and what the old one showed no longer counts. The rest of the Plan is no part of it.
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
    "harness/restore.py",
    "harness/drills/conduct.py",
    "harness/drills/disasters.py",
    "harness/drills/recovery.py",
    "harness/drills/rig.py",
)
"""What makes the disaster and the way back; how a drill is judged is judged anew each time."""


def targets_of(name: str, plan: Plan) -> Drill:
    """The Plan's targets for the drill `name`, or the defaults where it names none."""
    return plan.drills.get(name, DEFAULTS[name])  # type: ignore[call-overload,no-any-return]  # the keys are the names


def definition(name: str, plan: Plan) -> str:
    """The digest of the drill `name` under this Plan, in hex; one of a file that can't be read is like no other."""
    files = [ROOT / file for file in CODE]
    experiment = plan.experiments.get(LOADS[name]) if name in LOADS else None
    if experiment is not None:
        files.append(EXPERIMENT_FOLDER / experiment.file_of(LOADS[name]))
    digests = [_digest(path) for path in files]
    document = {"name": name, "targets": dataclasses.asdict(targets_of(name, plan)), "files": digests}
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return "not there"
