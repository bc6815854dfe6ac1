"""Reads the ledger's table into the columns that gates judge.

Rule: pure, and suspicious: a column that is missing, empty where it must not be, or no numbers or names raises. Nothing
is copied that can be read as it is: ten million rows must fit into memory, once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NEVER_NULL = ("request_id", "scenario", "phase", "intended_ns", "status")
_INSTANTS = ("intended_ns", "sent_ns", "done_ns")
_INSTANT_NS_MAX = 2**53
"""104 days; beyond it a real no longer holds every nanosecond, and no run lasts so long."""
_NAMES = ("scenario", "phase", "zone", "model_version")


def columns(table: pd.DataFrame) -> dict[str, Any]:
    """Each column that gates read, in the table's order of rows; instants are reals, NaN where there is none.

    Names are categories, "" where there is none. Raises KeyError, TypeError or ValueError when it is no ledger.
    """
    for name in _NEVER_NULL:
        if table[name].isna().any():
            raise ValueError(f"the ledger's column {name} has empty cells")
    instants = {name: table[name].to_numpy(dtype=np.float64, na_value=np.nan) for name in _INSTANTS}
    due_ns = instants["intended_ns"]
    if len(due_ns) and not max(-due_ns.min(), due_ns.max()) <= _INSTANT_NS_MAX:
        raise ValueError("the ledger has a request due at no time that a run can have")
    return {
        "request_id": table["request_id"].to_numpy(dtype=np.uint64),
        "status": _whole(table["status"]),
        **instants,
        **{name: _names(table[name]) for name in _NAMES},
    }


def _whole(column: pd.Series[Any]) -> NDArray[np.signedinteger[Any]]:
    values = column.to_numpy()
    return values if values.dtype.kind == "i" else column.to_numpy(dtype=np.int64)


def _names(column: pd.Series[Any]) -> pd.Categorical:
    names = column.array if isinstance(column.array, pd.Categorical) else pd.Categorical(column)
    if others := [name for name in names.categories if not isinstance(name, str)]:
        raise ValueError(f"the ledger's column {column.name} holds {others[0]!r}, which is no name")
    if (names.codes >= 0).all():
        return names
    return (names if "" in names.categories else names.add_categories([""])).fillna("")
