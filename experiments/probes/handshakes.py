"""Reads which certificate a zone shows, and whether it holds, by TLS handshakes of our own.

Rule: see `experiments.probes`. Python's ssl and the fleet's authority decide, neither gRPC nor Envoy.
"""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from typing import Any

import psutil
from chaoslib.exceptions import ActivityFailed
from cryptography import x509

from experiments import faults
from experiments.calls import ports_of
from experiments.fleet import client, group
from experiments.probes.edge import healthy_zones_at_edge
from experiments.probes.waiting import wait, within
from experiments.probes.zones import processes_listening
from harness.fleet.reach import Reach

HANDSHAKE_LIMIT_S = 2.0
HOLDS, EXPIRED = "it holds", "it has expired"
_X509_V_ERR_CERT_HAS_EXPIRED = 10
"""From OpenSSL's x509_vfy.h."""

Status = dict[str, Any]


def certificate_has_expired(zone: str, fault: str, limit_s: float = 3.0) -> dict[str, Any]:
    """Every process of the zone shows an expired certificate in a new handshake; records `fault_in_place`."""
    wait(lambda: certificates_say(zone, EXPIRED), limit_s, f"{zone} does not show an expired certificate")
    return {"zone": zone, "seen_ns": faults.in_place(fault, zone, "TLS handshake")}


def certificates_say(zone: str, wanted: str = HOLDS) -> bool:
    """Whether a handshake with every process of the zone ends so: "it holds" or "it has expired"."""
    status = client().status()
    return all(_verdict(status, address) == wanted for address in ports_of(group(status, zone)))


def certificate_holds_again(zone: str, fault: str, limit_s: float = 5.0) -> bool:
    """Whether every process of the zone shows a certificate that holds within the limit; records `fault_removed`."""
    if holds := within(limit_s, lambda: certificates_say(zone, HOLDS)):
        faults.gone(fault, zone, "TLS handshake")
    return holds


def edge_keeps_out(zones: int = 1) -> bool:
    """Whether the edge sends to all zones but so many."""
    return healthy_zones_at_edge() == len(client().status()["zones"]) - zones


def zone_was_not_restarted(zone: str) -> bool:
    """Whether the processes of the zone are older than the certificate that it has now."""
    status = client().status()
    written_s = Path(status["breakable"]["certificates"][zone]).stat().st_mtime
    pids = processes_listening(group(status, zone)["ports"])
    return bool(pids) and all(psutil.Process(pid).create_time() < written_s for pid in pids)


def shown_certificate(status: Status, address: str) -> x509.Certificate:
    """The certificate that a process shows in a new handshake, whether it holds or not. Raises ActivityFailed."""
    context = _context(status)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with _connected(address) as plain, context.wrap_socket(plain) as secured:
            shown = secured.getpeercert(binary_form=True)
    except OSError as error:
        raise ActivityFailed(f"no TLS handshake with {address}: {error}") from error
    if shown is None:
        raise ActivityFailed(f"{address} showed no certificate")
    return x509.load_der_x509_certificate(shown)


def _verdict(status: Status, address: str) -> str:
    """How a verified handshake ends, in words."""
    try:
        with _connected(address) as plain, _context(status).wrap_socket(plain, server_hostname="127.0.0.1"):
            return HOLDS
    except ssl.SSLCertVerificationError as error:
        return EXPIRED if error.verify_code == _X509_V_ERR_CERT_HAS_EXPIRED else error.verify_message
    except OSError as error:
        return f"no handshake: {error}"


def _context(status: Status) -> ssl.SSLContext:
    reach = Reach.of(status)
    context = ssl.create_default_context(cafile=reach.ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols(["h2"])
    context.load_cert_chain(reach.certificate, reach.key)
    return context


def _connected(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=HANDSHAKE_LIMIT_S)
