"""The registry: one folder per model version, whose files are exactly what its manifest says.

Rule: a file is read once, checked against the manifest, and those very bytes are handed on, so that what was checked
is what is loaded. A version, once written, never changes.
"""

from __future__ import annotations

import hashlib
import io
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from reference_service.manifest import (
    GOLDEN_FILE,
    MANIFEST_FILE,
    MODEL_FILE,
    FileFact,
    Manifest,
    ManifestError,
    encode,
    parse,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
"""Names of models and versions: no separators and no leading dot, so that none can point out of the registry."""


class RegistryError(Exception):
    """A version can't be had: the text says what is wrong, where, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVersion:
    """A version whose every byte was checked. `digest` is the SHA-256 of the manifest, which names all the rest."""

    name: str
    version: str
    digest: str
    manifest: Manifest
    model_bytes: bytes
    golden_bytes: bytes
    directory: Path

    @property
    def subject(self) -> str:
        """The version as evidence names it."""
        return f"{self.name}@{self.version} sha256:{self.digest[:16]}"


@dataclass(frozen=True, slots=True)
class Golden:
    """Held-out rows with known answers.

    `inputs` f32[n, K]; `labels` u8[n], 1 = late; `expected` f32[n], the model's outputs on ONNX Runtime's CPU engine.
    """

    inputs: NDArray[np.float32]
    labels: NDArray[np.uint8]
    expected: NDArray[np.float32]


def list_versions(registry: Path) -> list[tuple[str, str]]:
    """Every (name, version) that has a manifest, sorted; numeric versions in numeric order. Nothing is checked."""
    if not registry.is_dir():
        raise RegistryError(f"there is no registry at {registry}: name an existing folder, or train a version into it")
    found = [(path.parent.parent.name, path.parent.name) for path in registry.glob(f"*/*/{MANIFEST_FILE}")]
    plain = [item for item in found if all(map(_PLAIN_NAME.fullmatch, item))]
    return sorted(plain, key=lambda item: (item[0], not item[1].isdigit(), item[1].zfill(20)))


def load_version(registry: Path, name: str, version: str) -> ModelVersion:
    """Read and check one version.

    Raises:
        RegistryError: It is not there, or a file is not the one that the manifest names.
    """
    directory = _directory(registry, name, version)
    content = _read(directory / MANIFEST_FILE)
    manifest = _parse(content, directory)
    if (manifest.name, manifest.version) != (name, version):
        raise RegistryError(
            f"{directory / MANIFEST_FILE} is of {manifest.name}@{manifest.version}, not {name}@{version}: "
            "move the folder to where its manifest says it belongs"
        )
    return ModelVersion(
        name=name,
        version=version,
        digest=hashlib.sha256(content).hexdigest(),
        manifest=manifest,
        model_bytes=_checked(directory / MODEL_FILE, manifest.files[MODEL_FILE]),
        golden_bytes=_checked(directory / GOLDEN_FILE, manifest.files[GOLDEN_FILE]),
        directory=directory,
    )


def load_golden(version: ModelVersion) -> Golden:
    """The golden set of a version, from the bytes that were checked."""
    try:
        with np.load(io.BytesIO(version.golden_bytes), allow_pickle=False) as arrays:
            golden = Golden(arrays["inputs"], arrays["labels"], arrays["expected"])
    except (KeyError, ValueError, OSError) as error:
        raise RegistryError(
            f"{version.directory / GOLDEN_FILE} holds no golden set ({error}): train it anew"
        ) from error
    rows, columns = golden.inputs.shape[0], version.manifest.inputs[0].shape[-1]
    if golden.inputs.shape != (rows, columns) or golden.labels.shape != (rows,) or golden.expected.shape != (rows,):
        raise RegistryError(
            f"{version.directory / GOLDEN_FILE} does not fit the model's {columns} inputs: train it anew"
        )
    return golden


def write_version(registry: Path, document: Mapping[str, Any], files: Mapping[str, bytes]) -> ModelVersion:
    """Add a version, whole or not at all; its files' digests are put into the manifest here.

    Writing the same version again is harmless. `document` is the manifest without "files".

    Raises:
        RegistryError: Another version of that name exists, or the manifest can't be served.
    """
    content = encode({**document, "files": {name: _fact(data) for name, data in sorted(files.items())}})
    manifest = _parse(content, registry)
    directory = _directory(registry, manifest.name, manifest.version)
    if not directory.exists():
        _place({**files, MANIFEST_FILE: content}, directory)
    written = load_version(registry, manifest.name, manifest.version)
    if written.digest != hashlib.sha256(content).hexdigest():
        raise RegistryError(
            f"{directory} already holds a different {manifest.name}@{manifest.version}, and a version never changes: "
            "choose another version, or another output folder"
        )
    return written


def _fact(content: bytes) -> dict[str, str | int]:
    fact = FileFact.of(content)
    return {"sha256": fact.sha256, "bytes": fact.size_bytes}


def _place(files: Mapping[str, bytes], directory: Path) -> None:
    """Fill a folder beside `directory`, then rename it: a reader sees the whole version or none."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    waiting = Path(tempfile.mkdtemp(prefix=".writing-", dir=directory.parent))
    try:
        for name, data in files.items():
            (waiting / name).write_bytes(data)
        waiting.chmod(0o755)  # mkdtemp makes it private; a registry is read by the service's own user
        waiting.rename(directory)
    except OSError as error:
        shutil.rmtree(waiting, ignore_errors=True)
        raise RegistryError(f"{directory} can't be written ({error}): check the folder and its free space") from error


def _directory(registry: Path, name: str, version: str) -> Path:
    for part in (name, version):
        if not _PLAIN_NAME.fullmatch(part):
            raise RegistryError(f"{part!r} is no name of a model or version: use letters, digits, '.', '_' and '-'")
    return registry / name / version


def _parse(content: bytes, where: Path) -> Manifest:
    try:
        return parse(content)
    except ManifestError as error:
        raise RegistryError(f"the manifest in {where} can't be used: {error}. Write the version anew") from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise RegistryError(
            f"{path} can't be read ({error.strerror}): check the registry's folder, the model's name and its version"
        ) from error


def _checked(path: Path, expected: FileFact) -> bytes:
    content = _read(path)
    found = FileFact.of(content)
    if found != expected:
        raise RegistryError(
            f"{path} is not the file its manifest names: {found.size_bytes} bytes, sha256 {found.sha256[:16]}…, "
            f"expected {expected.size_bytes} bytes, sha256 {expected.sha256[:16]}…. Restore the file, or train it anew"
        )
    return content
