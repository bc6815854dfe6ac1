"""The trained model as one ONNX graph: raw features in, probability of late out.

Rule: the simplest operators that every engine has, all weights as constants, and one free axis, the batch. The
networks run side by side in two wide layers, the logistic regression beside them; the last layer is the mean of all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper

from reference_service.training.networks import CLIP

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import GraphProto, ModelProto

    from reference_service.training.networks import Trained

INPUT = "features"
OUTPUT = "late_probability"
OPSET = 17
IR_VERSION = 8
"""The pair of ONNX 1.12: old enough for every ONNX Runtime and TensorRT that the service can meet."""


def export(trained: Trained) -> bytes:
    """The serialized graph; equal weights give equal bytes."""
    constants = _constants(trained)
    nodes = [
        helper.make_node("Sub", [INPUT, "mean"], ["centred"]),
        helper.make_node("Mul", ["centred", "inverse_deviation"], ["normalised"]),
        helper.make_node("Clip", ["normalised", "lowest", "highest"], ["clipped"]),
        helper.make_node("Gemm", ["clipped", "hidden_weights", "hidden_bias"], ["hidden"]),
        helper.make_node("Relu", ["hidden"], ["active"]),
        helper.make_node("Gemm", ["active", "score_weights", "score_bias"], ["network_scores"]),
        helper.make_node("Gemm", ["clipped", "linear_weights", "linear_bias"], ["linear_score"]),
        helper.make_node("Concat", ["network_scores", "linear_score"], ["scores"], axis=1),
        helper.make_node("Sigmoid", ["scores"], ["probabilities"]),
        helper.make_node("Gemm", ["probabilities", "mean_weights", "no_bias"], [OUTPUT]),
    ]
    graph = helper.make_graph(
        nodes,
        "flight_delay",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["batch", len(trained.scale.mean)])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["batch", 1])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return _model(graph).SerializeToString(deterministic=True)


def parameter_count(trained: Trained) -> int:
    """How many weights and biases were fitted."""
    networks = sum(array.size for network in trained.networks for array in (*network.coefs_, *network.intercepts_))
    return int(networks + trained.linear.coef_.size + trained.linear.intercept_.size)


def _model(graph: GraphProto) -> ModelProto:
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="gonogo reference service",
    )
    checker.check_model(model, full_check=True)
    return model


def _constants(trained: Trained) -> dict[str, NDArray[np.float32]]:
    networks = trained.networks
    hidden, count = networks[0].coefs_[0].shape[1], len(networks)
    score_weights = np.zeros((hidden * count, count))
    for index, network in enumerate(networks):  # each network's score sees only its own hidden units
        score_weights[index * hidden : (index + 1) * hidden, index] = network.coefs_[1][:, 0]
    values = {
        "mean": trained.scale.mean,
        "inverse_deviation": 1.0 / trained.scale.deviation.astype(np.float64),
        "lowest": np.array(-CLIP),
        "highest": np.array(CLIP),
        "hidden_weights": np.concatenate([network.coefs_[0] for network in networks], axis=1),
        "hidden_bias": np.concatenate([network.intercepts_[0] for network in networks]),
        "score_weights": score_weights,
        "score_bias": np.concatenate([network.intercepts_[1] for network in networks]),
        "linear_weights": trained.linear.coef_.T,
        "linear_bias": trained.linear.intercept_,
        "mean_weights": np.array([*[(1.0 - trained.linear_share) / count] * count, trained.linear_share])[:, None],
        "no_bias": np.zeros(1),
    }
    return {name: np.asarray(value, dtype=np.float32) for name, value in values.items()}
