"""What experiments may break is told by the status, and is of the form that the service believes."""

from __future__ import annotations

import json
import stat
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.fleet import token_issuer
from harness.fleet.breakable import Breakable
from harness.fleet.credentials import make_credentials
from harness.fleet.spec import FleetSpec
from reference_service.auth.tokens import TokenVerifier
from reference_service.publishing import sign_version, signing_key, write_version
from reference_service.registry import RegistryError, load_version
from reference_service.settings import Jwt
from reference_service.trust import UNSIGNED_ALLOWED, open_trust, read_keys, utc_now
from tests.reference_service.tiny_registry import MODEL, write_tiny_version

if TYPE_CHECKING:
    from harness.fleet.credentials import Credentials

MODELS = Path(__file__).parents[3] / "reference_service" / "models"


@pytest.fixture
def credentials(tmp_path: Path) -> Credentials:
    return make_credentials(tmp_path / "secrets", ("zone-a", "candidate"), MODEL)


def verifier(credentials: Credentials) -> TokenVerifier:
    made = Jwt(
        issuer=token_issuer.ISSUER,
        audience=token_issuer.AUDIENCE,
        jwks=credentials.issuer.jwks,
        leeway_s=token_issuer.LEEWAY_S,
    )
    return TokenVerifier(made)


def test_it_survives_the_way_through_the_status(credentials: Credentials, tmp_path: Path) -> None:
    spec = FleetSpec(zones=("zone-a",), registry=tmp_path, model=MODEL, version="1", directory=tmp_path)
    made = Breakable.in_fleet(spec, credentials)
    assert Breakable.of(json.loads(json.dumps({"breakable": made.told()}))) == made
    assert made.certificates.keys() == {"zone-a", "candidate"}
    assert "PRIVATE" not in json.dumps(made.told())


def test_versions_signed_by_the_fleets_key_are_believed_by_its_zones_and_by_nobody_else(
    credentials: Credentials, tmp_path: Path
) -> None:
    version = write_tiny_version(tmp_path)
    key = signing_key(f"file:{credentials.models.signing_key}")
    sign_version(version, key, issued=utc_now(), expires=datetime(2100, 1, 1, tzinfo=UTC))
    assert load_version(tmp_path, MODEL, "1", open_trust(credentials.models.trust, None, clock=utc_now)).signed
    with pytest.raises(RegistryError, match="not trusted here"):
        load_version(tmp_path, MODEL, "1", open_trust(None, None, clock=utc_now))


def test_the_fleets_key_signs_no_other_model_and_the_releases_key_still_counts(credentials: Credentials) -> None:
    keys = read_keys(credentials.models.trust)
    assert sorted(key.models for key in keys.values()) == [["flight-delay"], [MODEL]]
    trust = open_trust(credentials.models.trust, None, clock=utc_now)
    assert load_version(MODELS, "flight-delay", "1", trust).signed
    assert stat.S_IMODE(credentials.models.signing_key.stat().st_mode) == 0o600


def test_a_key_of_another_model_is_refused(credentials: Credentials, tmp_path: Path) -> None:
    write_tiny_version(tmp_path / "from")
    document = json.loads((tmp_path / "from" / MODEL / "1" / "manifest.json").read_bytes()) | {"name": "another"}
    files = {name: (tmp_path / "from" / MODEL / "1" / name).read_bytes() for name in document.pop("files")}
    version = write_version(tmp_path, document, files)
    key = signing_key(f"file:{credentials.models.signing_key}")
    sign_version(version, key, issued=utc_now(), expires=datetime(2100, 1, 1, tzinfo=UTC))
    assert load_version(tmp_path, "another", "1", UNSIGNED_ALLOWED).digest == version.digest
    with pytest.raises(RegistryError, match="may not sign 'another'"):
        load_version(tmp_path, "another", "1", open_trust(credentials.models.trust, None, clock=utc_now))


@pytest.mark.parametrize(("ahead_s", "accepted"), [(0, True), (15, True), (45, False), (-75, True), (-105, False)])
def test_the_service_takes_tokens_of_a_clock_that_is_off_within_its_leeway(
    credentials: Credentials, ahead_s: float, *, accepted: bool
) -> None:
    credentials.issuer.set_clock(ahead_s)
    assert credentials.issuer.ahead_s() == ahead_s
    caller = verifier(credentials).caller_of(credentials.issuer.mint())
    assert (caller is not None) is accepted
    if caller:
        assert (caller.client, caller.scopes, caller.how) == (token_issuer.CLIENT, {"infer"}, "jwt")


def test_the_experiment_asks_beyond_the_leeway_and_within_it_on_both_sides() -> None:
    path = Path(__file__).parents[3] / "experiments" / "local" / "clock_skew.json"
    asked = [
        activity["provider"]["arguments"]["ahead_s"]
        for activity in json.loads(path.read_text())["method"]
        if activity["provider"]["func"] in {"skew_issuer_clock", "turn_issuer_clock"}
    ]
    leeway, life, margin = token_issuer.LEEWAY_S, token_issuer.TOKEN_LIFE_S, 10
    early = [value for value in asked if value > 0]
    late = [-value - life for value in asked if value < 0]
    for offsets in (early, late):
        assert [value > leeway for value in offsets] == [True, False]
        assert all(abs(value - leeway) >= margin and value >= margin for value in offsets)


def test_a_token_says_when_it_was_issued_by_the_issuers_clock(credentials: Credentials) -> None:
    import jwt

    credentials.issuer.set_clock(1000)
    claims = jwt.decode(credentials.issuer.mint(), options={"verify_signature": False})
    assert abs(claims["iat"] - time.time() - 1000) < 5
    assert claims["exp"] - claims["iat"] == token_issuer.TOKEN_LIFE_S
