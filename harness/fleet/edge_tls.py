"""Encryption at the edge: towards callers with the edge's certificate, towards zones with both sides' certificates.

Rule: pure. TLS 1.3 and HTTP/2 only. A zone is believed only if the fleet's authority signed it for the address called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.fleet.ports import LOOPBACK

if TYPE_CHECKING:
    from pathlib import Path

    from harness.fleet.certificates import Certified

Json = dict[str, Any]
_TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3"


def towards_callers(edge: Certified) -> Json:
    """The transport socket of the listener."""
    context = {"@type": f"{_TLS}.DownstreamTlsContext", "common_tls_context": _common(edge)}
    return {"name": "envoy.transport_sockets.tls", "typed_config": context}


def towards_edge(zone: Certified, ca: Path) -> Json:
    """The transport socket of a listener that stands for a zone: its certificate, and callers that `ca` signed only."""
    common = _common(zone) | {"validation_context": {"trusted_ca": {"filename": str(ca)}}}
    context = {
        "@type": f"{_TLS}.DownstreamTlsContext",
        "common_tls_context": common,
        "require_client_certificate": True,
    }
    return {"name": "envoy.transport_sockets.tls", "typed_config": context}


def towards_zones(edge_as_client: Certified, ca: Path) -> Json:
    """The transport socket of a cluster, for its health checks too."""
    called = {"san_type": "IP_ADDRESS", "matcher": {"exact": LOOPBACK}}
    trusted = {"trusted_ca": {"filename": str(ca)}, "match_typed_subject_alt_names": [called]}
    common = _common(edge_as_client) | {"validation_context": trusted}
    context = {"@type": f"{_TLS}.UpstreamTlsContext", "common_tls_context": common}
    return {"name": "envoy.transport_sockets.tls", "typed_config": context}


def _common(own: Certified) -> Json:
    return {
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_3"},
        "alpn_protocols": ["h2"],
        "tls_certificates": [
            {"certificate_chain": {"filename": str(own.certificate)}, "private_key": {"filename": str(own.key)}}
        ],
    }
