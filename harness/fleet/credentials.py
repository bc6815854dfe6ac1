"""Makes the API keys of one fleet at its start, and says where everything lies that a caller must hold.

Rule: what services and edge read holds SHA-256 digests only. A key itself stands in one file that only this user can
read, in the fleet's private directory, and is passed on by reference, never by value.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.fleet.certificates import LIFE, Authority, Certified, write_private
from harness.fleet.model_trust import ModelTrust, make_model_trust
from harness.fleet.spec import LOAD_CLIENT
from harness.fleet.token_issuer import TokenIssuer, make_token_issuer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

ADMIN_CLIENT = "gonogo-admin"
SECOND_CLIENT = "gonogo-second"
"""A client that no load uses, whose key an experiment may revoke."""
ID_BYTES = 4
SECRET_BYTES = 24
"""192 bits: nobody guesses one. The whole key has 45 characters, which SHA-256 takes in one block."""
_SCOPES = {LOAD_CLIENT: ("infer",), ADMIN_CLIENT: ("infer", "admin"), SECOND_CLIENT: ("infer",)}


@dataclass(frozen=True, slots=True)
class Credentials:
    """Where a fleet's credentials lie. `ours` is the client certificate of the harness, `zones` has a server's each.

    `authority` can sign more of them; its key is nowhere but in it.
    """

    authority: Authority
    ca: Path
    edge: Certified
    edge_as_client: Certified
    ours: Certified
    zones: Mapping[str, Certified]
    keys: Path
    load_key: Path
    admin_key: Path
    second_client: str
    second_key: Path
    models: ModelTrust
    issuer: TokenIssuer


def make_credentials(directory: Path, groups: Iterable[str], model: str = "", kept: Path | None = None) -> Credentials:
    """Certificates and keys for a fleet of these groups of processes, in the new private `directory`.

    `model` is what the fleet's own key may sign. With `kept` they are of the authority, and with the load's key, that
    `keep` wrote there: callers notice no change of fleets.
    """
    directory.mkdir(mode=0o700)
    authority = Authority(directory, kept)
    return Credentials(
        authority=authority,
        ca=authority.certificate,
        edge=authority.server("edge"),
        edge_as_client=authority.client("edge"),
        ours=authority.client("gonogo"),
        zones={name: authority.server(name) for name in groups},
        keys=_write_keys(directory, kept),
        load_key=directory / f"{LOAD_CLIENT}.apikey",
        admin_key=directory / f"{ADMIN_CLIENT}.apikey",
        second_client=SECOND_CLIENT,
        second_key=directory / f"{SECOND_CLIENT}.apikey",
        models=make_model_trust(directory, model),
        issuer=make_token_issuer(directory),
    )


def key_entry(client: str, key: str, scopes: Iterable[str], expires: dt.datetime) -> dict[str, object]:
    """What `keys.json` says of a key; raises ValueError for one that is not written gng_ID_SECRET."""
    prefix, key_id, secret = (*key.split("_", 2), "", "")[:3]
    if prefix != "gng" or not (key_id and secret):
        raise ValueError("a key is written gng_ID_SECRET")
    digest = hashlib.sha256(key.encode()).hexdigest()
    return {"id": key_id, "client": client, "sha256": digest, "scopes": list(scopes), "expires": expires.isoformat()}


def keep(directory: Path) -> None:
    """Make, in the new private `directory`, what callers of a fleet know it by, so that another fleet can take over."""
    directory.mkdir(mode=0o700)
    Authority(directory).keep()
    write_private(directory / f"{LOAD_CLIENT}.apikey", _new_key().encode())


def _new_key() -> str:
    return f"gng_{secrets.token_hex(ID_BYTES)}_{secrets.token_urlsafe(SECRET_BYTES)}"


def _write_keys(directory: Path, kept: Path | None) -> Path:
    expires = dt.datetime.now(tz=dt.UTC).replace(microsecond=0) + LIFE
    entries = []
    for client, scopes in _SCOPES.items():
        key = (kept / f"{client}.apikey").read_text() if kept and client == LOAD_CLIENT else _new_key()
        write_private(directory / f"{client}.apikey", key.encode())
        entries.append(key_entry(client, key, scopes, expires))
    keys = directory / "keys.json"
    keys.write_text(json.dumps({"keys": entries}, indent=2))
    return keys
