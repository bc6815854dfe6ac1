"""An issuer of tokens for one fleet: its key, what the zones know of it, and a clock that can be wrong.

Rule: its private key lies in the fleet's private directory. Its clock is this machine's plus what one file says, so
that an experiment can put it off and a reading can see by how much.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from harness.fleet.certificates import write_private

if TYPE_CHECKING:
    from pathlib import Path

ISSUER = "https://issuer.gonogo.invalid"
AUDIENCE = "gonogo-fleet"
LEEWAY_S = 30
"""By how much clocks may differ: the service's default, written down because experiments go by it."""
TOKEN_LIFE_S = 60
CLIENT = "gonogo-token"
_KEY_ID = "fleet"
_ALGORITHM = "EdDSA"


@dataclass(frozen=True, slots=True)
class TokenIssuer:
    """The issuer's files: private key, public keys as JWKS, and by how many seconds its clock is ahead."""

    key: Path
    jwks: Path
    clock: Path

    def ahead_s(self) -> float:
        """By how much its clock is ahead of this machine's; negative if it is behind."""
        return float(json.loads(self.clock.read_text()))

    def set_clock(self, ahead_s: float) -> None:
        """Put its clock ahead; 0 puts it right."""
        fresh = self.clock.with_suffix(".new")
        fresh.write_text(json.dumps(ahead_s))
        fresh.replace(self.clock)

    def mint(self) -> str:
        """A token that may infer, issued now by the issuer's own clock, for TOKEN_LIFE_S."""
        now = int(time.time() + self.ahead_s())
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": CLIENT,
            "scope": "infer",
            "iat": now,
            "exp": now + TOKEN_LIFE_S,
        }
        return jwt.encode(claims, self.key.read_bytes(), algorithm=_ALGORITHM, headers={"kid": _KEY_ID})


def make_token_issuer(directory: Path) -> TokenIssuer:
    """A new issuer whose clock is right, its files in the private `directory`."""
    made = TokenIssuer(directory / "token-issuer.key", directory / "jwks.json", directory / "token-issuer.clock")
    key = Ed25519PrivateKey.generate()
    write_private(made.key, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public = jwt.algorithms.OKPAlgorithm.to_jwk(key.public_key(), as_dict=True)
    made.jwks.write_text(json.dumps({"keys": [public | {"kid": _KEY_ID, "alg": _ALGORITHM, "use": "sig"}]}))
    made.set_clock(0)
    return made
