"""The peers' own virtual environments, made once and kept in a cache folder.

Rule: versions are pinned here. An environment is used only if it was finished from these very pins; a failed one is an
`UnavailableError` that says why, not the end of the comparison.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

INSTALL_LIMIT_S: Final = 900
_FINISHED: Final = "finished.txt"
_SAME_ENGINE: Final = f"onnxruntime=={version('onnxruntime')}"
"""The engine is the same build as ours, so that the servers alone differ."""


class UnavailableError(Exception):
    """A peer can't be had here; the text says why."""


@dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment in `directory`."""

    directory: Path

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.directory / "bin" / "python"

    @property
    def packages(self) -> Path:
        """Where its packages lie."""
        return self.directory / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"

    def version_of(self, package: str) -> str:
        """The version of an installed package."""
        code = f"from importlib.metadata import version; print(version({package!r}))"
        return subprocess.run(
            [self.python, "-c", code], check=True, capture_output=True, text=True, timeout=60
        ).stdout.strip()


def environment(cache: Path, name: str, *requirements: str) -> Environment:
    """The environment `name` of `cache` with `requirements` and our engine's build; made if it is not there.

    Raises:
        UnavailableError: it can't be made.
    """
    pins = "\n".join((*requirements, _SAME_ENGINE))
    made = Environment(cache / name)
    stamp = made.directory / _FINISHED
    if not (stamp.exists() and stamp.read_text() == pins):
        shutil.rmtree(made.directory, ignore_errors=True)
        _run(name, sys.executable, "-m", "venv", str(made.directory))
        install = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:")
        _run(name, str(made.python), *install, *pins.splitlines())
        stamp.write_text(pins)
    return made


def _run(name: str, *command: str) -> None:
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=INSTALL_LIMIT_S)
    except subprocess.TimeoutExpired as error:
        raise UnavailableError(f"installing {name} took more than {INSTALL_LIMIT_S} s") from error
    if done.returncode != 0:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise UnavailableError(f"installing {name} failed: {(errors or done.stderr.splitlines() or ['?'])[-1][:200]}")
