"""Golden rows become requests that any version of the model may answer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from harness.load.golden import golden_requests
from reference_service.protocol.open_inference_pb2 import ModelInferRequest

if TYPE_CHECKING:
    from pathlib import Path


def test_each_row_becomes_one_request(tmp_path: Path) -> None:
    rows = np.arange(12, dtype=np.float32).reshape(4, 3)
    np.savez(tmp_path / "golden.npz", inputs=rows, labels=np.zeros(4, np.uint8))
    manifest = {"name": "flight-delay", "version": "1", "inputs": [{"name": "features"}]}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    requests = [ModelInferRequest.FromString(message) for message in golden_requests(tmp_path)]
    assert [(item.model_name, item.model_version, item.inputs[0].name) for item in requests] == [
        ("flight-delay", "", "features")
    ] * 4
    assert [list(item.inputs[0].shape) for item in requests] == [[1, 3]] * 4
    assert b"".join(item.raw_input_contents[0] for item in requests) == rows.tobytes()
