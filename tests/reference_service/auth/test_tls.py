"""A real server behind TLS: who gets in, what a rotation does, and which files are refused."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING

import grpc
import pytest
from cryptography import x509

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


SOMEONE = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "billing")])
NAMES = {
    "a DNS name": ("x", [x509.DNSName("billing")], True),
    "a URI": ("x", [x509.UniformResourceIdentifier("spiffe://us/billing")], True),
    "one of several": ("x", [x509.DNSName("other"), x509.DNSName("billing")], True),
    "the common name where there is no other": ("billing", [], True),
    "the common name beside another": ("billing", [x509.DNSName("other")], False),
    "a name within a name": ("x", [x509.DirectoryName(SOMEONE)], False),
    "part of a name": ("x", [x509.DNSName("billing.example")], False),
}


@pytest.mark.parametrize("case", NAMES)
def test_a_caller_is_named_by_its_certificate_as_grpc_has_it(
    tmp_path: Path, tiny_version: ModelVersion, case: str
) -> None:
    name, names, known = NAMES[case]
    signed("server", AUTHORITY).write(tmp_path)
    clients = {"billing": ("infer",), "spiffe://us/billing": ("infer",)}
    door = FrontDoor(Authenticator(None, None, clients), mutual=True)
    with in_process(tiny_version, identity=identity(tmp_path, mutual=True), door=door) as running:
        code = ask(running.address, signed(name, AUTHORITY, names=names))
    assert code is (grpc.StatusCode.OK if known else grpc.StatusCode.UNAUTHENTICATED)


def test_an_authority_that_is_no_longer_trusted_lets_nobody_in_again(
    tmp_path: Path, tiny_version: ModelVersion
) -> None:
    signed("server", AUTHORITY).write(tmp_path)
    door = FrontDoor(Authenticator(None, None, {"billing": ("infer",)}), mutual=True)
    client, replaced = signed("billing", AUTHORITY, names=[]), signed("replaced")
    with in_process(tiny_version, identity=identity(tmp_path, mutual=True), door=door) as running:
        context = ssl.create_default_context(cadata=AUTHORITY.chain_pem.decode())
        client.write(tmp_path, "client")
        context.load_cert_chain(tmp_path / "client.pem", tmp_path / "client.key")
        session = handshake(running.address, context)
        assert session is None or not session.has_ticket  # there is nothing to resume by
        assert ask(running.address, client) is grpc.StatusCode.OK
        (tmp_path / "ca.pem").write_bytes(replaced.chain_pem)
        wait_for(lambda: ask(running.address, client) is grpc.StatusCode.UNAVAILABLE, LOOK_INTERVAL_S + 2)


def handshake(address: str, context: ssl.SSLContext) -> ssl.SSLSession | None:
    context.set_alpn_protocols(["h2"])
    host, _, port = address.rpartition(":")
    with (
        socket.create_connection((host, int(port)), 5) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as encrypted,
    ):
        assert encrypted.recv(9)  # the server's settings, and so the end of its handshake
        assert encrypted.version() == "TLSv1.3"
        return encrypted.session


@pytest.mark.filterwarnings("ignore:.*TLSv1_1 is deprecated")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2])
def test_tls_1_2_is_the_least(encrypted: InProcess, version: ssl.TLSVersion) -> None:
    context = ssl.create_default_context(cadata=AUTHORITY.chain_pem.decode())
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    context.set_alpn_protocols(["h2"])
    host, _, port = encrypted.address.rpartition(":")
    refused = pytest.raises((ssl.SSLError, ConnectionResetError)) if version < ssl.TLSVersion.TLSv1_2 else nullcontext()
    with socket.create_connection((host, int(port)), 5) as plain, refused:
        context.wrap_socket(plain, server_hostname="localhost").close()


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
