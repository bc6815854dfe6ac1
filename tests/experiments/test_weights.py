"""Weights are turned where they lie in the file, as a library that knows ONNX sees it, and nothing else changes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from experiments.weights import negated

MODEL = Path(__file__).parents[2] / "reference_service" / "models" / "flight-delay" / "2" / "model.onnx"


def weights(model: bytes) -> dict[str, np.ndarray]:
    return {item.name: numpy_helper.to_array(item) for item in onnx.load_model_from_string(model).graph.initializer}


def test_the_largest_tensor_has_the_other_sign_and_the_rest_is_untouched() -> None:
    model = MODEL.read_bytes()
    before, after = weights(model), weights(negated(model))
    assert len(negated(model)) == len(model)
    changed = [name for name, value in before.items() if not np.array_equal(value, after[name])]
    assert changed == [max(before, key=lambda name: before[name].size)]
    np.testing.assert_array_equal(after[changed[0]], -before[changed[0]])
    assert negated(negated(model)) == model


@pytest.mark.parametrize("content", [b"", b"\x3a\xff", b"\x3a\x05", b"\x80", b"no model at all, but some text"])
def test_what_is_no_model_with_weights_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"no ONNX model|no float weights"):
        negated(content)
