"""The training reference: how each column, and the model's score, was distributed where the model was fitted.

Rule: pure data with one JSON form. Bins are the training data's own deciles, so that each holds about a tenth of it and
a small sample fills them all; values that are often equal make fewer bins.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

SCHEMA: Final = 1
SCORE: Final = "score"
"""The name of the model's output among the columns."""
_DECILES: Final = np.linspace(0.1, 0.9, 9)


class ReferenceFileError(ValueError):
    """It is no training reference; the text says why."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """Shares of the training data by `edges`: below the first, from each to the next, and from the last on."""

    name: str
    min: float
    max: float
    edges: tuple[float, ...]
    shares: tuple[float, ...]

    @classmethod
    def of(cls, name: str, values: NDArray[np.float32]) -> Distribution:
        """The distribution of `values` [n]."""
        edges = np.unique(np.quantile(values, _DECILES).astype(np.float32))
        counts = np.bincount(np.searchsorted(edges, values, "right"), minlength=len(edges) + 1)
        low, high = float(values.min()), float(values.max())
        return cls(name, low, high, tuple(edges.tolist()), tuple((counts / len(values)).tolist()))


@dataclass(frozen=True, slots=True)
class Reference:
    """The distributions of all columns in their order, then the score's; `rows` they were taken from."""

    rows: int
    columns: tuple[Distribution, ...]

    @classmethod
    def of(cls, names: Sequence[str], matrix: NDArray[np.float32], scores: NDArray[np.float32]) -> Reference:
        """The reference of training rows `matrix` [n, columns], for which the model answers `scores` [n]."""
        columns = [Distribution.of(name, matrix[:, place]) for place, name in enumerate(names)]
        return cls(len(matrix), (*columns, Distribution.of(SCORE, scores)))

    def encode(self) -> bytes:
        """The file's content; numbers have what FP32 carries."""
        columns = [
            {
                "name": item.name,
                "min": _rounded(item.min),
                "max": _rounded(item.max),
                "edges": [_rounded(edge) for edge in item.edges],
                "shares": [round(share, 6) for share in item.shares],
            }
            for item in self.columns
        ]
        document = {"schema": SCHEMA, "rows": self.rows, "columns": columns}
        return (json.dumps(document, indent=1, allow_nan=False) + "\n").encode()

    @classmethod
    def decode(cls, content: bytes) -> Reference:
        """The reference in a file's content; raises ReferenceFileError."""
        try:
            document = json.loads(content)
            if document["schema"] != SCHEMA:
                raise ReferenceFileError(f"its schema is {document['schema']!r}, this service reads {SCHEMA}")
            columns = tuple(_distribution(item) for item in document["columns"])
            return cls(int(document["rows"]), columns)
        except (KeyError, TypeError, AttributeError, json.JSONDecodeError, UnicodeDecodeError) as error:
            raise ReferenceFileError(f"it is malformed ({type(error).__name__}: {error})") from error


def _distribution(item: dict[str, Any]) -> Distribution:
    edges, shares = tuple(map(float, item["edges"])), tuple(map(float, item["shares"]))
    if len(shares) != len(edges) + 1 or list(edges) != sorted(set(edges)):
        raise ReferenceFileError(f"{item['name']}: {len(edges)} edges, which must ascend, and {len(shares)} shares")
    return Distribution(str(item["name"]), float(item["min"]), float(item["max"]), edges, shares)


def _rounded(value: float) -> float:
    """The shortest decimal that is the same number in FP32."""
    return float(np.format_float_positional(np.float32(value), unique=True))
