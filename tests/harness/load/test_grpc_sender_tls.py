"""Over TLS, only the peer that was meant is spoken to, and it learns who calls."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from harness.load.spec import Tls
from tests.harness.load.calls import OK, UNAVAILABLE, calls, run
from tests.harness.load.grpc_peers import threaded_server
from tests.harness.load.odd_peer import answering, odd_server

if TYPE_CHECKING:
    from pathlib import Path

    from tests.harness.load.calls import End

NOW = dt.datetime.now(dt.UTC)


@dataclass(frozen=True)
class Identity:
    """A key and its certificate; `issue` makes another, signed by it."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def make(cls, name: str, issuer: Identity | None, *alternatives: x509.GeneralName) -> Identity:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        signer = issuer.key if issuer else key
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer.certificate.subject if issuer else subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - dt.timedelta(hours=1))
            .not_valid_after(NOW + dt.timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        )
        if alternatives:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        return cls(key, builder.sign(signer, hashes.SHA256()))

    @property
    def pem(self) -> tuple[bytes, bytes]:
        """Key and certificate."""
        key = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return key, self.certificate.public_bytes(Encoding.PEM)

    def load_into(self, context: ssl.SSLContext, directory: Path) -> None:
        """Let `context` speak in this name."""
        path = directory / f"{self.certificate.serial_number}.pem"
        path.write_bytes(b"".join(self.pem))
        context.load_cert_chain(path)


CA, STRANGER = Identity.make("ca", None), Identity.make("another ca", None)
LOOPBACK = Identity.make("server", CA, x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
NAMED = Identity.make("server", CA, x509.DNSName("model.example"))
CLIENT = Identity.make("client", CA)


def trusting(ca: Identity = CA) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=ca.pem[1].decode())


def ends(server: Identity, tls: ssl.SSLContext | None, *, name: str = "", wants_client: bool = False) -> list[End]:
    """How three calls to a grpcio server end."""
    seen: list[str] = []

    def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
        seen.extend(value.decode() for value in context.auth_context().get("x509_common_name", ()))
        return request

    async def main(address: str) -> list[End]:
        keywords = {"tls": tls, "spec_tls": Tls(server_name=name) if tls else None}
        async with calls(address, (b"x" * 50_000,), up=None, **keywords) as made:
            return await made.call(3)

    ca = CA.pem[1] if wants_client else None
    credentials = grpc.ssl_server_credentials([server.pem], ca, require_client_auth=wants_client)
    with threaded_server(answer, credentials=credentials) as address:
        found = run(main(address))
    assert seen == (["client"] * 3 if wants_client and found[0].status == OK else [])
    return found


def test_the_right_authority_and_address() -> None:
    assert [(end.status, end.size) for end in ends(LOOPBACK, trusting())] == [(OK, 50_000)] * 3


def test_the_right_authority_and_another_name() -> None:
    assert {end.status for end in ends(NAMED, trusting(), name="model.example")} == {OK}


def test_a_client_that_shows_its_certificate(tmp_path: Path) -> None:
    tls = trusting()
    CLIENT.load_into(tls, tmp_path)
    assert {end.status for end in ends(LOOPBACK, tls, wants_client=True)} == {OK}


@pytest.mark.parametrize(
    ("server", "tls", "name", "wants_client"),
    [
        pytest.param(LOOPBACK, trusting(STRANGER), "", False, id="another authority"),
        pytest.param(NAMED, trusting(), "", False, id="the wrong address"),
        pytest.param(NAMED, trusting(), "other.example", False, id="the wrong name"),
        pytest.param(LOOPBACK, trusting(), "", True, id="no client certificate"),
        pytest.param(LOOPBACK, None, "", False, id="no TLS"),
    ],
)
def test_whoever_is_not_meant_is_not_spoken_to(
    server: Identity, tls: ssl.SSLContext | None, name: str, *, wants_client: bool
) -> None:
    found = ends(server, tls, name=name, wants_client=wants_client)
    assert {end.status for end in found} == {UNAVAILABLE}
    assert all(end.after_s < 1 for end in found)


@pytest.mark.parametrize(("protocols", "status"), [(["h2"], OK), (["http/1.1"], UNAVAILABLE), ([], UNAVAILABLE)])
def test_http_2_must_be_agreed_upon(protocols: list[str], status: int, tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    LOOPBACK.load_into(context, tmp_path)
    context.set_alpn_protocols(protocols)

    async def main() -> None:
        async with odd_server(answering(), tls=context) as address, calls(address, up=None, tls=trusting()) as made:
            assert {end.status for end in await made.call(3)} == {status}

    run(main())


def test_plain_text_is_no_tls() -> None:
    async def main(address: str) -> None:
        async with calls(address, up=0, tls=trusting()) as made:
            assert {end.status for end in await made.call(3)} == {UNAVAILABLE}

    with threaded_server(lambda request, _: request) as address:
        run(main(address))
