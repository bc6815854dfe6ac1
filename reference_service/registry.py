"""The registry: one folder per model version, whose files are exactly what its signed manifest says.

Rule: a file is read once, the signature is checked, then the manifest, then the files, and those very bytes are handed
on: what was checked is what is loaded, whoever writes to the folder meanwhile.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from reference_service.manifest import (
    GOLDEN_FILE,
    MANIFEST_FILE,
    MODEL_FILE,
    REFERENCE_FILE,
    FileFact,
    Manifest,
    ManifestError,
    parse,
)
from reference_service.signing import SIGNATURE_FILE
from reference_service.trust import RefusedError, Trust

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from reference_service.signing import Statement

DOCUMENT_BYTES_MAX: Final = 4 << 20
"""Most that a manifest or a signature may have: they are read before anything says how large they should be."""
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
"""Names of models and versions: no separators and no leading dot, so that none can point out of the registry."""


class RegistryError(Exception):
    """A version can't be had: the text says what is wrong, where, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVersion:
    """A version whose every byte was checked. `digest` is the SHA-256 of the manifest, which names all the rest.

    `signed` is what its signature says, None if no signature was wanted; `reference_bytes` are None if it has none.
    """

    name: str
    version: str
    digest: str
    manifest: Manifest
    model_bytes: bytes
    golden_bytes: bytes
    reference_bytes: bytes | None = None
    directory: Path
    signed: Statement | None = None

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


def load_version(registry: Path, name: str, version: str, trust: Trust) -> ModelVersion:
    """Read and check one version.

    Raises:
        RegistryError: It is not there, `trust` refuses it, or a file is not the one that the manifest names.
        StartError: The record of what was served, which is part of `trust`, can't be read.
    """
    directory = version_directory(registry, name, version)
    content = _read(directory / MANIFEST_FILE, DOCUMENT_BYTES_MAX)
    signed = _admitted(directory, name, version, content, trust)
    manifest = parse_manifest(content, directory)
    if (manifest.name, manifest.version) != (name, version):
        raise RegistryError(
            f"{directory / MANIFEST_FILE} is of {manifest.name}@{manifest.version}, not {name}@{version}: "
            "move the folder to where its manifest says it belongs"
        )
    _refuse_strangers(directory, manifest)
    files = {file: _checked(directory / file, fact) for file, fact in manifest.files.items()}
    return ModelVersion(
        name=name,
        version=version,
        digest=hashlib.sha256(content).hexdigest(),
        manifest=manifest,
        model_bytes=files[MODEL_FILE],
        golden_bytes=files[GOLDEN_FILE],
        reference_bytes=files.get(REFERENCE_FILE),
        directory=directory,
        signed=signed,
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


def version_directory(registry: Path, name: str, version: str) -> Path:
    """Where a version lies; raises RegistryError for names that could point out of the registry."""
    for part in (name, version):
        if not _PLAIN_NAME.fullmatch(part):
            raise RegistryError(f"{part!r} is no name of a model or version: use letters, digits, '.', '_' and '-'")
    return registry / name / version


def parse_manifest(content: bytes, where: Path) -> Manifest:
    """The manifest in `content`; raises RegistryError."""
    try:
        return parse(content)
    except ManifestError as error:
        raise RegistryError(f"the manifest in {where} can't be used: {error}. Write the version anew") from error


def _admitted(directory: Path, name: str, version: str, manifest: bytes, trust: Trust) -> Statement | None:
    path = directory / SIGNATURE_FILE
    signature = _read(path, DOCUMENT_BYTES_MAX) if os.path.lexists(path) and not trust.unsigned_allowed else None
    try:
        return trust.check(name, version, manifest, signature)
    except RefusedError as error:
        raise RegistryError(f"{name}@{version} in {directory} is refused: {error}") from error


def _refuse_strangers(directory: Path, manifest: Manifest) -> None:
    """What nobody vouched for has no business beside what somebody did, even if nothing here would read it."""
    strangers = sorted({path.name for path in directory.iterdir()} - {MANIFEST_FILE, SIGNATURE_FILE, *manifest.files})
    if strangers:
        raise RegistryError(
            f"{directory} holds {', '.join(map(repr, strangers[:3]))}, which its manifest does not name: remove it"
        )


def _read(path: Path, bytes_max: int) -> bytes:
    """The file's content, at most one byte more than `bytes_max`. What is no regular file could block or never end."""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise RegistryError(f"{path} is no regular file: restore it")
            return file.read(bytes_max + 1)
    except OSError as error:
        raise RegistryError(
            f"{path} can't be read ({error.strerror}): check the registry's folder, the model's name and its version"
        ) from error


def _checked(path: Path, expected: FileFact) -> bytes:
    content = _read(path, expected.size_bytes)
    found = FileFact.of(content)
    if found != expected:
        raise RegistryError(
            f"{path} is not the file its manifest names: sha256 {found.sha256[:16]}…, expected "
            f"{expected.size_bytes} bytes, sha256 {expected.sha256[:16]}…. Restore the file, or train it anew"
        )
    return content
