"""What the model registry says of a version, read as any outsider would: from its files, not through the service.

Rule: digests are checked before content is believed. The subject of a run is the digest of the manifest.
"""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path


class ArtifactError(Exception):
    """The version's files are missing or are not what its manifest says."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """One version of a model: its manifest and its golden set (inputs [n, k] float32, expected [n], labels [n])."""

    manifest: dict[str, Any]
    subject: str
    inputs: np.ndarray
    expected: np.ndarray
    labels: np.ndarray


def load_artifact(registry: Path, model: str, version: str) -> Artifact:
    """Read `registry/model/version`. Raises ArtifactError."""
    folder = registry / model / version
    try:
        content = (folder / "manifest.json").read_bytes()
        manifest: dict[str, Any] = json.loads(content)
        golden = (folder / "golden.npz").read_bytes()
        stated = manifest["files"]["golden.npz"]["sha256"]
    except (OSError, ValueError, KeyError) as error:
        raise ArtifactError(f"{folder}: not a model version that can be read ({error})") from error
    if hashlib.sha256(golden).hexdigest() != stated:
        raise ArtifactError(f"{folder / 'golden.npz'}: not the file that the manifest names; restore it or train again")
    with np.load(io.BytesIO(golden), allow_pickle=False) as arrays:
        inputs, expected, labels = arrays["inputs"], arrays["expected"], arrays["labels"]
    subject = f"{model}@{version} sha256:{hashlib.sha256(content).hexdigest()[:16]}"
    return Artifact(manifest, subject, inputs, expected.reshape(-1), labels.reshape(-1))
