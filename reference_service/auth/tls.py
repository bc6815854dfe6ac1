"""The service's certificate, read again when its files change.

Rule: a connection keeps the certificate it began with, a new one gets the newest. Files that can't be used are refused
at the start, by what is wrong with them; later, the certificate that held stays and the log says so.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from reference_service.auth.watched import LOOK_INTERVAL_S
from reference_service.errors import StartError
from reference_service.secret import SecretError, resolve
from reference_service.telemetry import log_event

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable

    from reference_service.settings import Tls

    Stamp = tuple[tuple[int, int, int] | None, ...]

CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Of TLS 1.2; what RFC 9113, appendix A, leaves and gives forward secrecy."""


class CertificateError(ValueError):
    """Certificate, key and authority don't make an identity; the text says why."""


class ServerIdentity:
    """Certificate, key and client authority, as the files have them now. `now` is the wall clock, with a time zone.

    Raises StartError if the files can't be used.
    """

    def __init__(self, tls: Tls, now: Callable[[], dt.datetime]) -> None:
        self._tls = tls
        self._now = now
        self._stamp = self._look()
        self._next_look_s = time.monotonic() + LOOK_INTERVAL_S
        try:
            self._context, self._not_after = self._read()
        except (CertificateError, SecretError, OSError) as error:
            raise StartError(f"the certificate {tls.certificate} can't be served: {error}") from error

    def context(self) -> ssl.SSLContext:
        """What a new connection is met with, at most a little more than a second old; called on an event loop.

        Changed files are read on a thread, because a key may come from far.
        """
        if time.monotonic() >= self._next_look_s:
            self._next_look_s = time.monotonic() + LOOK_INTERVAL_S
            stamp = self._look()
            if stamp != self._stamp:
                self._stamp = stamp  # before reading, so that broken files are told of once
                asyncio.get_running_loop().run_in_executor(None, self._renew)
        return self._context

    def seconds_left(self) -> float:
        """Seconds until the certificate expires."""
        return (self._not_after - self._now()).total_seconds()

    def _renew(self) -> None:
        path = str(self._tls.certificate)
        try:
            self._context, self._not_after = self._read()
        except (CertificateError, SecretError, OSError) as error:
            log_event("reload_failed", path=path, error=f"{type(error).__name__}: {error}")
        else:
            log_event("reloaded", path=path)

    def _read(self) -> tuple[ssl.SSLContext, dt.datetime]:
        chain, key = self._tls.certificate.read_bytes(), resolve(self._tls.key)
        not_after = _checked(chain, key, self._now())
        authority = self._tls.client_ca.read_bytes() if self._tls.client_ca else None
        return _context(chain, key, authority), not_after

    def _look(self) -> Stamp:
        """What changes with the files. A key elsewhere is read again with the certificate that it belongs to."""
        kind, _, path = self._tls.key.partition(":")
        files = [self._tls.certificate, self._tls.client_ca, Path(path) if kind == "file" else None]
        return tuple(_stamp(file) for file in files if file is not None)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size


def _context(chain: bytes, key: bytes, authority: bytes | None) -> ssl.SSLContext:
    """TLS 1.2 at least, HTTP/2, and with an `authority` only clients whose certificates it signed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.set_alpn_protocols(["h2"])
    # A resumed session would not be checked against an authority that has changed since.
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.num_tickets = 0
    try:
        _load(context, chain + b"\n" + key)
        if authority is not None:
            context.load_verify_locations(cadata=authority.decode("ascii"))
            context.verify_mode = ssl.CERT_REQUIRED
    except (ssl.SSLError, UnicodeDecodeError, ValueError) as error:
        raise CertificateError("certificate, key and client authority can't be used together") from error
    return context


def _load(context: ssl.SSLContext, pem: bytes) -> None:
    """Load a chain with its key, which OpenSSL takes by path only, from memory that no file system has."""
    memory = os.memfd_create("certificate")
    try:
        os.write(memory, pem)
        context.load_cert_chain(f"/proc/self/fd/{memory}")
    finally:
        os.close(memory)


def _checked(chain: bytes, key: bytes, now: dt.datetime) -> dt.datetime:
    """When the certificate expires, if it holds now and belongs to the key."""
    try:
        certificate = x509.load_pem_x509_certificate(chain)
        private = load_pem_private_key(key, None)
    except (ValueError, TypeError) as error:
        raise CertificateError("expected a certificate and a private key, unencrypted, both in PEM") from error
    expected, found = (
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        for public in (certificate.public_key(), private.public_key())
    )
    if expected != found:
        raise CertificateError("the private key is not that of the certificate")
    if not certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc:
        raise CertificateError(
            f"it is valid from {certificate.not_valid_before_utc} to {certificate.not_valid_after_utc}, not now"
        )
    return certificate.not_valid_after_utc
