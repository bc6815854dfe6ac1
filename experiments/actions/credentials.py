"""Revokes a client's key, and puts the clock of the issuer of tokens off.

Rule: see `experiments.actions`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from experiments import faults, kept
from experiments.fleet import client, timeline
from experiments.probes.credentials import issuer_clock_is_right, second_key_is_accepted
from harness.fleet.breakable import Breakable

REVOKED = "revoked_key"
SKEW = "clock_skew"
ISSUER = "token-issuer"


def revoke_second_key() -> dict[str, Any]:
    """Mark the second client's key as revoked in the file of keys, which edge and zones watch."""
    breakable = Breakable.of(client().status())
    keys = Path(breakable.keys)
    requested_ns = faults.request(REVOKED, breakable.second_client, undo=roll_back_revocation)
    kept.keep(keys, keys.parent)
    document = json.loads(keys.read_bytes())
    for entry in document["keys"]:
        if entry["client"] == breakable.second_client:
            entry["revoked"] = True
    kept.replace(keys, json.dumps(document, indent=2).encode())
    return {"client": breakable.second_client, "requested_ns": requested_ns}


def give_second_key_back() -> dict[str, Any]:
    """Put the original file of keys back; may be repeated."""
    breakable = Breakable.of(client().status())
    keys = Path(breakable.keys)
    restored = kept.put_back(keys, keys.parent)
    if restored:
        timeline().add("fault_removal_requested", breakable.second_client, fault=REVOKED)
    return {"restored": restored}


def roll_back_revocation() -> dict[str, Any]:
    """The undo: `give_second_key_back`, and the proof that it counts again, where a fault is open."""
    done = give_second_key_back()
    if faults.is_open(REVOKED, Breakable.of(client().status()).second_client):
        second_key_is_accepted(REVOKED)
    return done


def skew_issuer_clock(ahead_s: float) -> dict[str, Any]:
    """Put the issuer's clock ahead of the zones', or behind them by a negative number."""
    requested_ns = faults.request(SKEW, ISSUER, undo=roll_back_skew)
    return turn_issuer_clock(ahead_s) | {"requested_ns": requested_ns}


def turn_issuer_clock(ahead_s: float) -> dict[str, Any]:
    """Set a clock that is off already to another wrong time."""
    Breakable.of(client().status()).issuer.set_clock(ahead_s)
    return {"ahead_s": ahead_s}


def put_issuer_clock_right() -> dict[str, Any]:
    """Set the issuer's clock to this machine's; may be repeated."""
    issuer = Breakable.of(client().status()).issuer
    was_ahead_s = issuer.ahead_s()
    if was_ahead_s:
        timeline().add("fault_removal_requested", ISSUER, fault=SKEW)
        issuer.set_clock(0)
    return {"was_ahead_s": was_ahead_s}


def roll_back_skew() -> dict[str, Any]:
    """The undo: `put_issuer_clock_right`, and the proof that its tokens count again, where a fault is open."""
    done = put_issuer_clock_right()
    if faults.is_open(SKEW, ISSUER):
        issuer_clock_is_right(SKEW)
    return done
