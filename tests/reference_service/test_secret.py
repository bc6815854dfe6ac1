"""A secret comes from where its reference leads, and no error shows one."""

from __future__ import annotations

import sys
import types
from typing import TYPE_CHECKING

import pytest

from reference_service.secret import SecretError, located, resolve

if TYPE_CHECKING:
    from pathlib import Path


def test_a_reference_leads_to_its_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_SECRET", "one")
    (tmp_path / "secret").write_bytes(b"two\n")
    assert resolve("env:A_SECRET") == b"one"
    assert resolve(located("file:secret", tmp_path)) == b"two\n"


@pytest.mark.parametrize("reference", ["hunter2", "", "env:", "file:", "vault:hunter2"])
def test_what_is_no_reference_is_refused_unseen(reference: str) -> None:
    with pytest.raises(SecretError) as caught:
        resolve(reference)
    assert "hunter2" not in str(caught.value)


def test_a_reference_that_leads_nowhere_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    for reference, text in (
        ("env:ABSENT_1", "ABSENT_1"),
        (f"file:{tmp_path}/no", "no"),
        (f"file:{tmp_path}/empty", "empty"),
    ):
        with pytest.raises(SecretError, match=text):
            resolve(reference)


def test_secret_manager_is_asked_for_the_version_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Against a stand-in for Google's client: the call's form is what is shown, not the service."""

    class Client:
        def access_secret_version(self, *, name: str, timeout: float) -> object:
            assert timeout > 0
            if name.endswith("/9"):
                raise PermissionError("the value hunter2")
            return types.SimpleNamespace(payload=types.SimpleNamespace(data=f"of {name}".encode()))

    stand_in = types.ModuleType("google.cloud.secretmanager")
    stand_in.SecretManagerServiceClient = Client  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "google.cloud.secretmanager", stand_in)
    monkeypatch.setattr("google.cloud.secretmanager", stand_in, raising=False)
    assert resolve("gcp-secret:projects/p/secrets/s/versions/1") == b"of projects/p/secrets/s/versions/1"
    with pytest.raises(SecretError, match="PermissionError") as caught:
        resolve("gcp-secret:projects/p/secrets/s/versions/9")
    assert "hunter2" not in str(caught.value)
