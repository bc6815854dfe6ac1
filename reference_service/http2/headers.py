"""The headers of a gRPC call: a block into what the call says, and what is answered into a block (RFC 7541).

Rule: what a block says is remembered as long as the table that it refers to stays as it is, because a client's blocks
are mostly the same bytes. Answers are spelled out and never indexed: they leave no state behind.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import hpack

from reference_service.http2.frames import COMPRESSION_ERROR, ConnectionBrokenError

if TYPE_CHECKING:
    from collections.abc import Iterable

ENCODINGS: Final = ("identity", "gzip", "deflate")
"""What a caller's messages may come in; answers are small and never compressed."""
REMEMBERED_MAX: Final = 64
READ_FACTOR: Final = 8
FIELD_OVERHEAD: Final = 32
"""What a header weighs beside its name and value (RFC 9113, 6.5.2)."""
_RESERVED: Final = frozenset(
    {"content-type", "te", "grpc-timeout", "grpc-encoding", "grpc-accept-encoding", "grpc-message-type"}
)
"""What gRPC keeps to itself and does not show handlers as metadata; its own server shows content-type's kin neither."""
_CONNECTION_HEADERS: Final = frozenset({"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"})
_UNITS_S: Final = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}
_is_timeout = re.compile(r"[0-9]{1,8}[HMSmun]").fullmatch
_is_name = re.compile(r"[0-9a-z_.-]+").fullmatch
_is_value = re.compile(r"[\x20-\x7e]*").fullmatch
_QUOTED_NOT: Final = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")
"""Characters that a grpc-message carries as they are; all others are percent-encoded."""


@dataclass(frozen=True, slots=True)
class Head:
    """What the headers of a call say.

    `malformed` if they break HTTP/2's rules; else `http_status`, not 200 if this is no gRPC call at all; `unsupported`
    names an encoding that is not offered, `encoding` the one that messages may come in. `too_large` if there
    are more bytes of headers than a call may have.
    """

    path: str
    metadata: tuple[tuple[str, str | bytes], ...]
    timeout_s: float | None
    malformed: bool = False
    http_status: int = 200
    unsupported: str = ""
    encoding: str = "identity"
    too_large: bool = False


_MALFORMED: Final = Head("", (), None, malformed=True)
_TOO_LARGE: Final = Head("", (), None, too_large=True)


class HeaderReader:
    """The headers that one connection receives, in the order of their arrival. A call may have `bytes_max` of them.

    More of them are read, up to READ_FACTOR times as many, so that it is the call that is refused and the connection
    stays.
    """

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._decoder = hpack.Decoder(READ_FACTOR * bytes_max)
        self._known: dict[bytes, Head] = {}

    def read(self, block: bytes) -> Head:
        """What a whole block says; raises ConnectionBrokenError, because an unread block spoils all that follow."""
        known = self._known.get(block)
        if known is not None:
            return known
        before = self._table()
        try:
            fields: list[Any] = list(self._decoder.decode(block))
        except (hpack.HPACKError, IndexError) as error:  # IndexError: an integer cut short
            raise ConnectionBrokenError(COMPRESSION_ERROR, "headers that can't be read") from error
        size = sum(len(name) + len(value) + FIELD_OVERHEAD for name, value in fields)
        head = _head(fields) if size <= self._bytes_max else _TOO_LARGE
        after = self._table()
        if before[:2] != after[:2] or before[2] is not after[2] or len(self._known) >= REMEMBERED_MAX:
            self._known.clear()
        else:
            self._known[block] = head
        return head

    def _table(self) -> tuple[int, int, Any]:
        """What differs after any change of the table: an entry that comes in is a new object in first place."""
        table = self._decoder.header_table
        return table.maxsize, len(table.dynamic_entries), table.dynamic_entries[0] if table.dynamic_entries else None


def _head(fields: list[tuple[str, str]]) -> Head:
    pseudo: dict[str, str] = {}
    regular: list[tuple[str, str]] = []
    for name, value in fields:
        if name.startswith(":"):
            if regular or name in pseudo:
                return _MALFORMED
            pseudo[name] = value
        elif not _is_name(name) or name in _CONNECTION_HEADERS or not _is_value(value):
            return _MALFORMED
        else:
            regular.append((name, value))
    if not pseudo.keys() <= {":method", ":scheme", ":path", ":authority"} or not pseudo.get(":path"):
        return _MALFORMED
    return _call(pseudo, regular)


def _call(pseudo: dict[str, str], regular: list[tuple[str, str]]) -> Head:
    given = dict(regular)
    kind = given.get("content-type", "")
    if kind != "application/grpc" and not kind.startswith(("application/grpc+", "application/grpc;")):
        return Head(pseudo[":path"], (), None, http_status=415)
    if pseudo.get(":method") != "POST":
        return Head(pseudo[":path"], (), None, http_status=405)
    timeout, encoding = given.get("grpc-timeout"), given.get("grpc-encoding", "identity")
    if timeout is not None and not _is_timeout(timeout):
        return _MALFORMED
    timeout_s = int(timeout[:-1]) * _UNITS_S[timeout[-1]] if timeout else None
    try:
        metadata = tuple(_pair(name, value) for name, value in regular if name not in _RESERVED)
    except binascii.Error:
        return _MALFORMED
    unsupported = "" if encoding in ENCODINGS else encoding
    return Head(pseudo[":path"], metadata, timeout_s, unsupported=unsupported, encoding=encoding)


def _pair(name: str, value: str) -> tuple[str, str | bytes]:
    if name.endswith("-bin"):
        return name, base64.b64decode(value + "=" * (-len(value) % 4), validate=True)
    return name, value


def integer(value: int) -> bytes:
    """A length before a string, which is not Huffman-coded (5.1 and 5.2)."""
    if value < 0x7F:  # noqa: PLR2004 - seven bits
        return bytes((value,))
    octets, value = [0x7F], value - 0x7F
    while value >= 0x80:  # noqa: PLR2004 - seven bits an octet
        octets.append(0x80 | (value & 0x7F))
        value >>= 7
    return bytes((*octets, value))


def field(name: str, value: str | bytes) -> bytes:
    """A header spelled out (6.2.2); bytes as gRPC carries them, in base64."""
    text = base64.b64encode(value).rstrip(b"=") if isinstance(value, bytes) else value.encode("ascii", "replace")
    return b"\x00" + integer(len(name)) + name.encode() + integer(len(text)) + text


STATUS_200: Final = b"\x88"  # RFC 7541, appendix A, entry 8
OPENING: Final = STATUS_200 + field("content-type", "application/grpc")
"""The headers before an answer."""
_OK: Final = field("grpc-status", "0")


def trailers(code: int, text: str, metadata: Iterable[tuple[str, str | bytes]]) -> bytes:
    """The headers behind an answer."""
    if code == 0 and not text:
        return _OK + b"".join([field(name, value) for name, value in metadata])
    message = field("grpc-message", quote(text, safe=_QUOTED_NOT)) if text else b""
    return field("grpc-status", str(code)) + message + b"".join([field(name, value) for name, value in metadata])


def http_only(status: int) -> bytes:
    """The headers of an answer to what is no gRPC call."""
    return (
        field(":status", str(status))
        + field("content-type", "application/grpc")
        + trailers(2, "expected a POST of content type application/grpc", ())
    )
