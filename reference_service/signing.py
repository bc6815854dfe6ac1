"""Signatures on model versions: an Ed25519 signature over a statement that binds a manifest to a name and a counter.

Rule: pure. The bytes that were signed are kept as they are and are parsed only once the signature holds; a signature
file has one byte form, so that not one byte of it can change unnoticed. The form is that of DSSE
(github.com/secure-systems-lab/dsse): what is signed is the type and the payload, each with its length before it.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from reference_service.manifest import encode

if TYPE_CHECKING:
    from collections.abc import Mapping

SIGNATURE_FILE: Final = "signature.json"
PAYLOAD_TYPE: Final = "application/vnd.gonogo.model-version.v1+json"
_TIME: Final = "%Y-%m-%dT%H:%M:%SZ"


class SignatureError(ValueError):
    """A signature that does not hold, or a key that is none; the text says which, and never shows a private key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What a signature says: this manifest, which names every file by digest, is this version of this model.

    `counter` grows with every signature on any version of the model. Instants are UTC, to the second.
    """

    name: str
    version: str
    manifest_sha256: str
    counter: int
    issued: datetime
    expires: datetime
    key_id: str

    @property
    def subject(self) -> str:
        """The version as texts name it."""
        return f"{self.name}@{self.version}"


def key_id_of(key: Ed25519PublicKey) -> str:
    """The first 64 bits of the SHA-256 of the public key, in hex: an id can't be given to another key by mistake."""
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:16]


def sign(statement: Statement, key: Ed25519PrivateKey) -> bytes:
    """The signature file for `statement`, whose key id is `key`'s."""
    payload = _payload(statement)
    return _file(payload, statement.key_id, key.sign(_signed_bytes(payload)))


def verify(content: bytes, keys: Mapping[str, Ed25519PublicKey]) -> Statement:
    """What the signature file `content` says, signed by one of `keys`, which are listed by their ids.

    Raises:
        SignatureError: It is malformed, names a key that is not among them, or is not by that key.
    """
    payload, key_id, signature = _opened(content)
    if key_id not in keys:
        raise SignatureError(f"it is signed by the key {key_id!r}, which is not trusted here")
    try:
        keys[key_id].verify(signature, _signed_bytes(payload))
    except InvalidSignature:
        raise SignatureError(f"its {SIGNATURE_FILE} was changed, or was not made with the key {key_id!r}") from None
    statement = read_payload(payload)
    if statement.key_id != key_id:
        raise SignatureError(f"its {SIGNATURE_FILE} states the key {statement.key_id!r} but is by {key_id!r}")
    return statement


def unverified(content: bytes) -> Statement:
    """What a signature file says, whoever wrote it: to choose the next counter, never to trust it."""
    return read_payload(_opened(content)[0])


def read_payload(payload: bytes) -> Statement:
    """The statement in the bytes that were signed; raises SignatureError unless they are exactly those of one."""
    try:
        document = json.loads(payload)
        times = {key: datetime.strptime(document[key], _TIME).replace(tzinfo=UTC) for key in ("issued", "expires")}
        statement = Statement(**document | times)
        whole = isinstance(statement.counter, int) and _payload(statement) == payload
    except (KeyError, TypeError, ValueError) as error:
        raise SignatureError(f"what its {SIGNATURE_FILE} signs is no statement about a version") from error
    if not whole:
        raise SignatureError(f"what its {SIGNATURE_FILE} signs is no statement about a version in its one form")
    return statement


def new_key() -> Ed25519PrivateKey:
    """A new private key."""
    return Ed25519PrivateKey.generate()


def private_pem(key: Ed25519PrivateKey) -> bytes:
    """The private key as a file holds it: PEM, PKCS #8, not encrypted."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def read_private_key(pem: bytes) -> Ed25519PrivateKey:
    """The key that `private_pem` wrote; raises SignatureError, which never shows what was read."""
    try:
        key = load_pem_private_key(pem, None)
    except (TypeError, ValueError):
        raise SignatureError("what the reference leads to is no PEM private key without a password") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise SignatureError("what the reference leads to is a private key of another kind: an Ed25519 key is needed")
    return key


def _signed_bytes(payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding: no other split into type and payload gives the same bytes."""
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def _payload(statement: Statement) -> bytes:
    document: dict[str, Any] = {name: getattr(statement, name) for name in Statement.__slots__}
    document |= {name: document[name].strftime(_TIME) for name in ("issued", "expires")}
    return encode(document)


def _file(payload: bytes, key_id: str, signature: bytes) -> bytes:
    text, by = base64.b64encode(payload).decode(), base64.b64encode(signature).decode()
    return encode({"payloadType": PAYLOAD_TYPE, "payload": text, "signatures": [{"keyid": key_id, "sig": by}]})


def _opened(content: bytes) -> tuple[bytes, str, bytes]:
    """Payload, key id and signature of a file; whatever `_file` would not have written byte for byte is refused."""
    try:
        document = json.loads(content)
        (by,) = document["signatures"]
        found = base64.b64decode(document["payload"]), str(by["keyid"]), base64.b64decode(by["sig"])
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise SignatureError(f"its {SIGNATURE_FILE} is malformed: sign the version anew") from error
    if _file(*found) != content:
        raise SignatureError(f"its {SIGNATURE_FILE} is not in the one form that signing writes: sign the version anew")
    return found
