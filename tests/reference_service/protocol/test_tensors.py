"""Tensors keep their values on the wire, and what does not fit says what would."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference_service.protocol.open_inference_pb2 import InferTensorContents
from reference_service.protocol.tensors import (
    CONTENTS_FIELDS,
    DTYPES,
    TensorError,
    decode_contents,
    decode_raw,
    encode_contents,
    encode_raw,
)


def extremes(datatype: str) -> np.ndarray:
    dtype = DTYPES[datatype]
    if dtype.kind == "b":
        return np.array([[True, False]])
    limits = np.finfo(dtype) if dtype.kind == "f" else np.iinfo(dtype)
    return np.array([[limits.min, limits.max]], dtype)


@pytest.mark.parametrize("datatype", DTYPES)
def test_raw_bytes_keep_every_datatypes_extremes(datatype: str) -> None:
    array = extremes(datatype)
    found = decode_raw(encode_raw(array, datatype), datatype, array.shape)
    assert found.dtype == DTYPES[datatype]
    np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize("datatype", CONTENTS_FIELDS)
def test_typed_contents_keep_every_datatypes_extremes(datatype: str) -> None:
    array = extremes(datatype)
    found = decode_contents(encode_contents(array, datatype), datatype, array.shape)
    assert found.dtype == DTYPES[datatype]
    np.testing.assert_array_equal(found, array)


def test_raw_bytes_are_little_endian_row_major() -> None:
    array = np.asfortranarray([[1, 2], [3, 4]], ">i2")
    assert encode_raw(array, "INT16") == bytes([1, 0, 2, 0, 3, 0, 4, 0])


@given(raw=st.binary(max_size=64), rows=st.integers(0, 5), columns=st.integers(0, 5))
def test_raw_bytes_decode_exactly_when_they_fill_the_shape(raw: bytes, rows: int, columns: int) -> None:
    if len(raw) == rows * columns * 4:
        assert decode_raw(raw, "FP32", [rows, columns]).shape == (rows, columns)
    else:
        with pytest.raises(TensorError, match=f"takes {rows * columns * 4} bytes; got {len(raw)}"):
            decode_raw(raw, "FP32", [rows, columns])


def test_an_unknown_datatype_is_refused_with_the_known_ones() -> None:
    with pytest.raises(TensorError, match="'BYTES' is not one of BOOL, UINT8"):
        decode_raw(b"", "BYTES", [0])


def test_half_precision_has_no_typed_form() -> None:
    with pytest.raises(TensorError, match="FP16 has no typed contents"):
        encode_contents(np.zeros(1, np.float16), "FP16")


def test_a_typed_value_too_large_for_its_datatype_is_refused() -> None:
    with pytest.raises(TensorError, match="does not fit INT8"):
        decode_contents(InferTensorContents(int_contents=[300]), "INT8", [1])
