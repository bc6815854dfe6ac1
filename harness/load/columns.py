"""Arrow columns made from Python values without `pyarrow.array`.

Rule: `pyarrow.array` imports pandas at its first call, more than half a second of work that competes for the GIL with
the engine just as the load begins. A column here is made of its buffers, as Arrow's format defines them.
"""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Sequence

_NUMPY = {pa.uint64(): np.uint64, pa.int64(): np.int64, pa.int32(): np.int32, pa.int16(): np.int16}


def column(values: Sequence[int | None] | Sequence[str], kind: pa.DataType) -> pa.Array:
    """`values` as a column of `kind`: an integer type, where None is null, or string."""
    if kind == pa.string():
        return _strings([str(value).encode() for value in values])
    valid = np.array([value is not None for value in values], np.bool_)
    numbers = np.array([0 if value is None else value for value in values], _NUMPY[kind])
    bitmap = np.packbits(valid, bitorder="little")
    return pa.Array.from_buffers(kind, len(values), [pa.py_buffer(bitmap), pa.py_buffer(numbers)])


def _strings(texts: Sequence[bytes]) -> pa.Array:
    ends = np.array([0, *accumulate(map(len, texts))], np.int32)
    return pa.Array.from_buffers(pa.string(), len(texts), [None, pa.py_buffer(ends), pa.py_buffer(b"".join(texts))])
