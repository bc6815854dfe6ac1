"""A signing key, a trust in it, and a clock that stands still, for tests of what is signed."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from reference_service.history import History
from reference_service.publishing import sign_version
from reference_service.signing import Statement, key_id_of
from reference_service.trust import Trust, TrustedKey
from tests.reference_service.tiny_registry import MODEL

if TYPE_CHECKING:
    from reference_service.registry import ModelVersion

KEY = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"a key for tests").digest())
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"another key for tests").digest())
KEY_ID = key_id_of(KEY.public_key())
NOW = datetime(2030, 6, 1, 12, tzinfo=UTC)
EXPIRES = NOW + timedelta(days=90)


def trusted(key: Ed25519PrivateKey = KEY, **changes: Any) -> TrustedKey:
    public = base64.b64encode(key.public_key().public_bytes_raw()).decode()
    return TrustedKey(public_key=public, **{"models": [MODEL], **changes})


def trust(*, now: datetime = NOW, history: History | None = None, **changes: Any) -> Trust:
    """Trust in KEY at the instant `now`; `changes` are fields of the trusted key."""
    return Trust({KEY_ID: trusted(**changes)}, lambda: now, history or History())


def sign(version: ModelVersion, key: Ed25519PrivateKey = KEY, *, counter: int | None = None) -> Statement:
    return sign_version(version, key, issued=NOW, expires=EXPIRES, counter=counter)
