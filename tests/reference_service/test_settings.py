"""`service.toml` is read strictly, and no error shows a value."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from reference_service.errors import StartError
from reference_service.settings import ServiceSettings, read_settings

if TYPE_CHECKING:
    from pathlib import Path

WHOLE = """
engine = "onnxruntime"
[tls]
certificate = "server.pem"
key = "file:server.key"
client_ca = "ca.pem"
[auth]
keys = "keys.json"
[auth.jwt]
issuer = "https://issuer.example"
audience = "flight-delay"
jwks = "jwks.json"
[auth.mtls.clients]
billing = ["infer"]
[quota]
requests_per_day = 10
[limits]
in_flight_max = 7
[batching]
rows_max = 8
[validation]
out_of_range = "clip"
[registry]
trust = "trust.json"
[metrics]
listen = "127.0.0.1:0"
[traces]
endpoint = "http://127.0.0.1:4317"
[predictions]
directory = "predictions"
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "service.toml"
    path.write_text(text)
    return path


def test_every_table_is_read_and_paths_are_beside_the_file(tmp_path: Path) -> None:
    settings = read_settings(written(tmp_path, WHOLE))
    assert settings.tls
    assert settings.auth
    assert (settings.tls.certificate, settings.tls.key) == (tmp_path / "server.pem", f"file:{tmp_path / 'server.key'}")
    assert settings.auth.keys == tmp_path / "keys.json"
    assert settings.auth.mtls.clients == {"billing": ("infer",)}
    assert settings.limits.in_flight_max == 7


def test_nothing_is_needed(tmp_path: Path) -> None:
    assert read_settings(written(tmp_path, "")) == ServiceSettings()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[auht]\n", "auht"),
        ("[auth]\nkey = 'x'\n", "auth.key"),
        ("[traces]\nendpoint = 'http://x'\nratio = 2\n", "traces.ratio"),
        ("[auth.mtls.clients]\na = ['root']\n", "auth.mtls.clients.a.0"),
        ("[limits]\nin_flight_max = 0\n", "limits.in_flight_max"),
    ],
)
def test_what_is_not_known_is_an_error_that_names_the_key(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(StartError, match=rf"service.toml: {named}: "):
        read_settings(written(tmp_path, text))


def test_an_error_never_shows_a_value(tmp_path: Path) -> None:
    with pytest.raises(StartError) as caught:
        read_settings(written(tmp_path, "[tls]\ncertificate = 'a'\nkey = ['hunter2']\n"))
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("text", ["[tls", "\x00"])
def test_what_is_no_toml_is_said_so(tmp_path: Path, text: str) -> None:
    with pytest.raises(StartError, match="is no TOML"):
        read_settings(written(tmp_path, text))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StartError, match=r"absent.toml can't be read: No such file"):
        read_settings(tmp_path / "absent.toml")
