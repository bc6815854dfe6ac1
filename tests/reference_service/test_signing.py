"""A signature holds for the statement and the key it was made with, and has one byte form."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from reference_service.manifest import encode
from reference_service.signing import (
    SignatureError,
    Statement,
    key_id_of,
    new_key,
    private_pem,
    read_payload,
    read_private_key,
    sign,
    unverified,
    verify,
)
from tests.reference_service.signed import EXPIRES, KEY, KEY_ID, NOW, OTHER_KEY

KEYS = {KEY_ID: KEY.public_key()}
STATEMENT = Statement(
    name="toy", version="1", manifest_sha256="ab" * 32, counter=3, issued=NOW, expires=EXPIRES, key_id=KEY_ID
)


def test_what_was_signed_is_what_is_read() -> None:
    content = sign(STATEMENT, KEY)
    assert verify(content, KEYS) == unverified(content) == STATEMENT
    assert STATEMENT.subject == "toy@1"


def test_the_envelope_is_dsse_and_can_be_checked_without_this_code() -> None:
    envelope = json.loads(sign(STATEMENT, KEY))
    payload, kind = base64.b64decode(envelope["payload"]), envelope["payloadType"].encode()
    signed = b"DSSEv1 " + str(len(kind)).encode() + b" " + kind + b" " + str(len(payload)).encode() + b" " + payload
    KEY.public_key().verify(base64.b64decode(envelope["signatures"][0]["sig"]), signed)


@pytest.mark.parametrize("delta", [1, 2, 0x20, 0x80, 0xFF])
def test_no_byte_of_the_file_may_change(delta: int) -> None:
    content = sign(STATEMENT, KEY)
    for position in range(len(content)):
        changed = bytearray(content)
        changed[position] ^= delta
        with pytest.raises(SignatureError):
            verify(bytes(changed), KEYS)


@pytest.mark.parametrize(
    "rewrite",
    [
        lambda text: text.replace(" ", ""),
        lambda text: text + " ",
        lambda text: text.replace('"payload"', '"x": 1, "payload"'),
        lambda _: "[]",
        lambda _: "{",
        lambda _: "[" * 100_000,
        lambda text: text.replace('"signatures": [', '"signatures": [{}, '),
    ],
)
def test_another_form_of_the_same_file_is_refused(rewrite: object) -> None:
    assert callable(rewrite)
    with pytest.raises(SignatureError, match=r"malformed|one form"):
        verify(rewrite(sign(STATEMENT, KEY).decode()).encode(), KEYS)


def test_a_key_that_is_not_trusted_and_one_that_did_not_sign_are_told_apart() -> None:
    with pytest.raises(SignatureError, match="which is not trusted here"):
        verify(sign(STATEMENT, KEY), {})
    with pytest.raises(SignatureError, match="was changed, or was not made with the key"):
        verify(sign(STATEMENT, OTHER_KEY), KEYS)


def test_the_statement_names_the_key_itself() -> None:
    other = replace(STATEMENT, key_id=key_id_of(OTHER_KEY.public_key()))
    envelope = json.loads(sign(other, KEY))
    envelope["signatures"][0]["keyid"] = KEY_ID
    with pytest.raises(SignatureError, match="states the key"):
        verify(encode(envelope), KEYS)


@pytest.mark.parametrize(
    "change", [{"counter": "3"}, {"counter": 3.0}, {"issued": "now"}, {"extra": 1}, {"name": None}]
)
def test_signed_bytes_that_are_no_statement_are_refused(change: dict[str, object]) -> None:
    payload = json.loads(base64.b64decode(json.loads(sign(STATEMENT, KEY))["payload"]))
    assert read_payload(encode(payload)) == STATEMENT
    if change == {"name": None}:
        payload.pop("name")
    with pytest.raises(SignatureError, match="no statement"):
        read_payload(encode(payload | {key: value for key, value in change.items() if value is not None}))


def test_a_private_key_survives_its_file_and_other_kinds_are_refused_without_being_shown() -> None:
    key = new_key()
    assert read_private_key(private_pem(key)).private_bytes_raw() == key.private_bytes_raw()
    curve = ec.generate_private_key(ec.SECP256R1())
    pem = curve.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    for text, said in ((pem, "of another kind"), ("no key at all", "no PEM private key")):
        with pytest.raises(SignatureError, match=said) as caught:
            read_private_key(text.encode())
        assert text.splitlines()[-1] not in str(caught.value)
