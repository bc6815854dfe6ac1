"""Changes the weights of an ONNX model where they lie in its file, without a library that knows ONNX.

Rule: pure. Protocol Buffers' wire format is enough to find a tensor's raw bytes (ModelProto.graph = 7,
GraphProto.initializer = 5, TensorProto.data_type = 2 and raw_data = 9, from onnx.proto); no length ever changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_GRAPH, _INITIALIZER, _DATA_TYPE, _RAW_DATA = 7, 5, 2, 9
_FLOAT = 1
_FIXED_BYTES = {1: 8, 5: 4}
_VARINT, _DELIMITED = 0, 2
_SIGN_BIT = 0x80


class _Field(NamedTuple):
    """A field of a message: its number, its value if that is a number, and where its bytes lie."""

    number: int
    value: int
    start: int
    end: int


def negated(model: bytes) -> bytes:
    """The model with the sign of every weight of its largest float tensor turned. Raises ValueError if it has none."""
    found = max(_float_tensors(model), key=lambda span: span.end - span.start, default=None)
    if found is None:
        raise ValueError("the model has no float weights in raw form")
    content = bytearray(model)
    for at in range(found.start + 3, found.end, 4):  # little-endian: the sign is in the last byte of four
        content[at] ^= _SIGN_BIT
    return bytes(content)


def _float_tensors(model: bytes) -> Iterator[_Field]:
    """Where the raw bytes of each float initializer lie."""
    for graph in _of(_GRAPH, model, 0, len(model)):
        for tensor in _of(_INITIALIZER, model, graph.start, graph.end):
            kinds = [field.value for field in _of(_DATA_TYPE, model, tensor.start, tensor.end)]
            if kinds == [_FLOAT]:
                yield from _of(_RAW_DATA, model, tensor.start, tensor.end)


def _of(number: int, data: bytes, at: int, end: int) -> Iterator[_Field]:
    return (field for field in _fields(data, at, end) if field.number == number)


def _fields(data: bytes, at: int, end: int) -> Iterator[_Field]:
    while at < end:
        tag, at = _varint(data, at)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            value, at = _varint(data, at)
            yield _Field(number, value, at, at)
            continue
        size = _FIXED_BYTES.get(kind, -1)
        if kind == _DELIMITED:
            size, at = _varint(data, at)
        if size < 0 or at + size > end:
            raise ValueError("this is no ONNX model")
        yield _Field(number, 0, at, at + size)
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data):
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < _SIGN_BIT:
            return value, at
    raise ValueError("this is no ONNX model: it ends in the middle of a number")
