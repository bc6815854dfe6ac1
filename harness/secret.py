"""Turns references to secrets into their values, in the process that sends them.

Rule: a value is returned to whoever puts it on the wire, and never logged, written, or named in an error; errors name
the reference.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from harness.plan_target import secret_reference

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.plan_target import Reference

    Pairs = tuple[tuple[str, str], ...]

SENDABLE = re.compile(r"[ -~]+")
"""What metadata may hold: printable ASCII (gRPC's protocol over HTTP/2; HTTP's RFC 9110 allows little more)."""


class SecretError(Exception):
    """A secret cannot be had; the text names the reference, never a value."""


def resolve_all(metadata: Iterable[tuple[str, str]]) -> tuple[Pairs, Pairs]:
    """The metadata meant as it stands, and the metadata that was referred to, resolved. Raises SecretError."""
    plain, secret = [], []
    for name, value in metadata:
        reference = secret_reference(value)
        if reference is None:
            plain.append((name, value))
        else:
            secret.append((name, reference.before + resolve(reference)))
    return tuple(plain), tuple(secret)


def resolve(reference: Reference) -> str:
    """The secret, without white space around it. Raises SecretError."""
    said = f"{reference.kind}:{reference.name}"
    secret = (_from_environment if reference.kind == "env" else _from_file)(reference.name, said).strip()
    if not secret:
        raise SecretError(f"secret {said} is empty")
    if not SENDABLE.fullmatch(secret):
        raise SecretError(f"secret {said} holds characters that metadata can't carry; it must be one line of ASCII")
    return secret


def hide(text: str, secrets: Iterable[tuple[str, str]]) -> str:
    """`text`, which a peer may have written, without these secrets, with and without the word before them."""
    words = {word for _, value in secrets for word in (value, value.partition(" ")[2]) if word}
    for word in sorted(words, key=len, reverse=True):
        text = text.replace(word, "(hidden)")
    return text


def _from_environment(name: str, said: str) -> str:
    try:
        return os.environ[name]
    except KeyError:
        raise SecretError(f"secret {said}: the environment has no variable of that name; export it first") from None


def _from_file(name: str, said: str) -> str:
    try:
        return Path(name).read_text(encoding="utf-8")
    except OSError as error:
        raise SecretError(f"secret {said} can't be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise SecretError(f"secret {said} is not text") from None
