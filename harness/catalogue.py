"""Finds and reads the files of experiments that a Plan names.

Rule: a file that is not there, or that does not say what the harness must know of it, is found before anything is
started. `file` is seen from the folder of experiments; a path from the root is taken as it is.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.extension import Extension, extension_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.plan_types import Plan

EXPERIMENT_FOLDER = Path(__file__).resolve().parents[1] / "experiments"
NEAREST_MAX = 3


class CatalogueError(Exception):
    """An experiment's file can't be used; the text says which and why."""


@dataclass(frozen=True, slots=True)
class ExperimentFile:
    """One experiment as its file has it: where it lies, the digest of its bytes, and what it says of itself."""

    path: Path
    sha256: str
    extension: Extension


def read_experiment(file: str, environment: Mapping[str, str]) -> ExperimentFile:
    """The experiment in `file`, its variables as `environment` sets them. Raises CatalogueError."""
    path = EXPERIMENT_FOLDER / file
    if not path.is_file():
        raise CatalogueError(f"there is no file {file}{_nearest(file)}")
    try:
        content = path.read_bytes()
        return ExperimentFile(path, hashlib.sha256(content).hexdigest(), extension_of(json.loads(content), environment))
    except (OSError, ValueError, AttributeError, KeyError, TypeError) as error:
        raise CatalogueError(f"{file} is no experiment of the catalogue: {error}") from error


def check_files(plan: Plan) -> list[str]:
    """What is wrong with the files of the Plan's experiments, one line a mistake; empty when nothing is."""
    mistakes = []
    for name, experiment in plan.experiments.items():
        try:
            told = read_experiment(experiment.file_of(name), {}).extension
        except CatalogueError as error:
            mistakes.append(f"experiments.{name}: {error}")
            continue
        if experiment.ttd_s_max is not None and not told.detects:
            said = f"{experiment.file_of(name)} breaks nothing that the edge should stop sending to (detects is false)"
            mistakes.append(f"experiments.{name}.ttd_s_max: {said}; leave the limit out")
    return mistakes


def _nearest(file: str) -> str:
    """The files whose names are near to that of `file`, or all that there are."""
    known = {path.stem: path.relative_to(EXPERIMENT_FOLDER).as_posix() for path in EXPERIMENT_FOLDER.glob("*/*.json")}
    near = [
        known[stem] for stem in difflib.get_close_matches(Path(file).stem, sorted(known), n=NEAREST_MAX, cutoff=0.5)
    ]
    return f"; did you mean {' or '.join(near)}?" if near else f"; there are {', '.join(sorted(known.values()))}"
