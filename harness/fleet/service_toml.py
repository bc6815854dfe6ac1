"""Writes the `service.toml` that each group of a fleet's processes is started with.

Rule: it says where secrets are, never what they are, because it lies in the run's folder.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from harness.fleet.ports import LOOPBACK
from harness.fleet.token_issuer import AUDIENCE, ISSUER, LEEWAY_S

if TYPE_CHECKING:
    from pathlib import Path

    from harness.fleet.credentials import Credentials


def write_service_toml(directory: Path, group: str, credentials: Credentials, state: Path | None = None) -> Path:
    """The file for one group: who it is, whom it believes. The edge's certificate names nobody, so keys decide.

    With `state`, every answer is recorded in the group's folder there before it is given.
    """
    own = credentials.zones[group]
    tables: dict[str, dict[str, object]] = {
        "tls": {
            "certificate": own.certificate,
            "key": f"file:{own.key}",
            "client_ca": credentials.ca,
        },
        "auth": {"keys": credentials.keys},
        "metrics": {"listen": f"{LOOPBACK}:0"},  # each process of the zone picks its own, and logs it
        "auth.jwt": {
            "issuer": ISSUER,
            "audience": AUDIENCE,
            "jwks": credentials.issuer.jwks,
            "leeway_s": LEEWAY_S,
        },
        "registry": {"trust": credentials.models.trust},
    }
    if state is not None:
        tables["audit"] = {"mode": "durable", "directory": (state / group / "audit").absolute()}
    lines = [
        line
        for table, entries in tables.items()
        for line in (f"[{table}]", *(f"{key} = {_quoted(value)}" for key, value in entries.items()), "")
    ]
    path = directory / f"service-{group}.toml"
    path.write_text("\n".join(lines))
    return path


def _quoted(value: object) -> str:
    """A number, or a TOML basic string, whose escapes are those of JSON."""
    return json.dumps(value if isinstance(value, int) else str(value), ensure_ascii=False)
