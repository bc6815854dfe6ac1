"""What the values and parameters of a request must be: finite, near what the model has seen, and nothing unheard of.

Rule: a good batch costs one comparison; places and texts are sought only once it fails, and at most
`VIOLATIONS_MAX` are told, because they travel in a header. What is wrong is named by its path, and by its column.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from reference_service.errors import InvalidRequestError, Violation, shown
from reference_service.protocol.tensors import DTYPES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from reference_service.manifest import TensorFact
    from reference_service.protocol.open_inference_pb2 import InferParameter
    from reference_service.settings import Validation

VIOLATIONS_MAX: Final = 10
"""Ten take about 2 KiB in the trailers, of the 8 KiB that a gRPC client accepts."""
COLUMN_CHARACTERS_MAX: Final = 64
PARAMETERS: Final[Mapping[str, str]] = {"timeout": "int64_param", "priority": "uint64_param"}
"""What Triton's client may add to any call, with its type. A timeout, in µs, is honoured; priorities are all one."""


class ValueRule:
    """What the values of the tensor `fact` may be under `policy`; values other than floating-point are left alone."""

    def __init__(self, fact: TensorFact, policy: Validation) -> None:
        self._names = tuple(column.name[:COLUMN_CHARACTERS_MAX] for column in fact.columns)
        self._clips = policy.out_of_range == "clip"
        self._bounded = bool(fact.columns) and policy.out_of_range != "pass"
        dtype = DTYPES.get(fact.datatype, np.dtype("?"))
        self._floating = dtype.kind == "f"
        if self._floating:
            self._low, self._high = _bounds(fact, policy, dtype)

    def check(self, batch: NDArray[Any]) -> NDArray[Any]:
        """`batch` itself if all its values [rows, columns] may pass; with the policy `clip`, moved into the range.

        Raises:
            InvalidRequestError: a value is not finite, or out of range and not to be clipped.
        """
        if not self._floating:
            return batch
        within: NDArray[np.bool_] = (batch >= self._low) & (batch <= self._high)  # NaN is not within anything
        return batch if b"\0" not in within.tobytes() else self._examined(batch, within)

    def _examined(self, batch: NDArray[Any], within: NDArray[np.bool_]) -> NDArray[Any]:
        finite = np.isfinite(batch)
        if not finite.all():
            raise self._refusal("finite numbers", batch, ~finite)
        if self._clips:
            held: NDArray[Any] = np.clip(batch, self._low, self._high)
            return held
        raise self._refusal("values near those of the training data", batch, ~within)

    def _refusal(self, expected: str, batch: NDArray[Any], wrong: NDArray[np.bool_]) -> InvalidRequestError:
        places = np.argwhere(wrong)
        violations = [self._violation(tuple(place), batch) for place in places[:VIOLATIONS_MAX].tolist()]
        first = violations[0]
        text = f"expected {expected}; {len(places)} of {batch.size} are not, such as {first.field}: {first.description}"
        return InvalidRequestError(text, *violations)

    def _violation(self, place: tuple[int, ...], batch: NDArray[Any]) -> Violation:
        path = "inputs[0].contents" + "".join(f"[{index}]" for index in place)
        column = place[-1]
        if self._names:
            path = f"{path} ({self._names[column]})"
        if not self._bounded:
            return Violation(path, f"expected a finite number; got {batch[place]:g}")
        low, high = self._low[column], self._high[column]
        return Violation(path, f"expected {low:g} to {high:g}; got {batch[place]:g}")


def check_parameters(parameters: Mapping[str, InferParameter]) -> None:
    """Return if all are known and of their type; raises InvalidRequestError.

    A parameter that was ignored would leave its sender with an answer to another question.
    """
    violations = [
        Violation(f"parameters[{shown(name)}]", _complaint(name))
        for name, value in parameters.items()
        if value.WhichOneof("parameter_choice") != PARAMETERS.get(name, "none at all")
    ]
    if violations:
        first = violations[0]
        raise InvalidRequestError(f"{first.field}: {first.description}", *violations[:VIOLATIONS_MAX])


def timeout_s_in(parameters: Mapping[str, InferParameter]) -> float | None:
    """Seconds that the caller gives the request; None if it does not say (0 says nothing)."""
    timeout_us = parameters["timeout"].int64_param if "timeout" in parameters else 0
    return timeout_us / 1e6 if timeout_us > 0 else None


def violating(field: str, text: str) -> InvalidRequestError:
    """The refusal of a request for one field."""
    return InvalidRequestError(text, Violation(field, text))


def _complaint(name: str) -> str:
    if name in PARAMETERS:
        return f"expected {PARAMETERS[name]}"
    if name.startswith("sequence_"):
        return "sequences are not offered: the model keeps nothing from one request to the next"
    return f"not a parameter of this service; it knows {', '.join(PARAMETERS)}"


def _bounds(fact: TensorFact, policy: Validation, dtype: np.dtype[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Lowest and highest value that may pass, of each column or of all."""
    limits = np.finfo(dtype)
    if policy.out_of_range == "pass" or not fact.columns:  # infinity is then all that is out of range
        return np.array(limits.min, dtype), np.array(limits.max, dtype)
    low = np.array([column.min for column in fact.columns], float)
    high = np.array([column.max for column in fact.columns], float)
    room = policy.margin * (high - low)
    held = (np.clip(bound, limits.min, limits.max).astype(dtype) for bound in (low - room, high + room))
    return next(held), next(held)
