"""Casts an ONNX model to FP16 inside, with the FP32 input and output that it had.

Rule: every float weight becomes FP16, and one cast stands behind the input and one before the output. That suffices for
graphs without casts or float attributes of their own, such as the flight model's; anything else is an error.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, checker, helper, numpy_helper


def halved(model: bytes) -> bytes:
    """`model` with FP16 weights and FP16 tensors between its layers."""
    loaded = onnx.load_model_from_string(model)
    graph = loaded.graph
    assert not {"Cast", "Constant", "ConstantOfShape"} & {node.op_type for node in graph.node}
    for weight in graph.initializer:
        if weight.data_type == TensorProto.FLOAT:
            weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight).astype(np.float16), weight.name))
    source, target = graph.input[0].name, graph.output[0].name
    for node in graph.node:
        node.input[:] = [f"{name}_half" if name == source else name for name in node.input]
        node.output[:] = [f"{name}_half" if name == target else name for name in node.output]
    graph.node.insert(0, helper.make_node("Cast", [source], [f"{source}_half"], to=TensorProto.FLOAT16))
    graph.node.append(helper.make_node("Cast", [f"{target}_half"], [target], to=TensorProto.FLOAT))
    del graph.value_info[:]
    checker.check_model(loaded, full_check=True)
    content: bytes = loaded.SerializeToString()
    return content
