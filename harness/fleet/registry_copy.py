"""Copies the models that a fleet serves, so that whatever is done to a served model never reaches the user's own.

Rule: the copy has the same bytes, so the same digests and signatures; it is made anew at each start and removed at the
end, and nothing but a folder of this name is ever removed.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from harness.fleet.client import FleetError

if TYPE_CHECKING:
    from pathlib import Path

    from harness.fleet.spec import FleetSpec

SERVED_MODELS = "models-served"
"""Name of the registry that the zones read, in the fleet's directory."""


def copy_registry(spec: FleetSpec) -> Path:
    """A registry with every version of the fleet's model, in its directory; a model that isn't there is left out.

    Raises FleetError if it can't be written, or if the fleet is to serve from where the copy belongs.
    """
    copy = spec.directory / SERVED_MODELS
    if spec.registry.resolve().is_relative_to(copy.resolve()):
        raise FleetError(f"{spec.registry} is where a fleet keeps its own copy of models: serve from another folder")
    remove_registry_copy(spec)
    source = spec.registry / spec.model
    try:
        copy.mkdir(mode=0o700)
        if source.is_dir():  # if not, the service says what is missing
            # Not the modes: a file that only its owner may write would be out of reach for an experiment.
            shutil.copytree(source, copy / spec.model, copy_function=shutil.copyfile)
    except (OSError, shutil.Error) as error:
        raise FleetError(f"{source} can't be copied to {copy}: {error}") from error
    return copy


def remove_registry_copy(spec: FleetSpec) -> None:
    """Delete the fleet's copy, if there is one."""
    shutil.rmtree(spec.directory / SERVED_MODELS, ignore_errors=True)
