"""What a specification only refers to is had before the load, or the load is refused in words."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING, Any

import grpc
import pytest
import uvloop

from harness.load.grpc_sender import GrpcSender
from harness.load.http_sender import HttpSender
from harness.load.sender import SenderError
from harness.load.senders import make_sender
from harness.plan_target import Tls
from tests.harness.load.certificates import Authority
from tests.integration.load_support import small_spec
from tests.integration.weather_service import METHOD, Weather, serving

if TYPE_CHECKING:
    from pathlib import Path

    from harness.load.sender import Sender
    from harness.load.spec import LoadSpec

HTTP = {"protocol": "http", "method": "POST /predict"}


def _made(folder: Path, **changes: Any) -> Sender:
    async def make() -> Sender:
        return make_sender(small_spec(folder, **changes), [b"{}"], lambda *_: None)

    return asyncio.run(make())


def test_each_protocol_has_its_sender(tmp_path: Path) -> None:
    assert isinstance(_made(tmp_path), GrpcSender)
    assert isinstance(_made(tmp_path, **HTTP), HttpSender)


@pytest.mark.parametrize("protocol", [{}, HTTP])
def test_a_secret_or_a_certificate_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: dict[str, str]
) -> None:
    monkeypatch.delenv("TEST_KEY", raising=False)
    with pytest.raises(SenderError, match="env:TEST_KEY: the environment has no variable"):
        _made(tmp_path, metadata=(("x-key", "env:TEST_KEY"),), **protocol)
    with pytest.raises(SenderError, match=r"tls\.ca none\.pem: No such file"):
        _made(tmp_path, tls=Tls(ca="none.pem"), **protocol)


def _status(spec: LoadSpec) -> int:
    """How one request by `spec` ends."""

    async def send() -> int:
        ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        sender = make_sender(spec, [b""], lambda _index, status, *_: ended.set_result(status))
        await sender.connect(3.0)
        sender.send(0, 0, "0")
        status = await asyncio.wait_for(ended, 10.0)
        await sender.close()
        return status

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(send())


def test_grpc_over_mutual_tls_with_a_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = Authority(tmp_path)
    mine, server = authority.sign("client"), authority.sign("server", "weather.example")
    pair = (server.key.read_bytes(), server.certificate.read_bytes())
    credentials = grpc.ssl_server_credentials([pair], authority.certificate.read_bytes(), require_client_auth=True)
    weather = Weather("right")
    with serving(weather, credentials=credentials) as address:
        tls = Tls(ca=str(authority.certificate), certificate=str(mine.certificate), key=str(mine.key))
        token = (("authorization", "Bearer env:TEST_TOKEN"), ("team", "blue"))
        spec = small_spec(tmp_path, address, method=METHOD, metadata=token, tls=tls)
        named = dataclasses.replace(spec, tls=dataclasses.replace(tls, server_name="weather.example"))
        for value, status in (("right", 0), ("wrong", 16)):
            monkeypatch.setenv("TEST_TOKEN", value)
            assert _status(named) == status
        assert _status(spec) == 14  # its certificate is for another name
        assert _status(dataclasses.replace(named, tls=None)) == 14
    assert weather.metadata[0]["team"] == "blue"
