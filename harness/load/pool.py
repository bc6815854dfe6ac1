"""The requests that a load draws from: serialised once, sent as they are.

Rule: a pool file is messages one after the other, each preceded by its length as a little-endian u32.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

_LENGTH = struct.Struct("<I")
_STREAM = 1
"""Sets the random numbers that draw requests apart from those that time them, under one seed."""


class PoolError(Exception):
    """The file is not a pool of requests; the text says why."""


def write_pool(path: Path, messages: Iterable[bytes]) -> int:
    """Write `messages` to `path`; returns how many there were."""
    framed = [_LENGTH.pack(len(message)) + message for message in messages]
    path.write_bytes(b"".join(framed))
    return len(framed)


def read_pool(path: Path) -> list[bytes]:
    """The messages of a pool file. Raises PoolError when it is cut short or holds none."""
    content, position = path.read_bytes(), 0
    messages: list[bytes] = []
    while position < len(content):
        start = position + _LENGTH.size
        if start > len(content):
            raise PoolError(f"{path} ends inside a length")
        position = start + _LENGTH.unpack_from(content, start - _LENGTH.size)[0]
        if position > len(content):
            raise PoolError(f"{path} ends inside message {len(messages)}")
        messages.append(content[start:position])
    if not messages:
        raise PoolError(f"{path} holds no requests")
    return messages


def draw(seed: int, count: int, size: int) -> NDArray[np.int64]:
    """Which of `size` messages each of the `count` requests of a scenario sends; a pure function of the seed."""
    return np.random.default_rng((seed, _STREAM)).integers(0, size, count, dtype=np.int64)
