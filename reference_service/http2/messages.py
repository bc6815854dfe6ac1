"""The messages of a call, out of the data that carries them (gRPC over HTTP/2, "Length-Prefixed-Message").

Rule: a message is refused by its own prefix before it is kept, and unpacked no larger than it might have been sent
plain. Codes are those of gRPC's documents (`statuscodes.md`, `compression.md`): INTERNAL for what can't be unframed or
unpacked, UNIMPLEMENTED for none or several where one is asked for, RESOURCE_EXHAUSTED for too much.
"""

from __future__ import annotations

import zlib
from typing import Final

from reference_service.http2.frames import U32

PREFIX_BYTES: Final = 5
INTERNAL, UNIMPLEMENTED, RESOURCE_EXHAUSTED = 13, 12, 8
_WINDOW_BITS: Final = {"gzip": 31, "deflate": 15}
"""zlib's numbers for the two formats."""


class MessageError(Exception):
    """What came is not the one message, or the messages, of a call. `code` is gRPC's."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


def too_large(bytes_max: int) -> MessageError:
    """The refusal of a message that has more than `bytes_max` bytes."""
    return MessageError(RESOURCE_EXHAUSTED, f"the message is larger than max: it may have {bytes_max} bytes")


def announced(data: bytes | bytearray, bytes_max: int) -> int:
    """The bytes of the first message with its prefix, or 0 if its prefix is not whole; raises MessageError."""
    if len(data) < PREFIX_BYTES:
        return 0
    if data[0] > 1:
        raise MessageError(INTERNAL, "expected a message, whose first byte is 0 or 1")
    size = int(U32.unpack_from(data, 1)[0])
    if size > bytes_max:
        raise too_large(bytes_max)
    return size + PREFIX_BYTES


def not_larger(data: bytes | bytearray, bytes_max: int) -> None:
    """Return if `data` may become one message; raises MessageError."""
    if 0 < announced(data, bytes_max) < len(data):
        raise MessageError(UNIMPLEMENTED, "expected one message; more came")


def one_message(data: bytes | bytearray, encoding: str, bytes_max: int) -> bytes:
    """The one message that `data` must be, as it was before it was compressed by `encoding`; raises MessageError."""
    if not data:
        raise MessageError(UNIMPLEMENTED, "expected one message; none came")
    size = announced(data, bytes_max)
    if not size or size > len(data):
        raise MessageError(INTERNAL, "the message was cut short")
    if size < len(data):
        raise MessageError(UNIMPLEMENTED, "expected one message; more came")
    return _plain(bytes(data), encoding, bytes_max)


def split_messages(data: bytes | bytearray, encoding: str, bytes_max: int) -> tuple[list[bytes], bytes]:
    """The whole messages at the beginning of `data`, and what is left; raises MessageError."""
    found: list[bytes] = []
    whole, at = bytes(data), 0
    while (size := announced(whole[at : at + PREFIX_BYTES], bytes_max)) and size <= len(whole) - at:
        found.append(_plain(whole[at : at + size], encoding, bytes_max))
        at += size
    return found, whole[at:]


def _plain(message: bytes, encoding: str, bytes_max: int) -> bytes:
    """A message without its prefix, unpacked if it says that it is compressed."""
    if not message[0]:
        return message[PREFIX_BYTES:]
    if encoding not in _WINDOW_BITS:
        raise MessageError(INTERNAL, "a message says that it is compressed, and the call does not say how")
    unpacking = zlib.decompressobj(_WINDOW_BITS[encoding])
    try:
        plain = unpacking.decompress(message[PREFIX_BYTES:], bytes_max + 1)
    except zlib.error as error:
        raise MessageError(INTERNAL, f"expected a message compressed by {encoding}") from error
    if len(plain) > bytes_max:
        raise too_large(bytes_max)
    if not unpacking.eof or unpacking.unused_data:
        raise MessageError(INTERNAL, f"expected one whole message compressed by {encoding}")
    return plain
