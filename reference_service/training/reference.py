"""The training reference of a version: what its service compares live traffic with.

Rule: of the rows that the version was fitted on, and of the exported graph's answers to them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference_service.reference import Reference
from reference_service.training.document import answers

if TYPE_CHECKING:
    from reference_service.training.document import Job


def describe_training(job: Job, model: bytes) -> bytes:
    """The content of the version's reference file."""
    matrix = job.matrix("fit")
    return Reference.of(job.features.names, matrix, answers(model)(matrix)).encode()
