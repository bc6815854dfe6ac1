"""Makes the TLS settings of a load's connections from the files that its specification names.

Rule: a peer's certificate is always verified, and its name too; what cannot be loaded is a SenderError that names the
file.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from harness.load.sender import SenderError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.plan_target import Tls


def tls_context(tls: Tls | None, alpn: Sequence[str]) -> ssl.SSLContext | None:
    """The context of a client that offers the protocols `alpn`; None without TLS. Raises SenderError."""
    if tls is None:
        return None
    context = _trusting(tls.ca)
    context.set_alpn_protocols(list(alpn))
    if tls.certificate:
        try:
            context.load_cert_chain(tls.certificate, tls.key, password=_no_password)
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            raise SenderError(f"tls.certificate {tls.certificate} with tls.key {tls.key}: {_why(error)}") from error
    return context


def _trusting(ca: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca or None)
    except (OSError, ValueError) as error:
        raise SenderError(f"tls.ca {ca}: {_why(error)}") from error


def _no_password() -> str:
    """OpenSSL would ask on the terminal for the password of an encrypted key."""
    raise ValueError("the key is encrypted; give one that is not")


def _why(error: Exception) -> str:
    reason = getattr(error, "strerror", None) or getattr(error, "reason", None)
    return str(reason or error)
