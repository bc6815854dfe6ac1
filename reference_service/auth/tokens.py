"""JSON Web Tokens (RFC 7519): who issued them, for whom, and until when.

Rule: the key decides the algorithm, never the token, and only asymmetric ones count, so that neither `none` nor a
public key taken for a shared secret passes. A verified token is remembered until it expires, because verifying a
signature takes some 100 µs and the same token comes with every call of a client.
"""

from __future__ import annotations

import hashlib
import json
import time
from typing import TYPE_CHECKING, Any, Final

import jwt

from reference_service.auth.caller import ADMIN, INFER, Caller, is_client
from reference_service.auth.watched import WatchedFile
from reference_service.errors import StartError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from reference_service.settings import Jwt

ALGORITHMS: Final = frozenset({"EdDSA", "ES256", "RS256"})
TOKEN_CHARACTERS_MAX: Final = 4096
LIFETIME_S_MAX: Final = 24 * 3600
"""A token that lives longer is as good as a password, and can't be revoked."""
REMEMBERED_MAX: Final = 10_000
RSA_BITS_MIN: Final = 2048
"""RFC 7518, section 3.3."""
_REQUIRED: Final = ["exp", "iat", "sub", "aud", "iss"]


class TokenKeysError(ValueError):
    """The JWKS file is not what it should be."""


def parse_jwks(content: bytes) -> Mapping[str, jwt.PyJWK]:
    """The keys of a JWKS (RFC 7517) by key id; those for other algorithms are left out.

    Raises:
        TokenKeysError: it is no JWKS, has a private key or a weak one, or none that can be used.
    """
    try:
        document = json.loads(content)
        private = any("d" in key for key in document["keys"])
        keys = jwt.PyJWKSet.from_dict(document).keys
    except (ValueError, TypeError, AttributeError, KeyError, jwt.PyJWTError) as error:
        raise TokenKeysError(f"it is no JWKS: {type(error).__name__}") from error
    if private:
        raise TokenKeysError("it has a private key, with which whoever reads it can issue tokens: replace that key")
    found = {key.key_id: key for key in keys if key.key_id and key.algorithm_name in ALGORITHMS}
    if not found:
        raise TokenKeysError(f"no key has a 'kid' and an algorithm of {', '.join(sorted(ALGORITHMS))}")
    if any(key.key_type == "RSA" and key.key.key_size < RSA_BITS_MIN for key in found.values()):
        raise TokenKeysError(f"an RSA key has less than {RSA_BITS_MIN} bits")
    return found


class TokenVerifier:
    """Accepts tokens of one issuer for one audience. `now_s` is the wall clock, in seconds since 1970."""

    def __init__(self, expected: Jwt, now_s: Callable[[], float] = time.time) -> None:
        self._expected = expected
        self._now_s = now_s
        try:
            self._keys = WatchedFile(expected.jwks, parse_jwks)
        except (OSError, TokenKeysError) as error:
            raise StartError(f"the token keys in {expected.jwks} can't be used: {error}") from error
        self._remembered: dict[bytes, tuple[float, Caller]] = {}
        self._remembered_for = self._keys.current()

    def caller_of(self, token: str) -> Caller | None:
        """Whose token this is; None if it does not hold now."""
        if not token.isascii() or len(token) > TOKEN_CHARACTERS_MAX:
            return None
        if self._keys.current() is not self._remembered_for:
            self._remembered, self._remembered_for = {}, self._keys.current()
        digest = hashlib.sha256(token.encode()).digest()
        found = self._remembered.get(digest) or self._verified(token, digest)
        if found is None or found[0] <= self._now_s():
            self._remembered.pop(digest, None)
            return None
        return found[1]

    def _verified(self, token: str, digest: bytes) -> tuple[float, Caller] | None:
        try:
            key = self._remembered_for[jwt.get_unverified_header(token)["kid"]]
            claims = self._claims(token, key)
        except (jwt.PyJWTError, KeyError, TypeError, ValueError):
            return None
        if not self._timely(claims) or not is_client(claims["sub"]):
            return None
        scopes = frozenset(str(claims.get("scope", "")).split()) & {INFER, ADMIN}
        found = (claims["exp"] + self._expected.leeway_s, Caller(claims["sub"], scopes, "jwt"))
        if len(self._remembered) >= REMEMBERED_MAX:
            self._remembered.clear()
        self._remembered[digest] = found
        return found

    def _claims(self, token: str, key: jwt.PyJWK) -> dict[str, Any]:
        unclocked = {"require": _REQUIRED, "verify_exp": False, "verify_nbf": False, "verify_iat": False}
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[key.algorithm_name],
            audience=self._expected.audience,
            issuer=self._expected.issuer,
            options=unclocked,  # type: ignore[arg-type] # times are checked against our own clock
        )
        return claims

    def _timely(self, claims: Mapping[str, Any]) -> bool:
        """Whether the token holds now, within the leeway, and is not meant to live for ever."""
        begins, issued, ends = claims.get("nbf", claims["iat"]), claims["iat"], claims["exp"]
        if not all(isinstance(item, int | float) for item in (begins, issued, ends)):
            return False
        latest_s = self._now_s() + self._expected.leeway_s
        earliest_s = self._now_s() - self._expected.leeway_s
        return bool(max(begins, issued) <= latest_s and ends > earliest_s and ends - issued <= LIFETIME_S_MAX)
