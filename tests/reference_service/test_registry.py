"""The registry hands out only bytes that its manifest names, and never changes a version."""

from __future__ import annotations

import hashlib
import io
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from reference_service.publishing import write_version
from reference_service.registry import RegistryError, list_versions, load_golden, load_version
from reference_service.trust import UNSIGNED_ALLOWED

if TYPE_CHECKING:
    from pathlib import Path


def document(**changes: Any) -> dict[str, Any]:
    columns = [{"name": "a", "min": 0.0, "max": 1.0}, {"name": "b", "min": -1.0, "max": 1.0}]
    return {
        "schema": 1,
        "name": "toy",
        "version": "1",
        "inputs": [{"name": "features", "datatype": "FP32", "shape": [-1, 2], "columns": columns}],
        "outputs": [{"name": "p", "datatype": "FP32", "shape": [-1, 1]}],
        "decision": {"output": "p", "threshold": 0.5, "meaning": "late"},
        "data": {},
        "metrics": {"auc": {"value": 0.7}},
        "framework": {},
        "parameters": 3,
        **changes,
    }


def files(rows: int = 4, columns: int = 2) -> dict[str, bytes]:
    held = io.BytesIO()
    np.savez(
        held,
        inputs=np.ones((rows, columns), np.float32),
        labels=np.zeros(rows, np.uint8),
        expected=np.full(rows, 0.25, np.float32),
    )
    return {"model.onnx": b"graph", "golden.npz": held.getvalue()}


def test_a_written_version_loads_with_the_same_bytes(tmp_path: Path) -> None:
    written = write_version(tmp_path, document(), files())
    loaded = load_version(tmp_path, "toy", "1", UNSIGNED_ALLOWED)
    assert loaded == written
    assert loaded.model_bytes == b"graph"
    assert loaded.digest == hashlib.sha256((tmp_path / "toy/1/manifest.json").read_bytes()).hexdigest()
    assert loaded.subject == f"toy@1 sha256:{loaded.digest[:16]}"
    assert loaded.manifest.inputs[0].columns[1].name == "b"
    assert loaded.manifest.metrics == {"auc": {"value": 0.7}}


def test_golden_comes_from_the_checked_bytes_not_from_the_disk(tmp_path: Path) -> None:
    version = write_version(tmp_path, document(), files())
    (tmp_path / "toy/1/golden.npz").write_bytes(b"changed after the check")
    golden = load_golden(version)
    assert golden.inputs.shape == (4, 2)
    assert golden.inputs.dtype == np.float32
    assert golden.expected.tolist() == [0.25] * 4


def test_golden_of_another_width_is_refused(tmp_path: Path) -> None:
    version = write_version(tmp_path, document(), files(columns=3))
    with pytest.raises(RegistryError, match="does not fit the model's 2 inputs"):
        load_golden(version)


@pytest.mark.parametrize("name", ["model.onnx", "golden.npz"])
def test_one_changed_bit_is_refused_naming_the_file(tmp_path: Path, name: str) -> None:
    write_version(tmp_path, document(), files())
    path = tmp_path / "toy/1" / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(RegistryError, match=rf"{name} is not the file its manifest names.*train it anew"):
        load_version(tmp_path, "toy", "1", UNSIGNED_ALLOWED)


@pytest.mark.parametrize("name", ["model.onnx", "golden.npz", "manifest.json"])
def test_a_missing_file_is_refused_naming_it(tmp_path: Path, name: str) -> None:
    write_version(tmp_path, document(), files())
    (tmp_path / "toy/1" / name).unlink()
    with pytest.raises(RegistryError, match=rf"{name} can't be read \(No such file"):
        load_version(tmp_path, "toy", "1", UNSIGNED_ALLOWED)


@pytest.mark.parametrize("name", ["../toy", ".", "", "toy/1", ".hidden", "toy\n"])
def test_no_name_points_out_of_the_registry(tmp_path: Path, name: str) -> None:
    write_version(tmp_path, document(), files())
    with pytest.raises(RegistryError, match="is no name of a model or version"):
        load_version(tmp_path, name, "1", UNSIGNED_ALLOWED)


def test_a_version_under_another_name_is_refused(tmp_path: Path) -> None:
    write_version(tmp_path, document(), files())
    (tmp_path / "toy/1").rename(tmp_path / "toy/2")
    with pytest.raises(RegistryError, match="is of toy@1, not toy@2"):
        load_version(tmp_path, "toy", "2", UNSIGNED_ALLOWED)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"schema": 2}, "schema is 2"),
        ({"outputs": []}, "must not be empty"),
        ({"decision": {"output": "q", "threshold": 0.5, "meaning": "late"}}, "decision.output must be one of"),
        ({"inputs": [{"name": "features", "datatype": "FP32", "shape": [4, 2]}]}, "the first axis must be the batch"),
        ({"inputs": [{"name": "features", "shape": [-1, 2]}]}, "the field 'datatype' is missing"),
        ({"decision": 3}, "malformed"),
    ],
)
def test_a_manifest_that_cannot_be_served_is_never_written(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(RegistryError, match=said):
        write_version(tmp_path, document(**changes), files())
    assert list(tmp_path.iterdir()) == []


def test_files_beyond_the_known_two_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match=r"files must be model.onnx and golden.npz"):
        write_version(tmp_path, document(), {**files(), "../escape": b""})


def test_writing_the_same_version_twice_is_harmless_and_a_different_one_is_refused(tmp_path: Path) -> None:
    first = write_version(tmp_path, document(), files())
    assert write_version(tmp_path, document(), files()) == first
    with pytest.raises(RegistryError, match="already holds a different toy@1"):
        write_version(tmp_path, document(parameters=4), files())
    assert load_version(tmp_path, "toy", "1", UNSIGNED_ALLOWED) == first
    assert [path.name for path in (tmp_path / "toy").iterdir()] == ["1"]


def test_versions_are_listed_in_numeric_order_without_unfinished_ones(tmp_path: Path) -> None:
    for version in ("10", "9", "2"):
        write_version(tmp_path, document(version=version), files())
    (tmp_path / "toy/.writing-x").mkdir()
    (tmp_path / "toy/.writing-x/manifest.json").write_text(json.dumps({}))
    assert list_versions(tmp_path) == [("toy", "2"), ("toy", "9"), ("toy", "10")]


def test_no_registry_says_so(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="there is no registry at"):
        list_versions(tmp_path / "nowhere")
