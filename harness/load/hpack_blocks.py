"""Header blocks of HTTP/2 for requests that differ in one value.

Rule: RFC 7541, and no more of it than a load needs: blocks are encoded by hand, because they are the same bytes for
every request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

DEFAULT_TABLE_SIZE = 4096
"""What every peer grants until it says otherwise (RFC 9113, 6.5.2); more is never used here."""
STATIC_ENTRIES = 61
ENTRY_OVERHEAD = 32
"""What an entry weighs in the dynamic table beside its name and value (RFC 7541, 4.1)."""
_INDEXED, _INCREMENTAL, _LITERAL, _NEVER, _SIZE_UPDATE = 0x80, 0x40, 0x00, 0x10, 0x20


def integer(value: int, prefix_bits: int, flags: int) -> bytes:
    """`value` with an N-bit prefix, the bits before it being `flags` (RFC 7541, 5.1)."""
    full = (1 << prefix_bits) - 1
    if value < full:
        return bytes([flags | value])
    octets, value = [flags | full], value - full
    while value >= 128:  # noqa: PLR2004 - seven bits an octet
        octets.append(0x80 | (value & 0x7F))
        value >>= 7
    return bytes([*octets, value])


def literal(name: str, value: str, kind: int = _LITERAL) -> bytes:
    """A header with its name and value spelled out, without Huffman coding (RFC 7541, 5.2 and 6.2)."""
    strings = (name.encode(), value.encode())
    return bytes([kind]) + b"".join(integer(len(string), 7, 0) + string for string in strings)


class RequestBlocks:
    """Encodes the headers of one connection's requests: constant ones, and `varying`, which is different each time.

    The first block puts the constant headers into the peer's dynamic table, all later ones refer to them; where they
    are too much for the table granted, all are literals. `secret` headers are never indexed (RFC 7541, 7.1.3).
    """

    def __init__(
        self, constant: Sequence[tuple[str, str]], varying: str, secret: Sequence[tuple[str, str]] = ()
    ) -> None:
        self._constant, self._varying = tuple(constant), varying
        self._secret = b"".join(literal(name, value, _NEVER) for name, value in secret)
        self._size, self._prefix, self._later = DEFAULT_TABLE_SIZE, b"", b""
        self._spell_out_unless_it_fits()

    @property
    def table_bytes(self) -> int:
        """The size of dynamic table that references need; values of `varying` have 16 characters."""
        entries = [*self._constant, (self._varying, "0" * 16)]
        return sum(len(name.encode()) + len(value.encode()) + ENTRY_OVERHEAD for name, value in entries)

    def grant(self, size: int) -> None:
        """The peer's dynamic table may have `size` bytes from now on; a smaller one must be acknowledged in band."""
        if size < self._size:
            self._size = size
            self._prefix = integer(size, 5, _SIZE_UPDATE)
            self._spell_out_unless_it_fits()

    def _spell_out_unless_it_fits(self) -> None:
        if self._size < self.table_bytes:
            literals = b"".join(literal(name, value) for name, value in self._constant)
            name = self._varying.encode()
            self._later = literals + self._secret + bytes([_LITERAL]) + integer(len(name), 7, 0) + name

    def block(self, value: bytes) -> bytes:
        """The header block of the next request, whose varying header is `value`: 16 ASCII characters."""
        prefix, self._prefix = self._prefix, b""
        if self._later:
            return prefix + self._later + b"\x10" + value
        newest = STATIC_ENTRIES + 1  # the varying header's name, once the first block was read
        references = (integer(newest + place, 7, _INDEXED) for place in range(len(self._constant), 0, -1))
        self._later = b"".join(references) + self._secret + integer(newest, 4, _LITERAL)
        kept = b"".join(literal(name, content, _INCREMENTAL) for name, content in self._constant)
        return prefix + kept + self._secret + literal(self._varying, value.decode(), _INCREMENTAL)
