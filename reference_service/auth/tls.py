"""The service's certificate, read again when its files change.

Rule: a connection keeps the certificate it began with, a new one gets the newest. Files that can't be used are refused
at the start, by what is wrong with them; later, the certificate that held stays and the log says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from reference_service.errors import StartError
from reference_service.secret import SecretError, resolve
from reference_service.telemetry import log_event

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable

    from reference_service.settings import Tls


class CertificateError(ValueError):
    """Certificate, key and authority don't make an identity; the text says why."""


class ServerIdentity:
    """Certificate, key and client authority, as the files have them now. `now` is the wall clock, with a time zone."""

    def __init__(self, tls: Tls, now: Callable[[], dt.datetime]) -> None:
        self._tls = tls
        self._now = now
        self._files: tuple[bytes, bytes, bytes | None] | None = None
        self.not_after = now()

    def credentials(self) -> grpc.ServerCredentials:
        """What gRPC listens with. gRPC asks for the newest files at each new connection; TLS 1.2 is its least.

        Raises:
            StartError: the files can't be used.
        """
        try:
            first = self._read()
        except (CertificateError, SecretError, OSError) as error:
            raise StartError(f"the certificate {self._tls.certificate} can't be served: {error}") from error
        mutual = self._tls.client_ca is not None
        return grpc.dynamic_ssl_server_credentials(
            first,
            self._newest,  # type: ignore[arg-type] # the stubs forget that None means unchanged
            require_client_authentication=mutual,
        )

    def seconds_left(self) -> float:
        """Seconds until the certificate expires."""
        return (self.not_after - self._now()).total_seconds()

    def _newest(self) -> grpc.ServerCertificateConfiguration | None:
        """What a new connection gets; None leaves it as it is."""
        before = self._files
        try:
            found = self._read()
        except (CertificateError, SecretError, OSError) as error:
            log_event("reload_failed", path=str(self._tls.certificate), error=f"{type(error).__name__}: {error}")
            return None
        return found if self._files != before else None

    def _read(self) -> grpc.ServerCertificateConfiguration:
        chain, key = self._tls.certificate.read_bytes(), resolve(self._tls.key)
        authority = self._tls.client_ca.read_bytes() if self._tls.client_ca else None
        if (chain, key, authority) != self._files:
            self.not_after = _checked(chain, key, self._now())
            self._files = (chain, key, authority)
        return grpc.ssl_server_certificate_configuration([(key, chain)], authority)


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
