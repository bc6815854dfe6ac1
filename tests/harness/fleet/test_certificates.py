"""A fleet's certificates hold for loopback, for a day, for what they are for, and nobody else can read their keys."""

from __future__ import annotations

import datetime as dt
import ipaddress
import socket
import ssl
import stat
import threading
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from harness.fleet.certificates import Authority, write_private

if TYPE_CHECKING:
    from pathlib import Path

    from harness.fleet.certificates import Certified


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def read(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def shaken(authority: Authority, server: Certified, client: Certified | None, trusted: Path) -> str:
    """What a server that wants clients' certificates says of this client; empty if both hold."""
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(authority.certificate))
    serving.load_cert_chain(server.certificate, server.key)
    serving.verify_mode = ssl.CERT_REQUIRED
    calling = ssl.create_default_context(cafile=str(trusted))
    if client:
        calling.load_cert_chain(client.certificate, client.key)
    ours, theirs = socket.socketpair()
    said: list[str] = []

    def serve() -> None:
        try:
            with theirs, serving.wrap_socket(theirs, server_side=True) as connection:
                connection.recv(1)
        except OSError as error:
            said.append(str(error))

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with ours, calling.wrap_socket(ours, server_hostname="127.0.0.1") as connection:
            connection.send(b"x")
    except OSError as error:
        said.append(str(error))
    thread.join()
    return "; ".join(said)


def test_both_sides_hold_with_each_other_and_with_nobody_else(authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    stranger = Authority(tmp_path / "other")
    zone, edge = authority.server("zone-a"), authority.client("edge")
    assert shaken(authority, zone, edge, authority.certificate) == ""
    assert "did not return a certificate" in shaken(authority, zone, None, authority.certificate)
    assert "verify failed" in shaken(authority, zone, stranger.client("edge"), authority.certificate)
    assert "verify failed" in shaken(authority, stranger.server("zone-a"), edge, authority.certificate)


def test_a_servers_certificate_is_no_clients(authority: Authority) -> None:
    zone = authority.server("zone-a")
    assert "unsuitable certificate purpose" in shaken(authority, zone, zone, authority.certificate)


def test_a_certificate_is_for_loopback_and_a_day_and_begins_a_little_ago(authority: Authority) -> None:
    signed = authority.server("zone-a")
    certificate = read(signed.certificate)
    now = dt.datetime.now(tz=dt.UTC)
    assert now - dt.timedelta(minutes=6) < certificate.not_valid_before_utc < now - dt.timedelta(minutes=4)
    assert now + dt.timedelta(hours=23) < certificate.not_valid_after_utc < now + dt.timedelta(hours=24)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost", "zone-a"]
    assert names.get_values_for_type(x509.IPAddress) == [ipaddress.ip_address("127.0.0.1")]
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]
    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key.curve.name == "secp256r1"


def test_keys_are_closed_to_others_and_the_authoritys_is_written_nowhere(authority: Authority, tmp_path: Path) -> None:
    signed = authority.server("edge")
    assert stat.S_IMODE(signed.key.stat().st_mode) == 0o600
    own = read(authority.certificate).public_key().public_numbers()  # type: ignore[union-attr]  # it is elliptic
    written = [path for path in tmp_path.iterdir() if b"PRIVATE KEY" in path.read_bytes()]
    assert written == [signed.key]
    assert own != read(signed.certificate).public_key().public_numbers()  # type: ignore[union-attr]  # the same


def test_a_private_file_replaces_one_that_was_open_to_others(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, b"new")
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"new", 0o600)


def test_a_renewed_certificate_is_of_the_same_key_and_holds_as_long_as_it_is_told(authority: Authority) -> None:
    zone, edge = authority.server("zone-a"), authority.client("edge")
    first, key = read(zone.certificate), zone.key.read_bytes()
    authority.renew(zone, "zone-a", -1)
    assert "certificate has expired" in shaken(authority, zone, edge, authority.certificate)
    authority.renew(zone, "zone-a", 60)
    assert shaken(authority, zone, edge, authority.certificate) == ""
    renewed = read(zone.certificate)
    left = renewed.not_valid_after_utc - dt.datetime.now(tz=dt.UTC)
    assert dt.timedelta(seconds=50) < left <= dt.timedelta(seconds=60)
    assert renewed.serial_number != first.serial_number
    assert zone.key.read_bytes() == key
    assert list(renewed.extensions)[2:] == list(first.extensions)[2:]
