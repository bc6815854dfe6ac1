"""Turns what a call carries into a caller: an API key, a token, or a certificate.

Rule: one credential a call. Two texts leave here, one for none and one for one that does not hold, whatever is wrong
with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from reference_service.auth.caller import Caller
from reference_service.auth.keys import KEY_CHARACTERS_MAX, PREFIX
from reference_service.errors import ForbiddenError, UnauthenticatedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

AUTHORIZATION: Final = "authorization"
API_KEY: Final = "x-api-key"
BEARER: Final = "bearer "
MISSING: Final = "expected a credential: 'authorization: Bearer …' with an API key or a token, or 'x-api-key: …'"
NOT_ACCEPTED: Final = "the credential is not accepted"


class Verifier(Protocol):
    """Knows whose a credential of one kind is."""

    def caller_of(self, credential: str) -> Caller | None:
        """Whose it is; None if it does not hold."""
        ...


class Authenticator:
    """Accepts what `keys`, `tokens` and `certificates` know; `certificates` gives scopes by subject."""

    def __init__(
        self, keys: Verifier | None, tokens: Verifier | None, certificates: Mapping[str, Sequence[str]]
    ) -> None:
        self._keys = keys
        self._tokens = tokens
        self._certificates = {
            name.encode(): Caller(name, frozenset(scopes), "mtls") for name, scopes in certificates.items()
        }

    def authenticate(
        self, metadata: Sequence[tuple[str, str | bytes]], peer_identities: Iterable[bytes] | None
    ) -> Caller:
        """Who calls; raises UnauthenticatedError."""
        credentials = [value for name, value in metadata if name in {AUTHORIZATION, API_KEY}]
        named = [self._certificates[name] for name in peer_identities or () if name in self._certificates]
        if not credentials and not named:
            raise UnauthenticatedError(MISSING)
        if len(credentials) + len(named) > 1:
            raise UnauthenticatedError(NOT_ACCEPTED)
        caller = named[0] if named else self._by_credential(credentials[0])
        if caller is None:
            raise UnauthenticatedError(NOT_ACCEPTED)
        return caller

    def require(self, caller: Caller, scope: str) -> None:
        """Return if the caller has the scope; raises ForbiddenError."""
        if scope not in caller.scopes:
            raise ForbiddenError(f"this call takes the scope {scope!r}, which the credential does not have")

    def _by_credential(self, sent: str | bytes) -> Caller | None:
        value = sent if isinstance(sent, str) else ""
        if value[: len(BEARER)].lower() == BEARER:
            value = value[len(BEARER) :]
        if value.startswith(PREFIX):
            return self._keys.caller_of(value) if self._keys and len(value) <= KEY_CHARACTERS_MAX else None
        return self._tokens.caller_of(value) if self._tokens else None
