"""Versions in the form of OpenSSF's model signing: a bundle beside the version's folder, for tools that know no other.

Rule: a bundle binds files and nothing else, neither name nor version, counter or expiry; so a server never goes by one.
It is checked when a version is taken over from somebody else, whose key vouches for it, and then this registry's own
signature does. What is checked are copies of the bytes that were read, never what lies in the folder by then.
"""

from __future__ import annotations

import hashlib
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reference_service.manifest import GOLDEN_FILE, MANIFEST_FILE, MODEL_FILE, REFERENCE_FILE
from reference_service.registry import RegistryError
from reference_service.secret import SecretError, resolve
from reference_service.signing import SIGNATURE_FILE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reference_service.registry import ModelVersion


def export_bundle(version: ModelVersion, key_reference: str, bundle: Path) -> None:
    """Sign the version's folder, its own signature included, with an elliptic-curve key; write `bundle`.

    `model_signing verify key FOLDER --signature BUNDLE --public_key KEY` then accepts the folder as it lies there.

    Raises:
        RegistryError: The extra `oms` is not installed, the key is of another kind, or the bundle can't be written
            (it must lie outside the folder, where it would be a file that nobody signed).
    """
    signing, _ = _library()
    if bundle.resolve().is_relative_to(version.directory.resolve()):
        raise RegistryError(f"{bundle} would lie in the version's folder: name a file outside of it")
    with _copied(version) as folder, tempfile.NamedTemporaryFile() as key:
        try:
            key.write(resolve(key_reference))
            key.flush()
            signer = signing.Config().use_elliptic_key_signer(private_key=key.name)
            signer.sign(folder, bundle)
        except (SecretError, OSError) as error:
            raise RegistryError(f"{bundle} was not written: {error}") from error
        except (AttributeError, TypeError, ValueError):  # what the library makes of other keys; may show their file
            raise RegistryError(f"{bundle} was not written: an elliptic-curve key in PEM is needed") from None


def check_bundle(version: ModelVersion, public_key: Path, bundle: Path) -> None:
    """Return if `bundle` vouches for exactly the version's files, signed by the elliptic-curve key in `public_key`.

    Raises:
        RegistryError: It doesn't, or the extra `oms` is not installed.
    """
    _, verifying = _library()
    with _copied(version) as folder:
        try:
            verifying.Config().use_elliptic_key_verifier(public_key=public_key).verify(folder, bundle)
        except Exception as error:
            raise RegistryError(f"{bundle} does not vouch for {version.subject}: {error}") from error


def _library() -> tuple[Any, Any]:
    try:
        from model_signing import signing, verifying  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise RegistryError(f"this needs {error.name}: install gonogo with the extra `oms`") from error
    return signing, verifying


@contextmanager
def _copied(version: ModelVersion) -> Iterator[Path]:
    """A private folder with the bytes that were read, under the version's own name."""
    manifest = (version.directory / MANIFEST_FILE).read_bytes()
    if hashlib.sha256(manifest).hexdigest() != version.digest:
        raise RegistryError(f"{version.directory} changed while it was read: try again")
    files = {MANIFEST_FILE: manifest, MODEL_FILE: version.model_bytes, GOLDEN_FILE: version.golden_bytes}
    if version.reference_bytes is not None:
        files[REFERENCE_FILE] = version.reference_bytes
    signature = version.directory / SIGNATURE_FILE
    if signature.exists():
        files[SIGNATURE_FILE] = signature.read_bytes()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / version.version
        folder.mkdir()
        for name, content in files.items():
            (folder / name).write_bytes(content)
        yield folder
