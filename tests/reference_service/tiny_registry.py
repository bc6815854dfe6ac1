"""The smallest registry that the service can serve: one linear layer and a sigmoid, with known answers."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from reference_service.publishing import write_version

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from reference_service.registry import ModelVersion

MODEL = "tiny"
COLUMNS = 3
WEIGHTS = np.array([[0.5], [-1.0], [0.25]], np.float32)


def tiny_answers(rows: NDArray[np.float32], weights: NDArray[np.float32] = WEIGHTS) -> NDArray[np.float32]:
    """What the tiny model answers, by its formula."""
    answers: NDArray[np.float32] = 1 / (1 + np.exp(-(rows @ weights)))
    return answers


def tiny_rows(rows: int = 512) -> NDArray[np.float32]:
    return np.random.default_rng(7).normal(size=(rows, COLUMNS)).astype(np.float32)


def write_tiny_version(
    registry: Path, version: str = "1", weights: NDArray[np.float32] = WEIGHTS, **changes: Any
) -> ModelVersion:
    """Add the tiny model to `registry`; `changes` are fields of its manifest."""
    rows = tiny_rows()
    golden = io.BytesIO()
    labels = np.zeros(len(rows), np.uint8)
    np.savez(golden, inputs=rows, labels=labels, expected=tiny_answers(rows, weights).ravel())
    files = {"model.onnx": _model(weights), "golden.npz": golden.getvalue()}
    return write_version(registry, {**_document(version), **changes}, files)


def _model(weights: NDArray[np.float32]) -> bytes:
    nodes = [helper.make_node("MatMul", ["features", "w"], ["score"]), helper.make_node("Sigmoid", ["score"], ["p"])]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["rows", COLUMNS])],
        [helper.make_tensor_value_info("p", TensorProto.FLOAT, ["rows", 1])],
        [numpy_helper.from_array(weights, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content


def _document(version: str) -> dict[str, Any]:
    return {
        "schema": 1,
        "name": MODEL,
        "version": version,
        "inputs": [{"name": "features", "datatype": "FP32", "shape": [-1, COLUMNS]}],
        "outputs": [{"name": "p", "datatype": "FP32", "shape": [-1, 1]}],
        "decision": {"output": "p", "threshold": 0.5, "meaning": "positive"},
        "data": {},
        "metrics": {},
        "framework": {"opset": 17},
        "parameters": COLUMNS,
    }
