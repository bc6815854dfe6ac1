"""Each reason not to serve a version has its own text; the keys file is read strictly."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from reference_service.errors import StartError
from reference_service.history import History
from reference_service.registry import ModelVersion, RegistryError, load_version
from reference_service.trust import RELEASE_TRUST, UNSIGNED_ALLOWED, encode_keys, open_trust, read_keys
from tests.reference_service.signed import EXPIRES, KEY_ID, NOW, OTHER_KEY, sign, trust, trusted
from tests.reference_service.tiny_registry import MODEL, WEIGHTS, write_tiny_version

if TYPE_CHECKING:
    from pathlib import Path

    from reference_service.trust import Trust


@pytest.fixture
def version(tmp_path: Path) -> ModelVersion:
    return write_tiny_version(tmp_path)


def load(tmp_path: Path, by: Trust, version: str = "1") -> ModelVersion:
    return load_version(tmp_path, MODEL, version, by)


def refused(tmp_path: Path, by: Trust, said: str, version: str = "1") -> None:
    with pytest.raises(RegistryError, match=rf"tiny@{version} in .* is refused: .*{said}"):
        load(tmp_path, by, version)


def test_a_signed_version_loads_and_says_by_whom(tmp_path: Path, version: ModelVersion) -> None:
    statement = sign(version)
    loaded = load(tmp_path, trust())
    assert loaded.signed == statement
    assert (statement.counter, statement.key_id, statement.expires) == (1, KEY_ID, EXPIRES)
    assert loaded.model_bytes == version.model_bytes


def test_an_unsigned_version_is_refused_unless_that_is_allowed(tmp_path: Path, version: ModelVersion) -> None:
    refused(tmp_path, trust(), "it is unsigned")
    assert load(tmp_path, UNSIGNED_ALLOWED) == version


def test_another_key_is_refused(tmp_path: Path, version: ModelVersion) -> None:
    sign(version, OTHER_KEY)
    refused(tmp_path, trust(), "which is not trusted here")


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ({"revoked": True}, "is revoked"),
        ({"models": ["other"]}, "may not sign 'tiny'"),
        ({"counter_min": 2}, "it was withdrawn: its counter is 1"),
    ],
)
def test_a_key_signs_only_what_it_may(tmp_path: Path, version: ModelVersion, key: dict[str, Any], said: str) -> None:
    sign(version)
    refused(tmp_path, trust(**key), said)


def test_a_signature_counts_until_its_expiry_and_not_a_moment_longer(tmp_path: Path, version: ModelVersion) -> None:
    sign(version)
    load(tmp_path, trust(now=EXPIRES - timedelta(microseconds=1)))
    refused(tmp_path, trust(now=EXPIRES), "its signature expired at 2030-08-30 12:00 UTC")


def test_a_manifest_that_was_not_signed_is_refused(tmp_path: Path, version: ModelVersion) -> None:
    sign(version)
    other = write_tiny_version(tmp_path / "other", parameters=4)
    (version.directory / "manifest.json").write_bytes((other.directory / "manifest.json").read_bytes())
    refused(tmp_path, trust(), "manifest.json is not the one that was signed")


def test_a_signed_version_under_another_name_is_refused(tmp_path: Path, version: ModelVersion) -> None:
    sign(version)
    version.directory.rename(tmp_path / MODEL / "2")
    refused(tmp_path, trust(), "it was signed as tiny@1", "2")


def test_an_older_release_is_a_replay_but_one_served_before_is_a_rollback(tmp_path: Path) -> None:
    first, second = write_tiny_version(tmp_path, "1"), write_tiny_version(tmp_path, "2", 2 * WEIGHTS)
    sign(first)
    newer = sign(second)
    history = History(tmp_path / "state.json")
    history.record(newer)
    refused(tmp_path, trust(history=history), "an older release that this server never served: its counter is 1, and 2")
    rolled = History(tmp_path / "rolled.json")
    for version in ("1", "2"):
        loaded = load(tmp_path, trust(history=rolled), version)
        assert loaded.signed
        rolled.record(loaded.signed)
    load(tmp_path, trust(history=History(tmp_path / "rolled.json")), "1")
    sign(first)
    load(tmp_path, trust(history=history), "1")  # signed anew it is the latest release


def test_a_version_with_other_content_or_an_older_signature_is_refused_once_served(tmp_path: Path) -> None:
    version = write_tiny_version(tmp_path / "a")
    sign(version)
    old = (version.directory / "signature.json").read_bytes()
    history = History()
    history.record(sign(version))
    load(tmp_path / "a", trust(history=history))
    (version.directory / "signature.json").write_bytes(old)
    refused(tmp_path / "a", trust(history=history), "its signature is an older one: its counter is 1")
    sign(write_tiny_version(tmp_path / "b", "1", 2 * WEIGHTS), counter=9)
    refused(tmp_path / "b", trust(history=history), "a version never changes")


def test_keys_survive_their_file(tmp_path: Path) -> None:
    keys = {KEY_ID: trusted(revoked=True, counter_min=7, about="tests")}
    (tmp_path / "trust.json").write_bytes(encode_keys(keys))
    assert read_keys(tmp_path / "trust.json") == keys


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"0123456789abcdef": trusted().model_dump()}, "are not the ids of their keys"),
        ({KEY_ID: {**trusted().model_dump(), "public_key": "AAAA"}}, "is not the base64 of an Ed25519 key"),
        ({KEY_ID: {**trusted().model_dump(), "public_key": "?"}}, "is not the base64 of an Ed25519 key"),
        ({KEY_ID: {**trusted().model_dump(), "revokd": True}}, r"keys\..*revokd: extra inputs are not permitted"),
        ({KEY_ID: {**trusted().model_dump(), "revoked": "no"}}, "revoked: input should be a valid boolean"),
        ({KEY_ID: {**trusted().model_dump(), "models": []}}, "models: list should have at least 1 item"),
        ({}, "it names no key"),
    ],
)
def test_a_trust_file_is_read_strictly(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    path = tmp_path / "trust.json"
    path.write_text(json.dumps({"keys": change}))
    with pytest.raises(StartError, match=said):
        read_keys(path)


def test_a_trust_file_that_is_not_there_is_an_error_not_a_default(tmp_path: Path) -> None:
    with pytest.raises(StartError, match=r"nowhere.json can't be read"):
        open_trust(tmp_path / "nowhere.json", None, clock=lambda: NOW)


def test_without_a_trust_file_the_release_key_counts_and_signs_what_is_shipped() -> None:
    opened = open_trust(None, None, clock=lambda: NOW)
    assert {model for key in opened.keys.values() for model in key.models} == {"flight-delay"}
    models = RELEASE_TRUST.parent / "models"
    signed = [load_version(models, "flight-delay", version, opened).signed for version in ("1", "2")]
    assert all(statement and statement.expires.year == 2031 for statement in signed)
    assert signed[0].counter < signed[1].counter  # type: ignore[union-attr]
