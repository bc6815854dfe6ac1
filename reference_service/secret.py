"""Secrets by reference: `env:NAME`, `file:PATH` or `gcp-secret:projects/P/secrets/S/versions/V`, never a value.

Rule: what is no reference is refused without being shown, because it may be the secret itself; a value goes to whoever
asked for it and nowhere else.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

FORMS: Final = "env:NAME, file:PATH or gcp-secret:projects/P/secrets/S/versions/V"


class SecretError(Exception):
    """A reference that leads to no secret. The text names the reference, never a value."""


def resolve(reference: str) -> bytes:
    """The secret that `reference` leads to, as it is kept.

    Raises:
        SecretError: it is no reference, or there is nothing where it leads.
    """
    kind, _, rest = reference.partition(":")
    if kind == "env" and rest:
        return _from_environment(rest)
    if kind == "file" and rest:
        return _from_file(Path(rest))
    if kind == "gcp-secret" and rest:
        return _from_secret_manager(rest)
    raise SecretError(f"expected a reference to a secret: {FORMS}")


def located(reference: str, base: Path) -> str:
    """The same reference, its path seen from `base`."""
    kind, _, rest = reference.partition(":")
    return f"file:{base / rest}" if kind == "file" else reference


def _from_environment(name: str) -> bytes:
    value = os.environb.get(os.fsencode(name))
    if not value:
        raise SecretError(f"the environment variable {name} is not set, or empty")
    return value


def _from_file(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SecretError(f"{path} can't be read: {error.strerror}") from error
    if not content.strip():
        raise SecretError(f"{path} is empty")
    return content


def _from_secret_manager(name: str) -> bytes:
    try:
        from google.cloud import secretmanager  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise SecretError(f"gcp-secret:{name} needs google-cloud-secret-manager: install the extra `gcp`") from error
    try:
        answer = secretmanager.SecretManagerServiceClient().access_secret_version(name=name, timeout=10)
    except Exception as error:
        raise SecretError(f"gcp-secret:{name} can't be read: {type(error).__name__}") from error
    return bytes(answer.payload.data)
