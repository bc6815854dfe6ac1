"""Tensors between their two wire forms, raw bytes and typed contents, and numpy arrays.

Rule: a tensor is decoded only if its values are exactly as many as its shape says; anything else is a `TensorError`
that says what was expected. Raw bytes are little-endian, row-major and without padding, as the protocol has them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from reference_service.protocol.open_inference_pb2 import InferTensorContents

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

DTYPES: Final[Mapping[str, np.dtype[Any]]] = {
    "BOOL": np.dtype("?"),
    "UINT8": np.dtype("<u1"),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
    "INT8": np.dtype("<i1"),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "FP16": np.dtype("<f2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
}
"""The protocol's numeric datatypes (BYTES and BF16 have no numpy type of fixed size)."""

CONTENTS_FIELDS: Final[Mapping[str, str]] = {
    "BOOL": "bool_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
}
"""The field of InferTensorContents that carries a datatype; FP16 has none and travels raw only."""


class TensorError(ValueError):
    """A tensor's values do not fit its datatype and shape; the text says what was expected."""


def decode_raw(raw: bytes, datatype: str, shape: Sequence[int]) -> NDArray[Any]:
    """The values in `raw` as a read-only array of `shape`, without a copy."""
    dtype = _dtype(datatype)
    expected_bytes = math.prod(shape) * dtype.itemsize
    if len(raw) != expected_bytes:
        raise TensorError(f"{datatype} {list(shape)} takes {expected_bytes} bytes; got {len(raw)}")
    return np.frombuffer(raw, dtype).reshape(shape)


def encode_raw(array: NDArray[Any], datatype: str) -> bytes:
    """The values of `array` as raw bytes of `datatype`."""
    return array.astype(_dtype(datatype), copy=False).tobytes()


def decode_contents(contents: InferTensorContents, datatype: str, shape: Sequence[int]) -> NDArray[Any]:
    """The values of the one field of `contents` that fits `datatype`, as an array of `shape`."""
    field = _contents_field(datatype)
    strays = [descriptor.name for descriptor, _ in contents.ListFields() if descriptor.name != field]
    if strays:
        raise TensorError(f"{datatype} travels in {field}; got values in {', '.join(strays)}")
    values = getattr(contents, field)
    if len(values) != math.prod(shape):
        raise TensorError(f"{datatype} {list(shape)} takes {math.prod(shape)} values in {field}; got {len(values)}")
    try:
        return np.array(list(values), _dtype(datatype)).reshape(shape)  # a container itself would wrap around
    except OverflowError as error:
        raise TensorError(f"a value in {field} does not fit {datatype}: {error}") from error


def encode_contents(array: NDArray[Any], datatype: str) -> InferTensorContents:
    """The values of `array` as typed contents of `datatype`."""
    values: Any = array.ravel().tolist()
    return InferTensorContents(**{_contents_field(datatype): values})


def _dtype(datatype: str) -> np.dtype[Any]:
    try:
        return DTYPES[datatype]
    except KeyError:
        raise TensorError(f"datatype {datatype[:32]!r} is not one of {', '.join(DTYPES)}") from None


def _contents_field(datatype: str) -> str:
    _dtype(datatype)
    if datatype not in CONTENTS_FIELDS:
        raise TensorError(f"{datatype} has no typed contents in this protocol: send raw bytes")
    return CONTENTS_FIELDS[datatype]
