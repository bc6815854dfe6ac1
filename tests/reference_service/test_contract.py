"""A contract offers what a manifest with one input and one output declares, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from reference_service.contract import Contract, described
from reference_service.errors import StartError

if TYPE_CHECKING:
    from reference_service.registry import ModelVersion


def test_an_empty_version_means_the_one_served(tiny_version: ModelVersion) -> None:
    contract = Contract.of(tiny_version.manifest)
    assert contract.serves("tiny", "")
    assert contract.serves("tiny", "1")
    assert not contract.serves("tiny", "2")
    assert not contract.serves("", "1")


def test_a_model_with_two_inputs_cannot_be_served(tiny_version: ModelVersion) -> None:
    manifest = replace(tiny_version.manifest, inputs=tiny_version.manifest.inputs * 2)
    with pytest.raises(StartError, match="tiny@1 has not exactly one input and one output"):
        Contract.of(manifest)


def test_a_tensor_is_described_by_name_type_and_shape(tiny_version: ModelVersion) -> None:
    assert described(tiny_version.manifest.inputs[0]) == "'features' FP32 [-1, 3]"
