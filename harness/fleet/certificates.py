"""Makes the certificates of one fleet at its start: an authority, and what it signs for the edge, the zones and us.

Rule: short-lived, and useless once the fleet is gone. The authority's key is not written, but where a drill keeps it
for the fleet that comes after; every other key lies in a
file that only this user can read, in the fleet's private directory.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from harness.fleet.ports import LOOPBACK

if TYPE_CHECKING:
    from pathlib import Path

LIFE = dt.timedelta(hours=24)
"""Longer than any run; no fleet outlives it by being forgotten."""
CERTIFICATE, KEY = "ca.pem", "ca.key"
"""Names of an authority's files."""
BACKDATED = dt.timedelta(minutes=5)
"""For clocks that disagree."""


@dataclass(frozen=True, slots=True)
class Certified:
    """A certificate and its key, as PEM files."""

    certificate: Path
    key: Path


class Authority:
    """Signs for one fleet. Its own certificate is `certificate`, its files go to `directory`.

    With `kept` it is the authority that `keep` was called of there.
    """

    def __init__(self, directory: Path, kept: Path | None = None) -> None:
        self.certificate = directory / CERTIFICATE
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1()) if kept is None else _read_key(kept / KEY)
        self._name = _name("gonogo fleet")
        self._began = dt.datetime.now(tz=dt.UTC)
        if kept is not None:
            self.certificate.write_bytes((kept / CERTIFICATE).read_bytes())
            return
        own = (
            self._builder(self._name, self._key.public_key(), self._began + LIFE)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs=True), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.certificate.write_bytes(own.public_bytes(serialization.Encoding.PEM))

    def keep(self) -> None:
        """Write the key beside the certificate, for another fleet to go on with."""
        write_private(self._directory / KEY, _encoded(self._key))

    def server(self, name: str) -> Certified:
        """For a server on loopback, known as `name` too."""
        return self._sign(name, name, ExtendedKeyUsageOID.SERVER_AUTH)

    def client(self, name: str) -> Certified:
        """For a client called `name`."""
        return self._sign(name, f"{name}-client", ExtendedKeyUsageOID.CLIENT_AUTH)

    def renew(self, server: Certified, name: str, life_s: float) -> None:
        """Replace a server's certificate, in one step, by one for its present key that holds for `life_s` from now."""
        key = serialization.load_pem_private_key(server.key.read_bytes(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise TypeError(f"{server.key} is no key that this authority made")
        until = dt.datetime.now(tz=dt.UTC) + dt.timedelta(seconds=life_s)
        certificate = self._certificate(name, key, ExtendedKeyUsageOID.SERVER_AUTH, until)
        fresh = server.certificate.with_suffix(".new")
        fresh.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        fresh.replace(server.certificate)

    def _sign(self, name: str, file: str, usage: x509.ObjectIdentifier) -> Certified:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._certificate(name, key, usage, self._began + LIFE)
        signed = Certified(self._directory / f"{file}.pem", self._directory / f"{file}.key")
        signed.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        write_private(signed.key, _encoded(key))
        return signed

    def _certificate(
        self, name: str, key: ec.EllipticCurvePrivateKey, usage: x509.ObjectIdentifier, until: dt.datetime
    ) -> x509.Certificate:
        names = [x509.DNSName("localhost"), x509.DNSName(name), x509.IPAddress(ipaddress.ip_address(LOOPBACK))]
        return (
            self._builder(_name(name), key.public_key(), until)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .sign(self._key, hashes.SHA256())
        )

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, until: dt.datetime
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._began - BACKDATED)
            .not_valid_after(until)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only this user can read, from its first moment on."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)


def _encoded(key: ec.EllipticCurvePrivateKey) -> bytes:
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return key.private_bytes(*form)


def _read_key(path: Path) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError(f"{path} is no key of an authority")
    return key


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )
