"""Reads which credentials count: by direct calls with them to every zone, and from the files that say so.

Rule: see `experiments.probes`. Refused is UNAUTHENTICATED and nothing else: a zone that doesn't answer refuses nobody.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import jwt

from experiments import faults
from experiments.calls import ACCEPTED, REFUSED, answers, ports_of
from experiments.fleet import client
from experiments.probes.waiting import wait, within
from harness.artifact import load_artifact
from harness.fleet.breakable import Breakable
from harness.fleet.reach import Reach

ISSUER = "token-issuer"
READING_S = 2.0
"""How far two looks at one clock may lie apart on a busy machine; tokens count whole seconds."""


def second_key_is_revoked_on_disk(fault: str) -> bool:
    """The file of keys says that the second client's key is revoked; records `fault_in_place`."""
    breakable = Breakable.of(client().status())
    entries = json.loads(Path(breakable.keys).read_bytes())["keys"]
    revoked = [entry.get("revoked", False) for entry in entries if entry["client"] == breakable.second_client]
    if revoked != [True]:
        return False
    faults.in_place(fault, breakable.second_client, "file of keys")
    return True


def second_key_is_refused(limit_s: float) -> bool:
    """Whether every zone refuses the second client's key within `limit_s`."""
    return within(limit_s, lambda: _said_to(_second_key()) == {REFUSED})


def second_key_is_answered() -> bool:
    """Whether every zone answers the second client's key."""
    return _said_to(_second_key()) == {ACCEPTED}


def second_key_is_accepted(fault: str, limit_s: float = 5.0) -> dict[str, Any]:
    """Every zone answers the second client's key; records `fault_removed`."""
    wait(second_key_is_answered, limit_s, "the second client's key is not answered by every zone")
    return {"seen_ns": faults.gone(fault, Breakable.of(client().status()).second_client, "direct calls by that key")}


def load_key_is_answered() -> bool:
    """Whether every zone answers the load's key."""
    return _said_to(Path(Reach.of(client().status()).load_key).read_text()) == {ACCEPTED}


def issuer_clock_is_off(ahead_s: float, fault: str) -> bool:
    """Whether a token minted now says that it was issued so far from now; then records `fault_in_place`."""
    if off := issuer_clock_stays_off(ahead_s):
        faults.in_place(fault, ISSUER, "the token's own time of issue", ahead_s=ahead_s)
    return off


def issuer_clock_stays_off(ahead_s: float) -> bool:
    """Whether a token minted now still says that it was issued so far from now."""
    return abs(_issued_ahead_s() - ahead_s) <= READING_S


def tokens_are_refused() -> bool:
    """Whether every zone refuses a token that the issuer mints now."""
    return _said_to(Breakable.of(client().status()).issuer.mint()) == {REFUSED}


def tokens_are_accepted() -> bool:
    """Whether every zone answers by a token that the issuer mints now."""
    return _said_to(Breakable.of(client().status()).issuer.mint()) == {ACCEPTED}


def issuer_clock_is_right(fault: str) -> bool:
    """A token minted now says so, and every zone takes it; records `fault_removed`."""
    if abs(_issued_ahead_s()) > READING_S or not tokens_are_accepted():
        return False
    faults.gone(fault, ISSUER, "the token's own time of issue, and direct calls")
    return True


def _issued_ahead_s() -> float:
    token = Breakable.of(client().status()).issuer.mint()
    claims = jwt.decode(token, options={"verify_signature": False})  # who issued it, the zones ask
    return float(claims["iat"]) - time.time()


def _second_key() -> str:
    return Path(Breakable.of(client().status()).second_key).read_text()


def _said_to(credential: str) -> set[str]:
    """The codes with which the processes of all zones answer a call that carries `credential`."""
    status = client().status()
    breakable = Breakable.of(status)
    zones = status["zones"].values()
    artifact = load_artifact(Path(breakable.registry), breakable.model, next(iter(zones))["version"])
    return {answers(status, at, artifact, 1, credential).code for zone in zones for at in ports_of(zone)}
