"""API keys: how they are made, kept as digests, checked, and revoked without a restart.

Rule: a key is `gng_<id>_<secret>` and only its SHA-256 is kept. A plain hash is enough because the secret is 256 random
bits: nobody guesses those, so there is nothing for a slow hash to slow down. An unknown id costs what a known one does.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import json
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from reference_service.auth.caller import ADMIN, INFER, Caller, is_client
from reference_service.auth.watched import WatchedFile
from reference_service.errors import StartError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

PREFIX: Final = "gng_"
KEY_CHARACTERS_MAX: Final = 128
_ID_BYTES: Final = 6
_SECRET_BYTES: Final = 32
_NO_DIGEST: Final = bytes(32)
"""What an unknown id is compared with; no key has this digest that anyone could find."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key as the file has it. `expires_s` is in seconds since 1970."""

    id: str
    caller: Caller
    digest: bytes
    expires_s: float
    revoked: bool


class KeyFileError(ValueError):
    """The file of keys is not what it should be; the text says where."""


def new_key(client: str, scopes: tuple[str, ...], expires: dt.datetime) -> tuple[str, dict[str, Any]]:
    """A fresh key, to be shown once, and its entry in the file of keys."""
    identity = secrets.token_hex(_ID_BYTES)
    key = f"{PREFIX}{identity}_{secrets.token_urlsafe(_SECRET_BYTES)}"
    entry = {
        "id": identity,
        "client": client,
        "sha256": hashlib.sha256(key.encode()).hexdigest(),
        "scopes": list(scopes),
        "expires": expires.astimezone(dt.UTC).isoformat(timespec="seconds"),
    }
    return key, entry


def parse_keys(content: bytes) -> Mapping[str, Key]:
    """The keys in a file's content, by id; raises KeyFileError."""
    try:
        document = json.loads(content)
        if set(document) != {"keys"}:
            raise KeyFileError('expected an object with the one key "keys"')
        keys = [_key(entry) for entry in document["keys"]]
    except (json.JSONDecodeError, UnicodeDecodeError, TypeError, AttributeError) as error:
        raise KeyFileError(f"it is no JSON of keys: {type(error).__name__}") from error
    found = {key.id: key for key in keys}
    if len(found) != len(keys):
        raise KeyFileError("two keys have the same id")
    return found


def _key(entry: Mapping[str, Any]) -> Key:
    known = {"id", "client", "sha256", "scopes", "expires"}
    if not known <= set(entry) <= known | {"revoked"}:
        raise KeyFileError(f"a key has {sorted(known)} and may have 'revoked'; one has {sorted(entry)}")
    scopes = frozenset(entry["scopes"])
    if not scopes or not scopes <= {INFER, ADMIN}:
        raise KeyFileError(f"key {entry['id']}: scopes are {INFER!r} and {ADMIN!r}")
    try:
        expires = dt.datetime.fromisoformat(entry["expires"])
        digest = bytes.fromhex(entry["sha256"])
    except ValueError as error:
        raise KeyFileError(f"key {entry['id']}: expires or sha256 is malformed") from error
    if expires.tzinfo is None or len(digest) != len(_NO_DIGEST) or not is_client(entry["client"]):
        raise KeyFileError(f"key {entry['id']}: expires wants a time zone, sha256 64 digits, client visible ASCII")
    caller = Caller(str(entry["client"]), scopes, "key")
    return Key(str(entry["id"]), caller, digest, expires.timestamp(), bool(entry.get("revoked", False)))


class KeyFile:
    """The keys in a file, read again when it changes. `now_s` is the wall clock, in seconds since 1970."""

    def __init__(self, path: Path, now_s: Callable[[], float] = time.time) -> None:
        self._now_s = now_s
        try:
            self._file = WatchedFile(path, parse_keys)
        except (OSError, KeyFileError) as error:
            raise StartError(f"the keys in {path} can't be used: {error}") from error

    def caller_of(self, key: str) -> Caller | None:
        """Who holds this key; None if nobody does, any longer or yet."""
        found = self._file.current().get(key[len(PREFIX) :].partition("_")[0])
        digest = hashlib.sha256(key.encode()).digest()
        same = hmac.compare_digest(digest, found.digest if found else _NO_DIGEST)
        if found is None or not same or found.revoked or found.expires_s <= self._now_s():
            return None
        return found.caller
