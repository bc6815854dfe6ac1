"""Builds the parts of a serving process from its settings.

Rule: every part that the settings ask for is there, or the service does not start.
"""

from __future__ import annotations

import datetime as dt
import time
from typing import TYPE_CHECKING

from reference_service.audit import AuditJournal
from reference_service.auth.authenticator import Authenticator
from reference_service.auth.keys import KeyFile
from reference_service.auth.quota import DailyQuota
from reference_service.auth.tls import ServerIdentity
from reference_service.auth.tokens import TokenVerifier
from reference_service.calls import FrontDoor

if TYPE_CHECKING:
    from reference_service.settings import ServiceSettings


def front_door(settings: ServiceSettings) -> FrontDoor:
    """Who is let in, and how often. Without `[auth]` anyone may infer, and nobody may change what is served."""
    wanted, auth = settings.quota, settings.auth
    quota = DailyQuota(wanted.requests_per_day, wanted.clients, wanted.state, time.time) if wanted else None
    if auth is None:
        return FrontDoor(quota=quota)
    keys = KeyFile(auth.keys) if auth.keys else None
    tokens = TokenVerifier(auth.jwt) if auth.jwt else None
    authenticator = Authenticator(keys, tokens, auth.mtls.clients)
    return FrontDoor(authenticator, mutual=bool(auth.mtls.clients), quota=quota)


def audit_journal(settings: ServiceSettings) -> AuditJournal | None:
    """The journal, begun, in which every answer is recorded before it is given; None where none is to be."""
    wanted = settings.audit
    if wanted is None or wanted.mode == "off":
        return None
    journal = AuditJournal(wanted.directory, wanted.segment_bytes_max)
    journal.start()
    return journal


def certificate(settings: ServiceSettings) -> ServerIdentity | None:
    """The service's certificate; None for plaintext."""
    return ServerIdentity(settings.tls, lambda: dt.datetime.now(dt.UTC)) if settings.tls else None
