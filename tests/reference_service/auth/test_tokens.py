"""A token holds only if its issuer signed it, for us, for now; each way of forging one is tried."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from reference_service.auth.tokens import TokenVerifier
from reference_service.errors import StartError
from reference_service.settings import Jwt

if TYPE_CHECKING:
    from pathlib import Path

NOW_S = 1_800_000_000
KEY, OTHER = ed25519.Ed25519PrivateKey.generate(), ed25519.Ed25519PrivateKey.generate()
CLAIMS = {"iss": "us", "aud": "flight-delay", "sub": "billing", "iat": NOW_S, "exp": NOW_S + 600, "scope": "infer x"}


def jwks(*keys: tuple[str, Any]) -> str:
    entries = []
    for kid, key in keys:
        algorithm = "EdDSA" if isinstance(key, ed25519.Ed25519PrivateKey) else "ES256"
        entry = jwt.get_algorithm_by_name(algorithm).to_jwk(key.public_key(), as_dict=True)
        entries.append({**entry, "kid": kid, "alg": algorithm})
    return json.dumps({"keys": entries})


def token(key: Any = KEY, algorithm: str = "EdDSA", kid: str = "a", **changes: Any) -> str:
    claims = {name: value for name, value in {**CLAIMS, **changes}.items() if value is not None}
    return jwt.encode(claims, key, algorithm, {"kid": kid})


class Clock:
    now_s = float(NOW_S)

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def verifier(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> TokenVerifier:
    monkeypatch.setattr("reference_service.auth.watched.LOOK_INTERVAL_S", 0.0)
    (tmp_path / "jwks.json").write_text(jwks(("a", KEY)))
    settings = Jwt(issuer="us", audience="flight-delay", jwks=tmp_path / "jwks.json", leeway_s=30)
    return TokenVerifier(settings, clock)


def test_a_token_names_its_subject_and_our_scopes(verifier: TokenVerifier) -> None:
    for _ in range(2):  # verified, then remembered
        caller = verifier.caller_of(token())
        assert caller
        assert (caller.client, caller.scopes, caller.how) == ("billing", {"infer"}, "jwt")


def unsigned() -> str:
    head = base64.urlsafe_b64encode(b'{"alg":"none","kid":"a"}').rstrip(b"=").decode()
    return f"{head}.{token().split('.')[1]}."


def taken_for_a_secret() -> str:
    public = KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return jwt.encode(CLAIMS, public, "HS256", {"kid": "a"})


def tampered() -> str:
    head, _, signature = token().split(".")
    body = base64.urlsafe_b64encode(json.dumps({**CLAIMS, "sub": "root"}).encode()).rstrip(b"=").decode()
    return f"{head}.{body}.{signature}"


FORGED = {
    "no signature": unsigned,
    "a public key as shared secret": taken_for_a_secret,
    "another key": lambda: token(OTHER),
    "an unknown key id": lambda: token(kid="b"),
    "another algorithm": lambda: token(ec.generate_private_key(ec.SECP256R1()), "ES256"),
    "tampered": tampered,
    "another audience": lambda: token(aud="other"),
    "another issuer": lambda: token(iss="them"),
    "expired": lambda: token(iat=NOW_S - 600, exp=NOW_S - 31),
    "not yet valid": lambda: token(nbf=NOW_S + 31),
    "issued in the future": lambda: token(iat=NOW_S + 31),
    "without end": lambda: token(exp=None),
    "for ever": lambda: token(exp=NOW_S + 10**8),
    "without subject": lambda: token(sub=None),
    "with an empty subject": lambda: token(sub=""),
    "with a subject of two lines": lambda: token(sub="a\nb"),
    "with a subject without end": lambda: token(sub="a" * 2000),
    "an end that is no time": lambda: token(exp="9999999999"),
    "too long": lambda: token(pad="x" * 5000),
    "no token": lambda: "a.b.c",
    "not ASCII": lambda: "ä" + token(),
}


@pytest.mark.parametrize("case", FORGED)
def test_a_forged_or_untimely_token_is_nobodys(verifier: TokenVerifier, case: str) -> None:
    assert verifier.caller_of(FORGED[case]()) is None


def test_a_clock_may_be_off_by_the_leeway(verifier: TokenVerifier) -> None:
    assert verifier.caller_of(token(iat=NOW_S - 600, exp=NOW_S - 29))
    assert verifier.caller_of(token(iat=NOW_S + 29, nbf=NOW_S + 29))


def test_a_token_replayed_after_its_end_is_nobodys_though_it_is_remembered(
    verifier: TokenVerifier, clock: Clock
) -> None:
    sent = token()
    assert verifier.caller_of(sent)
    clock.now_s = NOW_S + 631.0
    assert verifier.caller_of(sent) is None


def test_what_a_withdrawn_key_signed_is_nobodys(verifier: TokenVerifier, tmp_path: Path) -> None:
    assert verifier.caller_of(token())
    (tmp_path / "jwks.json").write_text(jwks(("b", OTHER)))
    assert verifier.caller_of(token()) is None
    assert verifier.caller_of(token(OTHER, kid="b"))


@pytest.mark.parametrize(
    "content", ["{", "{}", '{"keys": []}', '{"keys": [{"kty": "oct", "k": "AAAA", "kid": "a", "alg": "HS256"}]}']
)
def test_a_key_set_without_usable_keys_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "jwks.json").write_text(content)
    with pytest.raises(StartError, match=r"jwks.json can't be used"):
        TokenVerifier(Jwt(issuer="us", audience="a", jwks=tmp_path / "jwks.json"))


def test_a_private_key_or_a_weak_one_is_refused(tmp_path: Path) -> None:
    private = jwt.get_algorithm_by_name("EdDSA").to_jwk(KEY, as_dict=True) | {"kid": "a", "alg": "EdDSA"}
    weak = rsa.generate_private_key(65537, 1024).public_key()  # noqa: S505 - what is to be refused
    short = jwt.get_algorithm_by_name("RS256").to_jwk(weak, as_dict=True) | {"kid": "a", "alg": "RS256"}
    for key, text in ((private, "private key"), (short, "2048 bits")):
        (tmp_path / "jwks.json").write_text(json.dumps({"keys": [key]}))
        with pytest.raises(StartError, match=text):
            TokenVerifier(Jwt(issuer="us", audience="a", jwks=tmp_path / "jwks.json"))
