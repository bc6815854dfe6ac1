"""What services and edge read of a key is its digest; the key itself only its holder can read."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import stat
import tomllib
from typing import TYPE_CHECKING

import pytest

from harness.fleet.credentials import ADMIN_CLIENT, SECOND_CLIENT, key_entry, make_credentials
from harness.fleet.edge_identity import read_keys
from harness.fleet.service_toml import write_service_toml
from harness.fleet.spec import LOAD_CLIENT
from harness.fleet.token_issuer import LEEWAY_S
from reference_service.settings import read_settings

if TYPE_CHECKING:
    from pathlib import Path

    from harness.fleet.credentials import Credentials


@pytest.fixture
def credentials(tmp_path: Path) -> Credentials:
    return make_credentials(tmp_path / "secrets", ("zone-a", "candidate"))


def test_every_secret_is_closed_to_others(credentials: Credentials) -> None:
    directory = credentials.ca.parent
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    secret = [path for path in directory.iterdir() if path.suffix in {".key", ".apikey"}]
    assert {path.name for path in secret} == {
        *("edge.key", "edge-client.key", "gonogo-client.key", "zone-a.key", "candidate.key"),
        *("gonogo.apikey", "gonogo-admin.apikey", "gonogo-second.apikey"),
        *("model-signing.key", "token-issuer.key"),
    }
    assert {stat.S_IMODE(path.stat().st_mode) for path in secret} == {0o600}


def test_the_file_of_keys_holds_digests_only(credentials: Credentials) -> None:
    text = credentials.keys.read_text()
    by_client = {entry["client"]: entry for entry in json.loads(text)["keys"]}
    for client, path, scopes in (
        (LOAD_CLIENT, credentials.load_key, ["infer"]),
        (ADMIN_CLIENT, credentials.admin_key, ["infer", "admin"]),
        (SECOND_CLIENT, credentials.second_key, ["infer"]),
    ):
        key = path.read_text()
        assert key.split("_", 2)[2] not in text
        assert by_client[client]["sha256"] == hashlib.sha256(key.encode()).hexdigest()
        assert by_client[client]["scopes"] == scopes
        assert by_client[client]["id"] == key.split("_")[1]
        left = dt.datetime.fromisoformat(by_client[client]["expires"]) - dt.datetime.now(tz=dt.UTC)
        assert dt.timedelta(hours=23) < left <= dt.timedelta(hours=24)


def test_a_key_of_another_form_gets_no_entry() -> None:
    for wrong in ("gng_id", "other_id_secret", "gng__secret"):
        with pytest.raises(ValueError, match="gng_ID_SECRET"):
            key_entry("anyone", wrong, ("infer",), dt.datetime.now(tz=dt.UTC))


def test_a_service_is_told_where_its_secrets_are_and_not_what(credentials: Credentials, tmp_path: Path) -> None:
    text = write_service_toml(tmp_path, "zone-a", credentials).read_text()
    document = tomllib.loads(text)
    assert document["tls"]["key"] == f"file:{credentials.zones['zone-a'].key}"
    assert document["tls"]["client_ca"] == str(credentials.ca)
    settings = read_settings(tmp_path / "service-zone-a.toml")
    assert settings.auth
    assert settings.auth.keys == credentials.keys
    assert settings.auth.jwt
    assert settings.auth.jwt.jwks == credentials.issuer.jwks
    assert settings.auth.jwt.leeway_s == LEEWAY_S
    assert settings.registry.trust == credentials.models.trust
    assert "PRIVATE" not in text


def test_the_edge_reads_who_holds_which_key_until_when_but_no_revoked_one(tmp_path: Path) -> None:
    expires = dt.datetime(2030, 1, 2, tzinfo=dt.UTC)
    entries = [key_entry(name, f"gng_{name}_s", ("infer",), expires) for name in ("a", "b")]
    entries[1]["revoked"] = True
    path = tmp_path / "keys.json"
    path.write_text(json.dumps({"keys": entries}))
    [known] = read_keys(path)
    assert (known.key_id, known.client, known.expires_s) == ("a", "a", int(expires.timestamp()))


@pytest.mark.parametrize("text", ["", "[]", '{"keys": [{}]}', '{"keys": [{"id": "a", "expires": "2030-01-01T00:00"}]}'])
def test_a_file_that_is_none_of_keys_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "keys.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"keys|Expecting|time zone"):
        read_keys(path)
