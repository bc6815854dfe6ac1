"""A secret is had by reference or not at all, and no error shows one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.plan_target import Reference
from harness.secret import SecretError, hide, resolve, resolve_all

if TYPE_CHECKING:
    from pathlib import Path


def test_references_are_resolved_and_the_rest_is_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TEST_TOKEN", "t0ken")
    (tmp_path / "key").write_text("k3y\n")
    metadata = (("team", "blue"), ("authorization", "Bearer env:TEST_TOKEN"), ("x-api-key", f"file:{tmp_path}/key"))
    plain, secrets = resolve_all(metadata)
    assert plain == (("team", "blue"),)
    assert secrets == (("authorization", "Bearer t0ken"), ("x-api-key", "k3y"))


@pytest.mark.parametrize("content", [b"", b" \n", b"two\nlines", "schlüssel".encode(), b"\xff\xfe", b"tab\there"])
def test_what_cannot_be_sent_is_refused_without_being_shown(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "key"
    path.write_bytes(content)
    with pytest.raises(SecretError) as caught:
        resolve(Reference("", "file", str(path)))
    said = str(caught.value)
    assert str(path) in said
    assert not [word for word in (b"two", "schlüssel".encode(), b"tab", b"here") if word.decode() in said]


def test_a_secret_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEST_TOKEN", raising=False)
    with pytest.raises(SecretError, match="env:TEST_TOKEN: the environment has no variable"):
        resolve(Reference("", "env", "TEST_TOKEN"))
    with pytest.raises(SecretError, match="none can't be read \\(No such file"):
        resolve(Reference("", "file", str(tmp_path / "none")))


def test_a_peer_that_repeats_a_secret_does_not_make_us_repeat_it() -> None:
    secrets = (("authorization", "Bearer t0ken"), ("x-api-key", "k3y"))
    assert hide("no such token: t0ken; Bearer t0ken, k3y", secrets) == "no such token: (hidden); (hidden), (hidden)"
