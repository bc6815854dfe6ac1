"""What is served: a version of a model with everything that a call needs of it.

Rule: a call takes what it needs once, at its beginning, and so ends on the version that it began with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reference_service.errors import UnknownModelError, shown

if TYPE_CHECKING:
    from reference_service.contract import Contract
    from reference_service.engines import Engine
    from reference_service.registry import ModelVersion


@dataclass(frozen=True, slots=True)
class Served:
    """A loaded version."""

    contract: Contract
    engine: Engine
    version: ModelVersion


class ServedModels:
    """The versions loaded."""

    def __init__(self, current: Served) -> None:
        self.current = current

    def serves(self, model: str, version: str) -> bool:
        """Whether this is a model that can be asked here; an empty version means the current one."""
        return self.current.contract.serves(model, version)

    def find(self, model: str, version: str) -> Served:
        """The version that a request names; raises UnknownModelError."""
        contract = self.current.contract
        if model != contract.model:
            raise UnknownModelError(f"model {shown(model)} is not served here; this is {contract.model!r}")
        if version not in {"", contract.version}:
            raise UnknownModelError(
                f"version {shown(version)} of {contract.model!r} is not served here; this is {contract.version!r}"
            )
        return self.current
