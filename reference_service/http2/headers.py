"""The headers of a gRPC call: a block into what the call says, and what is answered into a block (RFC 7541).

Rule: what a block says is remembered as long as the table that it refers to stays as it is, because a client's blocks
are mostly the same bytes. Answers are spelled out and never indexed: they leave no state behind.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import hpack

from reference_service.http2.frames import COMPRESSION_ERROR, ENHANCE_YOUR_CALM, ConnectionBrokenError

if TYPE_CHECKING:
    from collections.abc import Iterable

ENCODINGS: Final = ("identity", "gzip", "deflate")
"""What a caller's messages may come in; answers are small and never compressed."""
REMEMBERED_BYTES_MAX: Final = 32 << 10
"""Of blocks and what they say, on one connection."""
READ_FACTOR: Final = 8
FIELD_OVERHEAD: Final = 32
"""What a header weighs beside its name and value (RFC 9113, 6.5.2)."""
_RESERVED: Final = frozenset(
    {"content-type", "te", "grpc-timeout", "grpc-encoding", "grpc-accept-encoding", "grpc-message-type"}
)
"""What gRPC keeps to itself and does not show handlers as metadata; its own server shows content-type's kin neither."""
_CONNECTION_HEADERS: Final = frozenset({"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"})
_PSEUDO: Final = frozenset({":method", ":scheme", ":path", ":authority"})
_UNITS_S: Final = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}
_is_timeout = re.compile(r"[0-9]{1,8}[HMSmun]").fullmatch
_is_name = re.compile(r"[0-9a-z_.-]+").fullmatch
_is_token = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+").fullmatch
_is_value = re.compile(r"[\t\x20-\x7e\x80-\xff]*").fullmatch
_QUOTED_NOT: Final = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")
"""Characters that a grpc-message carries as they are; all others are percent-encoded."""
INTERNAL, INVALID_ARGUMENT, RESOURCE_EXHAUSTED, UNIMPLEMENTED, UNKNOWN = 13, 3, 8, 12, 2


@dataclass(frozen=True, slots=True)
class Head:
    """What the headers of a call say. Trailers have no `path`.

    `malformed` if they break HTTP/2's rules, `too_large` if there are more than a call may have. `ending` is the header
    block with which a call ends that can't be begun, empty if it can. `encoding` is the one that messages may come in.
    """

    path: str
    metadata: tuple[tuple[str, str | bytes], ...] = ()
    timeout_s: float | None = None
    malformed: bool = False
    too_large: bool = False
    ending: bytes = b""
    encoding: str = "identity"


_MALFORMED: Final = Head("", malformed=True)


class HeaderReader:
    """The headers that one connection receives, in the order of their arrival. A call may have `bytes_max` of them.

    More of them are read, up to READ_FACTOR times as many, so that it is the call that is refused and the connection
    stays.
    """

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._decoder = hpack.Decoder(READ_FACTOR * bytes_max)
        self._known: dict[bytes, Head] = {}
        self._known_bytes = 0

    def read(self, block: bytes) -> Head:
        """What a whole block says; raises ConnectionBrokenError, because an unread block spoils all that follow."""
        known = self._known.get(block)
        if known is not None:
            return known
        before = self._table()
        try:
            read = self._decoder.decode(block, raw=True)
        except hpack.OversizedHeaderListError as error:
            raise ConnectionBrokenError(ENHANCE_YOUR_CALM, "headers without end") from error
        except (hpack.HPACKError, IndexError) as error:  # IndexError: an integer cut short
            raise ConnectionBrokenError(COMPRESSION_ERROR, "headers that can't be read") from error
        fields = [(str(name, "latin-1"), str(value, "latin-1")) for name, value in read]  # as many letters as bytes
        size = sum(len(name) + len(value) + FIELD_OVERHEAD for name, value in fields)
        head = _head(fields) if size <= self._bytes_max else _too_much(self._bytes_max)
        after = self._table()
        changed = before[:2] != after[:2] or before[2] is not after[2]
        self._remember(block, head, size, changed=changed)
        return head

    def _remember(self, block: bytes, head: Head, size: int, *, changed: bool) -> None:
        self._known_bytes += len(block) + size
        if changed or self._known_bytes > REMEMBERED_BYTES_MAX:
            self._known.clear()
            self._known_bytes = 0
        else:
            self._known[block] = head

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
        elif not _is_http(name, value):
            return _MALFORMED
        else:
            regular.append((name, value))
    if not pseudo.keys() <= _PSEUDO or not (pseudo.get(":path") and pseudo.get(":method") and ":scheme" in pseudo):
        return _MALFORMED
    return _call(pseudo, regular)


def _is_http(name: str, value: str) -> bool:
    """Whether HTTP/2 has such a header (RFC 9113, 8.2)."""
    if name in _CONNECTION_HEADERS or (name == "te" and value.lower() != "trailers"):
        return False
    return bool(_is_token(name) and _is_value(value))


def _call(pseudo: dict[str, str], regular: list[tuple[str, str]]) -> Head:
    path, given = pseudo[":path"], dict(regular)
    kind = given.get("content-type", "")
    if kind != "application/grpc" and not kind.startswith(("application/grpc+", "application/grpc;")):
        return Head(path, ending=_http_only(415))
    if pseudo[":method"] != "POST":
        return Head(path, ending=_http_only(405) + field("allow", "POST"))
    timeout, encoding = given.get("grpc-timeout"), given.get("grpc-encoding", "identity")
    if timeout is not None and not _is_timeout(timeout):
        return Head(path, ending=OPENING + trailers(INTERNAL, "grpc-timeout is no time", ()))
    if encoding not in ENCODINGS:
        text = f"compression {encoding[:32]!r} is not offered"
        return Head(path, ending=OPENING + trailers(UNIMPLEMENTED, text, ()))
    timeout_s = int(timeout[:-1]) * _UNITS_S[timeout[-1]] if timeout else None
    try:
        metadata = tuple(pair for name, value in regular if name not in _RESERVED for pair in _pairs(name, value))
    except ValueError:
        text = "metadata has a name or a value that gRPC does not know: visible ASCII, and base64 where it ends in -bin"
        return Head(path, ending=OPENING + trailers(INVALID_ARGUMENT, text, ()))
    return Head(path, metadata, timeout_s, encoding=encoding)


def _pairs(name: str, value: str) -> list[tuple[str, str | bytes]]:
    """A header as metadata; bytes come in base64, with or without its padding, and several joined by commas.

    Raises ValueError for one that is HTTP's and not gRPC's: it is the call that is refused, with words.
    """
    if not (_is_name(name) and value.isascii()):
        raise ValueError(name)
    if not name.endswith("-bin"):
        return [(name, value)]
    parts = value.split(",")
    return [(name, base64.b64decode(part + "=" * (-len(part) % 4), validate=True)) for part in parts]


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


OPENING: Final = (
    b"\x88"  # :status 200 (RFC 7541, appendix A, entry 8)
    + field("content-type", "application/grpc")
    + field("grpc-accept-encoding", ",".join(ENCODINGS))
)
"""The headers before an answer."""
_OK: Final = field("grpc-status", "0")


def trailers(code: int, text: str, metadata: Iterable[tuple[str, str | bytes]]) -> bytes:
    """The headers behind an answer."""
    if code == 0 and not text:
        return _OK + b"".join([field(name, value) for name, value in metadata])
    message = field("grpc-message", quote(text, safe=_QUOTED_NOT)) if text else b""
    return field("grpc-status", str(code)) + message + b"".join([field(name, value) for name, value in metadata])


def _http_only(status: int) -> bytes:
    """The headers of an answer to what is no gRPC call."""
    text = "expected a POST of content type application/grpc"
    return field(":status", str(status)) + field("content-type", "application/grpc") + trailers(UNKNOWN, text, ())


def _too_much(bytes_max: int) -> Head:
    text = f"metadata may have {bytes_max} bytes; this call has more"
    return Head("", too_large=True, ending=OPENING + trailers(RESOURCE_EXHAUSTED, text, ()))
