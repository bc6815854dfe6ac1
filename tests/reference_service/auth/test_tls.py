"""A real server behind TLS: who gets in, what a rotation does, and which files are refused."""

from __future__ import annotations

import datetime as dt
import ssl
import time
from typing import TYPE_CHECKING

import grpc
import pytest

from reference_service.auth.authenticator import Authenticator
from reference_service.auth.tls import ServerIdentity
from reference_service.auth.watched import LOOK_INTERVAL_S
from reference_service.calls import FrontDoor
from reference_service.errors import StartError
from reference_service.protocol.messages import infer_request
from reference_service.protocol.open_inference_pb2_grpc import GRPCInferenceServiceStub
from reference_service.settings import Tls
from tests.reference_service.certificates import Identity, signed
from tests.reference_service.running import InProcess, in_process, wait_for
from tests.reference_service.tiny_registry import MODEL, tiny_rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from reference_service.registry import ModelVersion

REQUEST = infer_request(MODEL, "features", tiny_rows(1))
AUTHORITY = signed("authority")


def settings(folder: Path, *, mutual: bool = False) -> Tls:
    (folder / "ca.pem").write_bytes(AUTHORITY.chain_pem)
    authority = folder / "ca.pem" if mutual else None
    return Tls(certificate=folder / "server.pem", key=f"file:{folder / 'server.key'}", client_ca=authority)


def identity(folder: Path, *, mutual: bool = False) -> ServerIdentity:
    return ServerIdentity(settings(folder, mutual=mutual), lambda: dt.datetime.now(dt.UTC))


def ask(address: str, client: Identity | None = None, authority: Identity = AUTHORITY) -> grpc.StatusCode:
    own = (client.key_pem, client.chain_pem) if client else (None, None)
    credentials = grpc.ssl_channel_credentials(authority.chain_pem, *own)
    with grpc.secure_channel(address, credentials) as channel:
        try:
            GRPCInferenceServiceStub(channel).ModelInfer(REQUEST, timeout=5)
        except grpc.RpcError as error:
            return error.code()
    return grpc.StatusCode.OK


@pytest.fixture
def encrypted(tmp_path: Path, tiny_version: ModelVersion) -> Iterator[InProcess]:
    signed("server", AUTHORITY).write(tmp_path)
    with in_process(tiny_version, identity=identity(tmp_path)) as running:
        yield running


def test_only_an_encrypted_call_to_a_trusted_server_gets_an_answer(encrypted: InProcess) -> None:
    assert ask(encrypted.address) is grpc.StatusCode.OK
    assert ask(encrypted.address, authority=signed("other")) is grpc.StatusCode.UNAVAILABLE
    with grpc.insecure_channel(encrypted.address) as channel, pytest.raises(grpc.RpcError) as caught:
        GRPCInferenceServiceStub(channel).ModelInfer(REQUEST, timeout=5)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def presented(address: str) -> bytes:
    host, _, port = address.rpartition(":")
    return ssl.get_server_certificate((host, int(port)), timeout=5).encode().strip()


def test_a_new_certificate_serves_new_connections_while_old_ones_go_on(encrypted: InProcess, tmp_path: Path) -> None:
    with grpc.secure_channel(encrypted.address, grpc.ssl_channel_credentials(AUTHORITY.chain_pem)) as channel:
        stub = GRPCInferenceServiceStub(channel)
        stub.ModelInfer(REQUEST, timeout=5)
        (tmp_path / "server.pem").write_bytes(b"half written")
        time.sleep(LOOK_INTERVAL_S)
        for _ in range(2):
            assert ask(encrypted.address) is grpc.StatusCode.OK, "broken files must not change what holds"
        fresh = signed("server", AUTHORITY)
        fresh.write(tmp_path)
        wait_for(lambda: presented(encrypted.address) == fresh.chain_pem.strip(), LOOK_INTERVAL_S + 2)
        stub.ModelInfer(REQUEST, timeout=5)


def test_with_mutual_tls_a_client_needs_a_certificate_and_a_listed_one_is_a_caller(
    tmp_path: Path, tiny_version: ModelVersion
) -> None:
    signed("server", AUTHORITY).write(tmp_path)
    door = FrontDoor(Authenticator(None, None, {"billing": ("infer",)}), mutual=True)
    with in_process(tiny_version, identity=identity(tmp_path, mutual=True), door=door) as running:
        assert ask(running.address) is grpc.StatusCode.UNAVAILABLE
        assert ask(running.address, signed("billing", signed("other"))) is grpc.StatusCode.UNAVAILABLE
        assert ask(running.address, signed("stranger", AUTHORITY)) is grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda folder: signed("server", AUTHORITY, starts_h=-5).write(folder), "not now"),
        (lambda folder: signed("server", AUTHORITY, starts_h=1).write(folder), "not now"),
        (lambda folder: (folder / "server.key").write_bytes(AUTHORITY.key_pem), "not that of the certificate"),
        (lambda folder: (folder / "server.pem").write_bytes(b"x"), "PEM"),
        (lambda folder: (folder / "server.key").unlink(), "server.key can't be read"),
    ],
)
def test_files_that_make_no_identity_are_refused_at_the_start(tmp_path: Path, change, text: str) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001
    signed("server", AUTHORITY).write(tmp_path)
    change(tmp_path)
    with pytest.raises(StartError, match=text):
        identity(tmp_path)


def test_how_long_it_still_holds_is_known(tmp_path: Path) -> None:
    signed("server", AUTHORITY).write(tmp_path)
    held = identity(tmp_path)
    assert 3500 < held.seconds_left() <= 3600
