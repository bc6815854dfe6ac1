"""Writing into a registry: a new version, whole or not at all, and the signature that vouches for it.

Rule: a version, once written, never changes; only its signature is replaced, in one step, with a higher counter.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reference_service.manifest import MANIFEST_FILE, FileFact, encode
from reference_service.registry import (
    ModelVersion,
    RegistryError,
    list_versions,
    load_version,
    parse_manifest,
    version_directory,
)
from reference_service.secret import SecretError, resolve
from reference_service.signing import (
    SIGNATURE_FILE,
    SignatureError,
    Statement,
    key_id_of,
    new_key,
    private_pem,
    read_private_key,
    sign,
    unverified,
)
from reference_service.trust import UNSIGNED_ALLOWED, TrustedKey, encode_keys, read_keys

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


def write_version(registry: Path, document: Mapping[str, Any], files: Mapping[str, bytes]) -> ModelVersion:
    """Add a version, unsigned, whole or not at all; its files' digests are put into the manifest here.

    Writing the same version again is harmless. `document` is the manifest without "files".

    Raises:
        RegistryError: Another version of that name exists, or the manifest can't be served.
    """
    content = encode({**document, "files": {name: _fact(data) for name, data in sorted(files.items())}})
    manifest = parse_manifest(content, registry)
    directory = version_directory(registry, manifest.name, manifest.version)
    if not directory.exists():
        _place({**files, MANIFEST_FILE: content}, directory)
    written = load_version(registry, manifest.name, manifest.version, UNSIGNED_ALLOWED)
    if written.digest != hashlib.sha256(content).hexdigest():
        raise RegistryError(
            f"{directory} already holds a different {manifest.name}@{manifest.version}, and a version never changes: "
            "choose another version, or another output folder"
        )
    return written


def sign_version(
    version: ModelVersion,
    key: Ed25519PrivateKey,
    *,
    issued: datetime,
    expires: datetime,
    counter: int | None = None,
) -> Statement:
    """Sign a version that was read, and put the signature beside it; one that is there already is replaced.

    Without a `counter` it is one above the highest on any version of the model in its registry.

    Raises:
        RegistryError: The counter is not above what is there, the time is over already, or nothing can be written.
    """
    highest = highest_counter(version.directory.parents[1], version.name)
    if counter is not None and counter <= highest:
        raise RegistryError(f"{version.name} is signed with counter {highest} already: choose a higher one, or none")
    if expires <= issued:
        raise RegistryError(f"the signature would expire at {expires:%Y-%m-%d %H:%M} UTC, which is over: choose later")
    statement = Statement(
        name=version.name,
        version=version.version,
        manifest_sha256=version.digest,
        counter=highest + 1 if counter is None else counter,
        issued=issued,
        expires=expires,
        key_id=key_id_of(key.public_key()),
    )
    _replace(version.directory / SIGNATURE_FILE, sign(statement, key))
    return statement


def highest_counter(registry: Path, name: str) -> int:
    """The highest counter on any version of a model, whoever signed it; 0 if there is none."""
    counters = [0]
    for model, version in list_versions(registry):
        path = version_directory(registry, model, version) / SIGNATURE_FILE
        if model == name and path.is_file():
            try:
                counters.append(unverified(path.read_bytes()).counter)
            except SignatureError:  # it vouches for nothing, and is about to be replaced or found by whoever loads it
                continue
    return max(counters)


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


def _replace(path: Path, content: bytes) -> None:
    """Write beside the version's folder, where an unfinished file is no stranger in it, then rename."""
    try:
        with tempfile.NamedTemporaryFile(dir=path.parents[1], prefix=".signing-", delete=False) as waiting:
            waiting.write(content)
        Path(waiting.name).chmod(0o644)
        Path(waiting.name).replace(path)
    except OSError as error:
        raise RegistryError(f"{path} can't be written ({error}): check the folder and its free space") from error


def make_key(private: Path, trust: Path, models: Sequence[str], about: str = "") -> str:
    """Write a new private key to the new file `private`, which only its owner may read, and trust its public half.

    The result is the key's id. `trust` is made if it isn't there.

    Raises:
        RegistryError: A file can't be written, or `private` exists: a key is never overwritten.
        StartError: `trust` is no trust file.
    """
    key = new_key()
    public = key.public_key()
    entry = TrustedKey(public_key=b64encode(public.public_bytes_raw()).decode(), models=list(models), about=about)
    keys = (read_keys(trust) if trust.exists() else {}) | {key_id_of(public): entry}
    try:
        with os.fdopen(os.open(private, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(private_pem(key))
        trust.write_bytes(encode_keys(keys))
    except OSError as error:
        raise RegistryError(f"{error.filename} can't be written: {error.strerror}") from error
    return key_id_of(public)


def signing_key(reference: str) -> Ed25519PrivateKey:
    """The private key that `reference` leads to; raises RegistryError, which never shows what it found."""
    try:
        return read_private_key(resolve(reference))
    except (SecretError, SignatureError) as error:
        raise RegistryError(f"there is no signing key: {error}") from error
