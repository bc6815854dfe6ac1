"""The real TensorRT and CUDA bindings, without TensorRT's libraries and without a GPU.

Rule: the wheels come from the package index in the versions that constraints.txt pins, into a folder of the caller's.
The bindings want nine functions of three libraries that are not there; stubs that return null let them be imported, and
everything that they declare be read.

    python -m tests.reference_service.engines.real_bindings    # writes typings/ anew
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[3]
STUBS = {"tensorrt": "typings/tensorrt.pyi", "cuda.bindings.runtime": "typings/cuda/bindings/runtime.pyi"}
LIBRARIES = {
    "libnvinfer.so.11": "createInferBuilder_INTERNAL createInferRefitter_INTERNAL createInferRuntime_INTERNAL "
    "getBuilderPluginRegistry getPluginRegistry",
    "libnvonnxparser.so.11": "createNvOnnxParser_INTERNAL createNvOnnxParserRefitter_INTERNAL getNvOnnxParserVersion",
    "libnvinfer_plugin.so.11": "initLibNvInferPlugins",
}
LIMIT_S = 240


def pinned(package: str) -> str:
    """The version of `package` in constraints.txt."""
    found = re.search(rf"^{re.escape(package)}==([\w.]+)", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert found, f"{package} is not pinned"
    return found[1]


def install(folder: Path) -> dict[str, str]:
    """Put the bindings into `folder`; the result is the environment in which Python can import them."""
    wanted = {name: pinned(name) for name in ("cuda-bindings", "cuda-pathfinder")}
    wanted["tensorrt-cu12-bindings"] = pinned("tensorrt-cu12")
    wheels = [f"{name}=={version}" for name, version in wanted.items()]
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    subprocess.run(
        [*pip, "--disable-pip-version-check", "--dest", folder / "wheels", *wheels], check=True, timeout=LIMIT_S
    )
    for wheel in (folder / "wheels").iterdir():
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder / "packages")
    (folder / "packages/tensorrt.py").write_text(
        "from tensorrt_bindings import *\nfrom tensorrt_bindings import __version__\n"
    )
    (folder / "libraries").mkdir()
    for name, functions in LIBRARIES.items():
        _compile(folder / "libraries" / name, functions.split())
    return {**os.environ, "PYTHONPATH": f"{ROOT}:{folder / 'packages'}", "LD_LIBRARY_PATH": str(folder / "libraries")}


def _compile(library: Path, functions: list[str]) -> None:
    compiler = shutil.which("gcc") or shutil.which("cc")
    assert compiler, "a C compiler is needed to stand in for TensorRT's libraries: install gcc"
    source = "".join(f"void *{name}(void) {{ return 0; }}\n" for name in functions)
    command = [compiler, "-shared", "-fPIC", f"-Wl,-soname,{library.name}", "-o", library, "-x", "c", "-"]
    subprocess.run(command, input=source, text=True, check=True, timeout=LIMIT_S)


def describe(module: str, environment: dict[str, str]) -> str:
    """The stub of `module` as the bindings in `environment` declare it."""
    command = [sys.executable, Path(__file__).with_name("describing.py"), module]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=True)
    return done.stdout


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        bindings = install(Path(directory))
        for described, stub in STUBS.items():
            (ROOT / stub).write_text(describe(described, bindings))
