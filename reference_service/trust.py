"""Whose signature on a model version counts: keys with the models that each may sign, at a time, after what was seen.

Rule: fail closed. A version that nobody signed, or that fails one of the checks, is refused with a text of its own;
without a trust file the key of this release counts and no other.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from reference_service.errors import StartError
from reference_service.history import History, ReplayError
from reference_service.manifest import MANIFEST_FILE, encode
from reference_service.signing import SIGNATURE_FILE, SignatureError, Statement, key_id_of, verify

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

RELEASE_TRUST: Final = Path(__file__).with_name("trust.json")
"""The key that signed the versions shipped with this source."""


class RefusedError(Exception):
    """A version that may not be served; the text says why and what to do, as the rest of a sentence about it."""


class TrustedKey(BaseModel):
    """A key, base64 of its 32 bytes, and what it may do.

    `models` are the names it may sign. A `revoked` key signs nothing any more, whenever it did; `counter_min` withdraws
    what it signed with a lower counter. `about` is for people.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    public_key: str
    models: Annotated[list[str], Field(min_length=1)]
    revoked: bool = False
    counter_min: Annotated[int, Field(ge=0)] = 0
    about: str = ""

    def key(self) -> Ed25519PublicKey:
        """The key to verify with; raises ValueError if it is none."""
        return Ed25519PublicKey.from_public_bytes(base64.b64decode(self.public_key, validate=True))


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    keys: dict[str, TrustedKey]


@dataclass(frozen=True, slots=True)
class Trust:
    """Decides over versions. `clock` says what time it is; `history` what this server has served.

    With `unsigned_allowed` signatures are neither wanted nor looked at, whatever the keys.
    """

    keys: Mapping[str, TrustedKey]
    clock: Callable[[], datetime]
    history: History = field(default_factory=History)
    unsigned_allowed: bool = False

    def check(self, name: str, version: str, manifest: bytes, signature: bytes | None) -> Statement | None:
        """Return what was signed if the manifest may be served as this version; None if no signature is wanted.

        Raises:
            RefusedError: It may not.
        """
        if self.unsigned_allowed:
            return None
        if signature is None:
            raise RefusedError(
                f"it is unsigned, it has no {SIGNATURE_FILE}: sign it with reference-service registry sign"
            )
        try:
            statement = verify(signature, {key_id: key.key() for key_id, key in self.keys.items()})
            self._check_key(statement)
            _check_subject(statement, name, version, manifest)
            self._check_time(statement)
            self.history.check(statement)
        except (SignatureError, ReplayError) as error:
            raise RefusedError(str(error)) from error
        return statement

    def _check_key(self, statement: Statement) -> None:
        key = self.keys[statement.key_id]
        if key.revoked:
            raise RefusedError(f"its key {statement.key_id!r} is revoked: sign it with another")
        if statement.name not in key.models:
            raise RefusedError(f"its key {statement.key_id!r} may not sign {statement.name!r}, only {key.models}")
        if statement.counter < key.counter_min:
            raise RefusedError(
                f"it was withdrawn: its counter is {statement.counter}, and of the key {statement.key_id!r} only "
                f"{key.counter_min} and above count"
            )

    def _check_time(self, statement: Statement) -> None:
        now = self.clock()
        if now >= statement.expires:
            raise RefusedError(f"its signature expired at {statement.expires:%Y-%m-%d %H:%M} UTC: sign it again")


def _check_subject(statement: Statement, name: str, version: str, manifest: bytes) -> None:
    if (statement.name, statement.version) != (name, version):
        raise RefusedError(f"it was signed as {statement.subject}: move the folder to where it belongs")
    if statement.manifest_sha256 != hashlib.sha256(manifest).hexdigest():
        raise RefusedError(f"its {MANIFEST_FILE} is not the one that was signed: restore it, or sign the version again")


def read_keys(path: Path) -> dict[str, TrustedKey]:
    """The keys in a trust file, by their ids.

    Raises:
        StartError: It can't be read, holds what this service does not know, or calls a key by a wrong id.
    """
    try:
        keys = _File.model_validate_json(path.read_bytes()).keys
        wrong = [key_id for key_id, key in keys.items() if key_id != key_id_of(key.key())]
    except OSError as error:
        raise StartError(f"{path} can't be read: {error.strerror}") from error
    except ValidationError as error:
        found = [f"{'.'.join(map(str, item['loc']))}: {item['msg'].lower()}" for item in error.errors()]
        raise StartError(f"{path}: " + "; ".join(found)) from error
    except ValueError as error:
        raise StartError(f"{path}: a public_key is not the base64 of an Ed25519 key's 32 bytes") from error
    if wrong or not keys:
        raise StartError(f"{path}: " + (f"{wrong} are not the ids of their keys" if wrong else "it names no key"))
    return keys


def open_trust(
    keys: Path | None, history: Path | None, *, clock: Callable[[], datetime], allow_unsigned: bool = False
) -> Trust:
    """What a server goes by: the trust file `keys`, or this release's own, and the record in the file `history`.

    Raises:
        StartError: The trust file can't be used.
    """
    return Trust(read_keys(keys or RELEASE_TRUST), clock, History(history), unsigned_allowed=allow_unsigned)


def utc_now() -> datetime:
    """The clock of this machine."""
    return datetime.now(UTC)


def encode_keys(keys: Mapping[str, TrustedKey]) -> bytes:
    """The trust file that `read_keys` reads."""
    return encode({"keys": {key_id: key.model_dump(exclude_defaults=True) for key_id, key in keys.items()}})


UNSIGNED_ALLOWED: Final = Trust({}, utc_now, unsigned_allowed=True)
"""For whoever reads a version without serving it; its files must still be those that its manifest names."""
