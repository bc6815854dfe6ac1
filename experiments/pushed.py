"""Pushes a version of the fleet's model into the fleet's own copy of the registry, signed as a release would be.

Rule: only the service's own command signs, by the key that this fleet alone trusts. A pushed version has a name that no
release has, and taking it away may be repeated.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from chaoslib.exceptions import ActivityFailed

from harness.fleet.tether import tethered

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from harness.artifact import Artifact
    from harness.fleet.breakable import Breakable

SIGN_LIMIT_S = 30.0
MODEL_FILE, GOLDEN_FILE, MANIFEST_FILE, SIGNATURE_FILE = "model.onnx", "golden.npz", "manifest.json", "signature.json"


def version_folder(breakable: Breakable, version: str) -> Path:
    """Where a version of the fleet's model lies, or would."""
    return Path(breakable.registry) / breakable.model / version


def push(breakable: Breakable, base: str, version: str, changed: Mapping[str, bytes]) -> Path:
    """Add `version`, which is `base` but for the files `changed`, with digests that fit and a signature that counts."""
    source, folder = version_folder(breakable, base), version_folder(breakable, version)
    manifest = json.loads((source / MANIFEST_FILE).read_bytes()) | {"version": version}
    folder.mkdir()
    for name in manifest["files"]:
        content = changed.get(name) or (source / name).read_bytes()
        (folder / name).write_bytes(content)
        manifest["files"][name] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    (folder / MANIFEST_FILE).write_text(json.dumps(manifest, indent=1, sort_keys=True))
    _sign(breakable, version)
    return folder


def withdraw(breakable: Breakable, version: str) -> bool:
    """Remove a pushed version from the registry; returns whether it was there."""
    folder = version_folder(breakable, version)
    found = folder.exists()
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        raise ActivityFailed(f"{folder} can't be removed: remove it by hand")
    return found


def runs(model: bytes) -> bool:
    """Whether ONNX Runtime makes anything of this model."""
    import onnxruntime as ort  # noqa: PLC0415 - slow to import, and only here

    try:
        ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    except Exception:  # noqa: BLE001 - each of its errors, whatever their types, means that it can't
        return False
    return True


def answers_of(model: bytes, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """What `model` answers to these rows [n, K] on ONNX Runtime's CPU engine, as a golden set records it: [n]."""
    import onnxruntime as ort  # noqa: PLC0415 - slow to import, and only here

    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    answers: NDArray[np.float32] = session.run(None, {session.get_inputs()[0].name: inputs})[0]
    return answers.reshape(len(inputs), -1)[:, 0]


def golden_file(artifact: Artifact, expected: NDArray[np.float32]) -> bytes:
    """The golden set of `artifact` with these answers in place of its own."""
    content = io.BytesIO()
    np.savez(content, inputs=artifact.inputs, labels=artifact.labels, expected=expected)
    return content.getvalue()


def _sign(breakable: Breakable, version: str) -> None:
    command = [sys.executable, "-m", "reference_service.cli", "registry", "sign", breakable.registry]
    command += ["--key", f"file:{breakable.signing_key}", "--model", breakable.model]
    command += ["--version", version, "--days", "1"]
    done = subprocess.run(
        tethered(command), check=False, capture_output=True, text=True, timeout=SIGN_LIMIT_S, stdin=subprocess.DEVNULL
    )
    if done.returncode != 0:
        raise ActivityFailed(f"{version} could not be signed: {done.stderr or done.stdout}")
