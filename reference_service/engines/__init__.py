"""What runs a model: one interface for every kind of hardware.

Rule: an engine knows arrays, never requests. Adding one is one new file here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class EngineError(Exception):
    """An engine, or the hardware below it, failed; the text says what did and how."""


class EngineUnavailableError(EngineError):
    """This kind of engine can't run the model here; the text says what is missing."""


class Engine(Protocol):
    """A loaded model with one input and one output."""

    @property
    def name(self) -> str:
        """What runs the model and on what, such as `onnxruntime-cpu`."""
        ...

    def infer(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """The output [n, outputs] for a contiguous batch [n, features]; the array is the caller's to keep."""
        ...

    def close(self) -> None:
        """Give back what the engine holds; it is not used afterwards."""
        ...
