"""Lets a zone's certificate expire while it serves, and renews it.

Rule: see `experiments.actions`. The service takes no certificate that has expired already, so one that soon will is put
in place and taken up first. Connections outlive their certificate; so that the edge must make new ones, the zone stands
still until the edge gives its connections up.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from cryptography import x509

from experiments import faults, kept
from experiments.calls import ports_of
from experiments.fleet import client, group, timeline
from experiments.probes.handshakes import certificate_holds_again, shown_certificate
from experiments.probes.waiting import wait
from harness.fleet.breakable import Breakable

EXPIRED = "expired_certificate"
RENEWED_S = 24 * 3600.0
STANDSTILL_S = 2.6
"""The edge pings each second and gives a connection up after a second without answer; the rest is for the machine."""


def let_certificate_expire(zone: str, life_s: float) -> dict[str, Any]:
    """Give the zone a certificate that holds for `life_s`, wait until it is over, break the edge's connections."""
    fleet = client()
    certificate, secrets = _places(zone)
    requested_ns = faults.request(EXPIRED, zone, undo=roll_back_expiry, zone=zone)
    kept.keep(certificate, secrets)
    fleet.certify(zone, life_s)
    expires_s = _taken_up(zone, certificate)
    time.sleep(max(0.0, expires_s - time.time()))
    fleet.freeze(zone)
    time.sleep(STANDSTILL_S)
    fleet.thaw(zone)
    return {"zone": zone, "expired_unix_s": expires_s, "standstill_s": STANDSTILL_S, "requested_ns": requested_ns}


def renew_certificate(zone: str) -> dict[str, Any]:
    """Put a fresh certificate in place for good; no process is told, and none restarted."""
    timeline().add("fault_removal_requested", zone, fault=EXPIRED)
    client().certify(zone, RENEWED_S)
    kept.forget(*_places(zone))
    return {"zone": zone, "life_s": RENEWED_S}


def put_certificate_back(zone: str) -> dict[str, Any]:
    """Put the certificate back that the zone began with, and let it go on if it stands still; may be repeated."""
    fleet = client()
    if group(fleet.status(), zone)["state"] == "frozen":
        fleet.thaw(zone)
    return {"zone": zone, "restored": kept.put_back(*_places(zone))}


def roll_back_expiry(zone: str) -> dict[str, Any]:
    """The undo: `put_certificate_back`, and the proof that the zone shows one that holds, where a fault is open."""
    done = put_certificate_back(zone)
    if faults.is_open(EXPIRED, zone):
        certificate_holds_again(zone, EXPIRED)
    return done


def _taken_up(zone: str, certificate: Path) -> float:
    """When the certificate in the file expires (seconds since 1970), once every process shows it.

    Raises ActivityFailed if one does not before that.
    """
    status = client().status()
    wanted = x509.load_pem_x509_certificate(certificate.read_bytes())
    expires_s = wanted.not_valid_after_utc.timestamp()
    wait(
        lambda: all(
            shown_certificate(status, address).serial_number == wanted.serial_number
            for address in ports_of(group(status, zone))
        ),
        max(0.0, expires_s - time.time()),
        f"{zone} goes on with another certificate than the one it was given",
    )
    return expires_s


def _places(zone: str) -> tuple[Path, Path]:
    """The zone's certificate, and the private folder in which its original is kept."""
    certificate = Path(Breakable.of(client().status()).certificates[zone])
    return certificate, certificate.parent
