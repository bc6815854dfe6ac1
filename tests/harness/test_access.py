"""What gonogo asks of a target before a load goes over the same TLS, with the same metadata, as the load."""

from __future__ import annotations

import dataclasses
import socket
from typing import TYPE_CHECKING

import grpc
import pytest

from harness.access import Access, AccessError, access_of, grpc_calls, require_grpc, require_http
from harness.plan import LoadedPlan, parse_plan
from harness.plan_target import Tls
from harness.requests.methods import described_method
from harness.secret import SecretError
from tests.harness.load.certificates import Authority
from tests.harness.test_plan_target import GRPC, REST
from tests.integration.weather_service import METHOD, Weather, serving

if TYPE_CHECKING:
    from pathlib import Path


def _credentials(authority: Authority, *names: str, mutual: bool = False) -> grpc.ServerCredentials:
    server = authority.sign("server", *names)
    pair = (server.key.read_bytes(), server.certificate.read_bytes())
    trusted = authority.certificate.read_bytes() if mutual else None
    return grpc.ssl_server_credentials([pair], trusted, require_client_auth=mutual)


def test_paths_of_a_plan_are_seen_from_its_folder_and_secrets_stay_references(tmp_path: Path) -> None:
    text = GRPC + '[target.metadata]\nauthorization = "Bearer file:token"\nx-key = "env:KEY"\nteam = "blue"\n'
    text += '[target.tls]\nca = "tls/ca.pem"\nserver_name = "weather.example"\n'
    access = access_of(LoadedPlan(parse_plan(text + REST), b"", tmp_path / "readiness.toml"), "127.0.0.1:1")
    assert dict(access.metadata) == {
        "authorization": f"Bearer file:{tmp_path}/token",
        "x-key": "env:KEY",
        "team": "blue",
    }
    assert access.tls == Tls(ca=f"{tmp_path}/tls/ca.pem", server_name="weather.example")


def test_grpc_over_tls_trusts_the_given_authority_and_no_other(tmp_path: Path) -> None:
    authority, other = Authority(tmp_path), Authority(tmp_path, "other")
    with serving(Weather(), credentials=_credentials(authority)) as address:
        access = Access(address, tls=Tls(ca=str(authority.certificate)))
        require_grpc(access)
        assert described_method(access, METHOD, None).name == "Forecast"
        for tls in (Tls(ca=str(other.certificate)), None):
            with pytest.raises(AccessError, match="nothing answers gRPC"):
                require_grpc(dataclasses.replace(access, tls=tls), 0.5)


def test_grpc_over_mutual_tls_shows_a_certificate_and_checks_another_name(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    mine = authority.sign("client")
    own = {"certificate": str(mine.certificate), "key": str(mine.key)}
    with serving(Weather(), credentials=_credentials(authority, "weather.example", mutual=True)) as address:
        tls = Tls(ca=str(authority.certificate), server_name="weather.example", **own)
        assert described_method(Access(address, tls=tls), METHOD, None).name == "Forecast"
        with pytest.raises(AccessError):
            require_grpc(Access(address, tls=dataclasses.replace(tls, server_name="")), 0.5)


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ({"ca": "none.pem"}, "tls.ca .*none.pem: No such file"),
        ({"ca": "client.key"}, "tls.ca .*client.key: "),
        ({"certificate": "client.pem", "key": "none.key"}, "tls.certificate .*No such file"),
        ({"certificate": "client.pem", "key": "locked.key"}, "tls.certificate .*the key is encrypted"),
        ({"certificate": "client.pem", "key": "other.key"}, "tls.certificate .*(?i:mismatch)"),
    ],
)
def test_a_file_of_tls_that_is_of_no_use_is_named(tmp_path: Path, broken: dict[str, str], said: str) -> None:
    authority = Authority(tmp_path)
    authority.sign("client")
    authority.sign("other")
    authority.sign("locked", encrypted=True)
    tls = Tls(**{name: str(tmp_path / file) for name, file in broken.items()})
    for require in (require_grpc, require_http):
        with pytest.raises(AccessError, match=said):
            require(Access("127.0.0.1:1", tls=tls), 0.1)


def test_a_call_carries_the_metadata_and_its_errors_hide_the_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    weather = Weather("right")
    with serving(weather) as address:
        described = described_method(Access(address), METHOD, None)
        for token in ("right", "wr0ng"):
            monkeypatch.setenv("TEST_TOKEN", token)
            with grpc_calls(Access(address, (("authorization", "Bearer env:TEST_TOKEN"),))) as calls:
                call = calls.channel.unary_unary(METHOD, None, None)
                if weather.takes(f"Bearer {token}"):
                    assert call(b"", metadata=calls.metadata, timeout=5)
                    continue
                with pytest.raises(grpc.RpcError) as caught:
                    call(b"", metadata=calls.metadata, timeout=5)
                assert calls.describe(caught.value) == "UNAUTHENTICATED: who is (hidden)?"
    assert described.input_type.name == "ForecastRequest"


def test_an_http_service_is_reached_by_a_connection_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        require_http(Access(address))
        with pytest.raises(AccessError, match=f"no HTTPS connection to {address}"):
            require_http(Access(address, tls=Tls()), 0.2)
        monkeypatch.delenv("TEST_TOKEN", raising=False)
        with pytest.raises(SecretError, match="env:TEST_TOKEN"):
            require_http(Access(address, (("x-api-key", "env:TEST_TOKEN"),)))
    with pytest.raises(AccessError, match=f"no HTTP connection to {address}"):
        require_http(Access(address))
    with pytest.raises(AccessError, match='an address is "host:port"'):
        require_http(Access("nowhere:http"))
