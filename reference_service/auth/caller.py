"""Who is calling, once that is known.

Rule: pure data. A caller exists only after its credential held.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

INFER: Final = "infer"
"""The scope for asking a model, and for reading what it takes and gives."""
ADMIN: Final = "admin"
"""The scope for changing what is served."""


@dataclass(frozen=True, slots=True)
class Caller:
    """`client` names who is answered for in quotas, metrics and logs; `how` is key, jwt, mtls or open."""

    client: str
    scopes: frozenset[str]
    how: str


ANYONE: Final = Caller("anyone", frozenset({INFER}), "open")
"""Whoever calls a service that was told to ask for no credential."""

_is_name = re.compile(r"[!-~]{1,128}").fullmatch


def is_client(name: object) -> bool:
    """Whether this can name a client in a log, a metric and a file: visible ASCII, not long."""
    return isinstance(name, str) and _is_name(name) is not None
