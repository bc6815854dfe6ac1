"""The part of a Plan that says whom results are sent to.

Rule: standard library only; nothing here reads a file. An address that is a secret, as chat webhooks are, is only
referred to (`harness.plan_target`).
"""

from __future__ import annotations

import re
import urllib.parse
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from harness.plan_rules import CLOSED, require
from harness.plan_target import secret_reference

LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True, kw_only=True)
class Notify:
    """A webhook: where it is, what it wants to read, and of which results it is told ("no-go": all but GO)."""

    __pydantic_config__: ClassVar[dict[str, Any]] = CLOSED
    url: str
    format: Literal["json", "slack"] = "json"
    on: tuple[Literal["no-go", "go", "always"], ...] = ("no-go",)

    def __post_init__(self) -> None:
        reference = secret_reference(self.url)
        require(
            reference is None or not reference.before, 'url is "env:NAME", "file:PATH" or an https address, no more'
        )
        if reference is None:
            require_sendable(self.url)
        require(bool(self.on), 'on must name a result: "no-go", "go" or "always"')


def require_sendable(url: str) -> None:
    """Raise ValueError, without the address itself, unless results may be sent there: by https, or to this machine."""
    try:
        parts = urllib.parse.urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urllib.parse.urlsplit("")
    sendable = bool(host) and re.fullmatch("[!-~]+", url) is not None
    own = parts.scheme == "http" and host in LOOPBACK
    require(sendable and (parts.scheme == "https" or own), "url must be an https address")
