"""Without a CUDA driver nothing of TensorRT is made: its runtime would end the process with a segmentation fault."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.reference_service.running import LIMIT_S, ROOT
from tests.reference_service.tiny_registry import MODEL, write_tiny_version

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = """
import sys
from pathlib import Path
from reference_service.engines.choice import choose_engine
from reference_service.errors import StartError
from reference_service.registry import load_version
from reference_service.trust import UNSIGNED_ALLOWED
version = load_version(Path(sys.argv[1]) / "registry", "tiny", "1", UNSIGNED_ALLOWED)
engine, reason = choose_engine("auto", version, 1, Path(sys.argv[1]) / "plans")
print(engine.name, "|", reason)
try:
    choose_engine("tensorrt", version, 1, Path(sys.argv[1]) / "plans")
except StartError as error:
    print(error)
print("tensorrt" in sys.modules)
"""
RUNTIME = """
import enum
class cudaError_t(enum.IntEnum):
    cudaSuccess = 0
    cudaErrorInsufficientDriver = 35
    cudaErrorNoDevice = 100
def cudaGetDeviceCount():
    return cudaError_t[ERROR], None
"""


def asked_for_each_kind(environment: dict[str, str], folder: Path) -> None:
    """Ask for `auto` and for `tensorrt` in processes of their own that can import the bindings but have no driver."""
    subject = write_tiny_version(folder / "registry").subject
    command = [sys.executable, "-c", SCRIPT, str(folder)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    auto, refused, imported = done.stdout.splitlines()
    engine, _, why = auto.partition(" | onnxruntime: ")
    assert engine == "onnxruntime-cpu"
    assert re.fullmatch(r"no CUDA device \(cudaError(InsufficientDriver|NoDevice)\)", why)
    assert refused == f"the engine tensorrt can't run {subject}: {why}"
    assert imported == "False"
    assert not (folder / "plans").exists()
    check = [sys.executable, "-m", "reference_service.cli", "check-gpu", "--registry", folder / "registry"]
    check += ["--model", MODEL, "--version", "1", "--allow-unsigned", "--output", folder / "gpu.json"]
    done = subprocess.run(check, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [f"Error: TensorRT can't run {subject} here: {why}"]
    assert not (folder / "gpu.json").exists()


def test_without_a_driver_auto_says_why_and_tensorrt_refuses(tmp_path: Path) -> None:
    for package in ("cuda", "cuda/bindings", "tensorrt"):
        (tmp_path / "packages" / package).mkdir(parents=True)
        (tmp_path / "packages" / package / "__init__.py").touch()
    for error in ("cudaErrorInsufficientDriver", "cudaErrorNoDevice"):
        folder = tmp_path / error
        (tmp_path / "packages/cuda/bindings/runtime.py").write_text(RUNTIME.replace("ERROR", repr(error)))
        (tmp_path / "packages/tensorrt/__init__.py").write_text("import os\nos.abort()\n")
        path = f"{ROOT}:{tmp_path / 'packages'}"
        asked_for_each_kind({**os.environ, "PYTHONPATH": path}, folder)


def test_without_the_extra_the_reason_names_what_to_install(tmp_path: Path) -> None:
    write_tiny_version(tmp_path / "registry")
    hidden = "import sys; sys.modules['cuda'] = None\n" + SCRIPT
    command = [sys.executable, "-c", hidden, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert "can't be imported: install gonogo with the extra `tensorrt`" in done.stdout.splitlines()[0], done.stderr
