"""Arrow columns made from numpy arrays without `pyarrow.array`.

Rule: `pyarrow.array` imports pandas at its first call, more than half a second of work that competes for the GIL with
the engine just as the load begins. A column here is made of its buffers, as Arrow's format defines them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_NUMPY = {pa.uint64(): np.uint64, pa.int64(): np.int64, pa.int32(): np.int32, pa.int16(): np.int16}


def integers(values: NDArray[Any], kind: pa.DataType, valid: NDArray[np.bool_] | None = None) -> pa.Array:
    """`values` as a column of the integer type `kind`, null where `valid` is False."""
    bitmap = None if valid is None else pa.py_buffer(np.packbits(valid, bitorder="little"))
    return pa.Array.from_buffers(kind, len(values), [bitmap, pa.py_buffer(values.astype(_NUMPY[kind]))])


def strings(names: Sequence[str], places: NDArray[np.int64]) -> pa.Array:
    """The column of strings whose row i is `names[places[i]]`."""
    texts = [name.encode() for name in names]
    sizes = np.array([len(text) for text in texts], np.int32)
    ends = np.concatenate((np.zeros(1, np.int32), np.cumsum(sizes[places], dtype=np.int32)))
    content = b"".join(map(texts.__getitem__, places.tolist())) if sizes.any() else b""
    return pa.Array.from_buffers(pa.string(), len(places), [None, pa.py_buffer(ends), pa.py_buffer(content)])
