"""Makes a key that may sign versions for one fleet, and the trust file by which its zones, and nobody else, believe it.

Rule: the key that this release trusts stays trusted; the fleet's own key counts for the fleet's model only, lies in the
fleet's private directory, and ends with it.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from harness.fleet.certificates import write_private

RELEASE_TRUST = Path(__file__).resolve().parents[2] / "reference_service" / "trust.json"
ABOUT = "The local fleet's own key, for versions that experiments push into its copy of the registry."


@dataclass(frozen=True, slots=True)
class ModelTrust:
    """The trust file of the zones, and the private key that signs for them."""

    trust: Path
    signing_key: Path


def make_model_trust(directory: Path, model: str) -> ModelTrust:
    """A new key for `model` in the private `directory`, trusted beside this release's own."""
    made = ModelTrust(directory / "trust.json", directory / "model-signing.key")
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes_raw()
    key_id = hashlib.sha256(public).hexdigest()[:16]
    document = json.loads(RELEASE_TRUST.read_bytes())
    document["keys"][key_id] = {"about": ABOUT, "models": [model], "public_key": base64.b64encode(public).decode()}
    write_private(made.signing_key, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    made.trust.write_text(json.dumps(document, indent=1))
    return made
