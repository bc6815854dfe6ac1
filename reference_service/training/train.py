"""`reference-service train`: from the flights to a version in a registry, and the card that describes it.

Rule: a version is a function of the installed data, its windows and the seed; no clock, path or machine name enters
its files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it publishes none

from reference_service.manifest import GOLDEN_FILE, MODEL_FILE, REFERENCE_FILE
from reference_service.publishing import write_version
from reference_service.training.card import write_card
from reference_service.training.data import Data, read
from reference_service.training.document import NAME, Job, describe
from reference_service.training.features import build
from reference_service.training.graph import export
from reference_service.training.networks import Recipe, fit
from reference_service.training.reference import describe_training
from reference_service.training.windows import WINDOWS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from reference_service.registry import ModelVersion

SEED = 2013


class TrainingError(Exception):
    """No version came of it; the text says why and what to do."""


def train(
    version: str,
    output: Path,
    *,
    seed: int = SEED,
    recipe: Recipe = Recipe(),  # noqa: B008 - frozen
    data: Data | None = None,
    report: Callable[[str], None] = lambda _line: None,
) -> ModelVersion:
    """Train `version` into the registry `output` and write the model's card there.

    `report` is told, line by line, what is being done.

    Raises:
        TrainingError: The version is unknown.
        ParityError: The exported graph doesn't compute what was trained.
        DataError: The data isn't installed.
        RegistryError: The registry holds another version of that name.
    """
    if version not in WINDOWS:
        raise TrainingError(f"there is no recipe for version {version}: choose one of {', '.join(WINDOWS)}")
    report("reading flights and weather")
    data = data or read()
    report(f"building features of {len(data.flights)} flights")
    job = Job(version, data, build(data), recipe, seed)
    with threadpool_limits(limits=1):  # the same sums in the same order each time
        trained = fit(job.matrix("fit"), job.late("fit"), job.day("fit"), recipe=recipe, seed=seed, report=report)
        report("exporting and measuring")
        model = export(trained)
        document, golden = describe(job, trained, model)
    files = {MODEL_FILE: model, GOLDEN_FILE: golden, REFERENCE_FILE: describe_training(job, model)}
    written = write_version(output, document, files)
    report(f"wrote {written.subject}")
    write_card(output, NAME)
    return written
