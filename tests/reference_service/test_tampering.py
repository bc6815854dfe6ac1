"""Nothing but what was signed is ever served: not with one byte flipped, not with a file added, not while files change.

Must hold for every byte; positions are sampled, the same each time, with all of what a format's header is made of.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from reference_service import registry
from reference_service.registry import ModelVersion, RegistryError, load_version
from tests.reference_service.running import ROOT, wait_for
from tests.reference_service.signed import sign, trust
from tests.reference_service.tiny_registry import MODEL, WEIGHTS, write_tiny_version

if TYPE_CHECKING:
    from pathlib import Path

FILES = ("model.onnx", "golden.npz", "manifest.json", "signature.json")
HEADER_BYTES = 32
SAMPLED = 120


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory) -> ModelVersion:
    written = write_tiny_version(tmp_path_factory.mktemp("registry"))
    sign(written)
    return written


def load(version: ModelVersion) -> ModelVersion:
    return load_version(version.directory.parents[1], MODEL, "1", trust())


def positions(content: bytes) -> set[int]:
    """The header, the end, and a sample of what lies between; for the model, every byte of its weights too."""
    weights = content.find(WEIGHTS.tobytes())
    at = set(range(min(HEADER_BYTES, len(content)))) | set(range(max(0, len(content) - HEADER_BYTES), len(content)))
    at |= set(range(weights, weights + WEIGHTS.nbytes)) if weights >= 0 else set()
    return at | {int(place) for place in np.random.default_rng(4).integers(0, len(content), SAMPLED)}


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_byte_is_refused_wherever_it_is(version: ModelVersion, name: str) -> None:
    path = version.directory / name
    content = path.read_bytes()
    served = []
    for position, flip in itertools.product(sorted(positions(content)), (0x01, 0x80)):
        path.write_bytes(content[:position] + bytes([content[position] ^ flip]) + content[position + 1 :])
        try:
            served.append((position, flip, load(version)))
        except RegistryError:
            continue
        finally:
            path.write_bytes(content)
    assert not served
    assert load(version).digest == version.digest


def test_the_sample_covers_the_weights(version: ModelVersion) -> None:
    content = version.model_bytes
    assert content.count(WEIGHTS.tobytes()) == 1
    assert content.find(WEIGHTS.tobytes()) in positions(content)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("change", ["cut short", "one byte longer", "empty", "a folder", "a pipe", "gone"])
def test_a_file_of_another_size_or_kind_is_refused(tmp_path: Path, name: str, change: str) -> None:
    version = write_tiny_version(tmp_path)
    sign(version)
    path = version.directory / name
    content = path.read_bytes()
    path.unlink()
    if change == "a folder":
        path.mkdir()
    elif change == "a pipe":
        os.mkfifo(path)
    elif change != "gone":
        sizes = {"cut short": content[:-1], "one byte longer": content + b"\0", "empty": b""}
        path.write_bytes(sizes[change])
    with pytest.raises(RegistryError):
        load(version)


@pytest.mark.parametrize("stranger", ["extra.py", ".hidden", "model.onnx.data", "reference.json"])
def test_a_file_that_the_manifest_does_not_name_is_refused(tmp_path: Path, stranger: str) -> None:
    version = write_tiny_version(tmp_path)
    sign(version)
    (version.directory / stranger).write_bytes(b"")
    with pytest.raises(RegistryError, match=f"holds '{stranger}', which its manifest does not name"):
        load(version)


def test_a_file_swapped_right_after_it_was_read_is_not_what_is_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The attacker with the best timing of all: whoever reads a file a second time gets the forged one."""
    genuine, forged = write_tiny_version(tmp_path), write_tiny_version(tmp_path / "forged", "1", 2 * WEIGHTS)
    sign(genuine)
    read = registry._read

    def read_then_swap(path: Path, bytes_max: int) -> bytes:
        content = read(path, bytes_max)
        path.write_bytes(b"{}" if path.name == "signature.json" else (forged.directory / path.name).read_bytes())
        return content

    monkeypatch.setattr(registry, "_read", read_then_swap)
    loaded = load(genuine)
    assert (loaded.model_bytes, loaded.golden_bytes) == (genuine.model_bytes, genuine.golden_bytes)
    assert (loaded.digest, loaded.manifest) == (genuine.digest, genuine.manifest)
    assert (genuine.directory / "model.onnx").read_bytes() == forged.model_bytes
    monkeypatch.undo()
    with pytest.raises(RegistryError, match=r"signature.json is malformed"):
        load(genuine)


def test_files_swapped_in_a_loop_while_loading_never_serve_what_was_not_signed(tmp_path: Path) -> None:
    """Another process exchanges every file between the signed version and a forged one, as fast as it can."""
    genuine, forged = write_tiny_version(tmp_path), write_tiny_version(tmp_path / "forged", "1", 2 * WEIGHTS)
    sign(genuine)
    shutil.copytree(genuine.directory, tmp_path / "kept")
    shutil.copy(genuine.directory / "signature.json", forged.directory)
    loop = (
        "import itertools, os, shutil, sys\n"
        "kept, forged, live, waiting = sys.argv[1:]\n"
        "for source in itertools.cycle((kept, forged)):\n"
        "    for name in ('golden.npz', 'model.onnx', 'manifest.json', 'signature.json'):\n"
        "        shutil.copy(f'{source}/{name}', waiting)\n"
        "        os.replace(waiting, f'{live}/{name}')\n"
    )
    folders = [tmp_path / "kept", forged.directory, genuine.directory, tmp_path / "waiting"]
    outcomes = {"served": 0, "refused": 0}

    def load_once() -> bool:
        try:
            loaded = load(genuine)
            outcomes["served"] += 1
        except RegistryError:
            outcomes["refused"] += 1
        else:
            assert (loaded.model_bytes, loaded.golden_bytes) == (genuine.model_bytes, genuine.golden_bytes)
        return min(outcomes.values()) >= 20

    with subprocess.Popen([sys.executable, "-c", loop, *map(str, folders)], cwd=ROOT) as swapping:
        try:
            wait_for(load_once)
        finally:
            swapping.kill()
