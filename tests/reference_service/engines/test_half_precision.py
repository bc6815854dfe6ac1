"""FP16 is said by the graph's types alone: the shipped model survives it, and the engine builds what the graph says.

ONNX Runtime's CPU kernels compute some FP16 operators in FP32: its agreement is an indication, no proof of a GPU's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from reference_service.engines.choice import open_tensorrt
from reference_service.engines.onnxruntime import OnnxRuntimeEngine
from reference_service.gpu_check import compare
from reference_service.registry import load_golden, load_version
from reference_service.trust import UNSIGNED_ALLOWED
from tests.reference_service.engines.half_precision import halved
from tests.reference_service.running import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.reference_service.engines.fake_gpu import Gpu

DIFFERENCE_MAX = 1e-3
"""In a probability. Measured: 0.00017 (version 1) and 0.00058 (version 2); no decision of 2,048 changed."""


@pytest.mark.parametrize("version", ["1", "2"])
def test_the_shipped_model_in_half_precision_decides_alike(version: str) -> None:
    shipped = load_version(ROOT / "reference_service/models", "flight-delay", version, UNSIGNED_ALLOWED)
    golden, half = load_golden(shipped), OnnxRuntimeEngine(halved(shipped.model_bytes))
    answers = half.infer(golden.inputs)[:, 0]
    assert np.isfinite(answers).all()
    assert np.abs(answers - golden.expected).max() < DIFFERENCE_MAX
    threshold = shipped.manifest.decision.threshold
    assert ((answers >= threshold) == (golden.expected >= threshold)).all()


def test_the_engine_is_built_in_the_precision_of_the_graph(gpu: Gpu, tmp_path: Path) -> None:
    shipped = load_version(ROOT / "reference_service/models", "flight-delay", "1", UNSIGNED_ALLOWED)
    full = open_tensorrt(shipped.model_bytes, tmp_path / "plans")
    half = open_tensorrt(halved(shipped.model_bytes), tmp_path / "plans")
    assert (set(full.tensor_types), dict(half.tensor_types)) == ({"FLOAT"}, {"FLOAT": 1, "HALF": 11})
    assert full.io == half.io == {"features": "FLOAT", "late_probability": "FLOAT"}
    golden = load_golden(shipped)
    assert compare(full, golden.expected[:, None], golden.inputs, [64], 1e-5)["holds"]
    found = compare(half, golden.expected[:, None], golden.inputs, [64], 1e-5)
    assert not found["holds"]
    assert 1e-5 < found["difference_max"] < DIFFERENCE_MAX
    assert gpu.calls.counts()["Builder.build_serialized_network"] == 2
