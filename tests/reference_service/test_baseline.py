"""The engine's own speed: every call timed, every golden row used in turn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from reference_service.baseline import bench, time_rows
from tests.reference_service.tiny_registry import COLUMNS

if TYPE_CHECKING:
    from reference_service.registry import ModelVersion


class RecordingEngine:
    name = "recording"

    def __init__(self) -> None:
        self.seen: list[np.ndarray] = []

    def infer(self, batch: Any) -> Any:
        self.seen.append(batch)
        return batch

    def close(self) -> None: ...


def test_rows_are_timed_one_by_one_in_a_cycle() -> None:
    engine = RecordingEngine()
    rows = np.arange(6, dtype=np.float32).reshape(3, 2)
    latencies_ns = time_rows(engine, rows, 0.01)
    assert len(latencies_ns) == len(engine.seen) > 3
    assert [batch.tolist() for batch in engine.seen[:4]] == [[[0, 1]], [[2, 3]], [[4, 5]], [[0, 1]]]
    assert min(latencies_ns) > 0
    assert sum(latencies_ns) < 1e9


def test_the_document_names_what_was_measured(tiny_version: ModelVersion) -> None:
    found = bench(tiny_version, seconds=0.02)
    assert (found["model"], found["version"], found["digest"]) == ("tiny", "1", tiny_version.digest)
    assert (found["engine"], found["model_bytes"]) == ("onnxruntime-cpu", len(tiny_version.model_bytes))
    assert found["inputs"] == [{"name": "features", "datatype": "FP32", "shape": (-1, COLUMNS)}]
    assert len(found["latencies_ns"]) > 10
