"""The golden set: held-out flights with what happened and what the exported model answers on ONNX Runtime's CPU.

Rule: the flights drawn depend on the hold-out window alone, so that versions measured on one window hold the same
flights in the same order; the file's bytes depend on its arrays alone.
"""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

ROWS = 2048
_SEED = 1


def draw(rows: NDArray[np.intp]) -> NDArray[np.intp]:
    """`ROWS` of the rows of a hold-out window, or all where there are fewer."""
    return np.random.default_rng(_SEED).choice(rows, min(ROWS, len(rows)), replace=False)


def pack(inputs: NDArray[np.float32], labels: NDArray[np.uint8], expected: NDArray[np.float32]) -> bytes:
    """The golden file."""
    return _npz({"inputs": inputs, "labels": labels, "expected": expected})


def _npz(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """What numpy.savez_compressed writes, with every file dated 1980, the first year that zip knows."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, array in arrays.items():
            content = io.BytesIO()
            np.save(content, array, allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            archive.writestr(entry, content.getvalue(), zipfile.ZIP_DEFLATED)
    return packed.getvalue()
