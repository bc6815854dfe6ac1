"""The ONNX Runtime engine gives the model's own answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from reference_service.engines.onnxruntime import OnnxRuntimeEngine
from tests.reference_service.tiny_registry import tiny_answers, tiny_rows

if TYPE_CHECKING:
    from reference_service.engines import Engine
    from reference_service.registry import ModelVersion


@pytest.mark.parametrize("threads", [1, 2])
def test_a_batch_is_answered_by_the_formula(tiny_version: ModelVersion, threads: int) -> None:
    engine: Engine = OnnxRuntimeEngine(tiny_version.model_bytes, threads)
    np.testing.assert_allclose(engine.infer(tiny_rows(64)), tiny_answers(tiny_rows(64)), rtol=1e-6)
    assert engine.name == "onnxruntime-cpu"


def test_an_answer_is_kept_when_the_next_one_is_made(tiny_version: ModelVersion) -> None:
    engine = OnnxRuntimeEngine(tiny_version.model_bytes)
    first = engine.infer(tiny_rows(2)[:1])
    engine.infer(tiny_rows(2)[1:])
    np.testing.assert_allclose(first, tiny_answers(tiny_rows(2)[:1]), rtol=1e-6)


def test_a_closed_engine_answers_no_more(tiny_version: ModelVersion) -> None:
    engine = OnnxRuntimeEngine(tiny_version.model_bytes)
    engine.close()
    with pytest.raises(AttributeError):
        engine.infer(tiny_rows(1))
