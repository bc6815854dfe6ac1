"""Keys hold only as they were made, while they last, and no file or list ever shows one."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from reference_service.auth.keys import KeyFile, KeyFileError, new_key, parse_keys
from reference_service.cli import group
from reference_service.errors import StartError

if TYPE_CHECKING:
    from pathlib import Path

NOW_S = 1_800_000_000.0
LATER = dt.datetime.fromtimestamp(NOW_S + 3600, dt.UTC)


def written(folder: Path, *entries: dict[str, Any]) -> Path:
    path = folder / "keys.json"
    path.write_text(json.dumps({"keys": entries}))
    return path


def test_a_key_names_its_client_and_nothing_near_it_does(tmp_path: Path) -> None:
    key, entry = new_key("billing", ("infer",), LATER)
    file = KeyFile(written(tmp_path, entry), lambda: NOW_S)
    caller = file.caller_of(key)
    assert caller
    assert (caller.client, caller.scopes, caller.how) == ("billing", {"infer"}, "key")
    wrong = [key[:-1], key + "A", key.replace("gng_", "gng-"), "gng_", "gng_x_y", entry["sha256"], "", key.swapcase()]
    assert [file.caller_of(item) for item in wrong] == [None] * len(wrong)


def test_an_expired_or_revoked_key_is_nobodys(tmp_path: Path) -> None:
    key, entry = new_key("billing", ("infer",), LATER)
    assert KeyFile(written(tmp_path, entry), lambda: NOW_S + 3600).caller_of(key) is None
    assert KeyFile(written(tmp_path, entry | {"revoked": True}), lambda: NOW_S).caller_of(key) is None


def test_the_file_is_read_again_when_it_changes_and_a_broken_one_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reference_service.auth.watched.LOOK_INTERVAL_S", 0.0)
    key, entry = new_key("billing", ("infer",), LATER)
    path = written(tmp_path, entry)
    file = KeyFile(path, lambda: NOW_S)
    path.write_text("{")
    assert file.caller_of(key)
    path.unlink()
    assert file.caller_of(key)
    written(tmp_path, entry | {"revoked": True})
    assert file.caller_of(key) is None


@pytest.mark.parametrize(
    "change",
    [
        {"scopes": ["root"]},
        {"scopes": []},
        {"expires": "2027-01-01T00:00:00"},
        {"expires": "soon"},
        {"sha256": "00"},
        {"client": ""},
        {"extra": 1},
    ],
)
def test_an_entry_that_says_too_little_or_too_much_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    _, entry = new_key("billing", ("infer",), LATER)
    with pytest.raises(StartError, match=r"keys.json can't be used"):
        KeyFile(written(tmp_path, entry | change))


@given(st.binary(max_size=200))
def test_no_content_of_a_file_is_more_than_a_refusal(content: bytes) -> None:
    with pytest.raises(KeyFileError):
        parse_keys(content)


def run(*arguments: str) -> Any:
    return CliRunner().invoke(group, ["keys", *arguments])


def test_the_command_makes_lists_and_revokes_and_shows_a_key_once(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    key = run("create", "--file", str(path), "--client", "billing", "--scope", "infer", "--days", "1").output.strip()
    assert KeyFile(path).caller_of(key)
    assert key not in path.read_text()
    listed = run("list", "--file", str(path)).output
    assert "billing  infer  expires" in listed
    assert key not in listed
    assert run("revoke", "--file", str(path), listed.split()[0]).exit_code == 0
    assert KeyFile(path).caller_of(key) is None
    assert "revoked" in run("list", "--file", str(path)).output
    assert run("revoke", "--file", str(path), "unknown").exit_code == 2
    assert run("list", "--file", str(tmp_path / "absent")).exit_code == 2
