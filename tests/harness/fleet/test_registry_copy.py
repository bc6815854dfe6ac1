"""A fleet serves from its own copy of the models, so that no experiment reaches the user's."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from harness.fleet.client import FleetError
from harness.fleet.registry_copy import copy_registry, remove_registry_copy
from harness.fleet.spec import FleetSpec

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def spec(tmp_path: Path) -> FleetSpec:
    for name in ("models/mine/1/model.onnx", "models/mine/2/model.onnx", "models/other/1/model.onnx"):
        path = tmp_path / name
        path.parent.mkdir(parents=True)
        path.write_bytes(name.encode())
        path.chmod(0o444)
    (tmp_path / "fleet").mkdir()
    return FleetSpec(
        zones=("a",), registry=tmp_path / "models", model="mine", version="1", directory=tmp_path / "fleet"
    )


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_every_version_of_the_model_is_copied_byte_for_byte_and_may_be_written_to(spec: FleetSpec) -> None:
    before = content(spec.registry)
    copy = copy_registry(spec)
    assert content(copy) == {name: text for name, text in before.items() if name.startswith("mine/")}
    (copy / "mine" / "1" / "model.onnx").write_bytes(b"tampered")
    assert content(spec.registry) == before


def test_a_new_start_begins_with_a_fresh_copy_and_the_end_leaves_none(spec: FleetSpec) -> None:
    (copy_registry(spec) / "mine" / "1" / "model.onnx").write_bytes(b"tampered")
    copy = copy_registry(spec)
    assert (copy / "mine" / "1" / "model.onnx").read_bytes() == b"models/mine/1/model.onnx"
    remove_registry_copy(spec)
    remove_registry_copy(spec)
    assert list(spec.directory.iterdir()) == []
    assert content(spec.registry)


def test_a_fleet_never_serves_from_where_a_copy_would_be_removed(spec: FleetSpec) -> None:
    copy = copy_registry(spec)
    for registry in (copy, copy / "mine"):
        with pytest.raises(FleetError, match="serve from another folder"):
            copy_registry(dataclasses.replace(spec, registry=registry))
    assert content(copy)


def test_a_model_that_is_not_there_leaves_the_registry_empty(spec: FleetSpec) -> None:
    assert content(copy_registry(dataclasses.replace(spec, model="unknown"))) == {}
