"""check-gpu: what it writes, and its exit codes. The GPU is the fake of tests/reference_service/engines."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from click.testing import CliRunner, Result

from reference_service.cli import group
from reference_service.engines.onnxruntime import OnnxRuntimeEngine
from reference_service.gpu_check import compare, timed
from tests.reference_service.tiny_registry import MODEL, tiny_rows, write_tiny_version

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from reference_service.registry import ModelVersion
    from tests.reference_service.engines.fake_gpu import Gpu


class Wrong:
    """An engine that is wrong for one row, in batches of one size alone."""

    name = "wrong"

    def __init__(self, model: bytes, by: float, size: int) -> None:
        self._right, self._by, self._size = OnnxRuntimeEngine(model), by, size

    def infer(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        answers = self._right.infer(batch)
        if len(batch) == self._size:
            answers[-1] += self._by
        return answers

    def close(self) -> None:
        self._right.close()


def check(folder: Path, *options: str) -> Result:
    command = [
        "check-gpu",
        "--registry",
        str(folder / "registry"),
        "--model",
        MODEL,
        "--version",
        "1",
    ]
    return CliRunner().invoke(group, [*command, "--seconds", "0", "--output", str(folder / "gpu.json"), *options])


def test_what_was_found_is_written_and_agreement_is_exit_code_0(gpu: Gpu, tmp_path: Path) -> None:
    subject = write_tiny_version(tmp_path / "registry").subject
    result = check(tmp_path, "--allow-unsigned")
    assert result.exit_code == 0, result.output
    assert result.output.startswith("tensorrt-11.4-Fake-GPU: answers differ from ONNX Runtime's by at most 0.0 ")
    found = json.loads((tmp_path / "gpu.json").read_text())
    assert (found["schema"], found["kind"], found["subject"]) == (1, "gpu-check", subject)
    assert abs(dt.datetime.now(dt.UTC) - dt.datetime.fromisoformat(found["taken"])) < dt.timedelta(minutes=1)
    assert found["gpu"] == {"name": "Fake GPU", "compute_capability": "9.0", "cuda_driver": 12090}
    assert found["versions"]["tensorrt"] == "11.4.0.106"
    assert (found["io"], found["tensor_types"]) == ({"features": "FLOAT", "p": "FLOAT"}, {"FLOAT": 2})
    assert found["agreement"]["holds"]
    assert [item["rows"] for item in found["speed"]] == [1 << power for power in range(11)]
    for item in found["speed"]:
        for times in (item["tensorrt"], item["onnxruntime"]):
            assert times["calls"] == 300
            assert 0 < times["latency_ms_p50"] <= times["latency_ms_p99"]
    assert not gpu.memory


def test_an_unsigned_version_is_refused_before_anything_is_built(gpu: Gpu, tmp_path: Path) -> None:
    write_tiny_version(tmp_path / "registry")
    result = check(tmp_path)
    assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1)
    assert "it is unsigned" in result.stderr
    assert not (tmp_path / "gpu.json").exists()
    assert not gpu.calls.made


def test_answers_that_differ_are_written_and_exit_code_1(
    gpu: Gpu,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    version = write_tiny_version(tmp_path / "registry")
    broken = Wrong(version.model_bytes, 0.01, 64)
    monkeypatch.setattr("reference_service.engines.tensorrt.TensorRtEngine.infer", lambda _, rows: broken.infer(rows))
    result = check(tmp_path, "--allow-unsigned")
    assert result.exit_code == 1, result.output
    found = json.loads((tmp_path / "gpu.json").read_text())["agreement"]
    assert not found["holds"]
    assert found["difference_max"] == pytest.approx(0.01, rel=1e-3)
    assert check(tmp_path, "--allow-unsigned", "--tolerance", "0.02").exit_code == 0
    assert gpu.calls.made


@pytest.mark.parametrize("size", [1, 8, 3, 512])
@pytest.mark.parametrize("by", [1e-3, float("nan"), float("inf")])
def test_one_wrong_answer_in_one_size_of_batch_is_found(tiny_version: ModelVersion, size: int, by: float) -> None:
    rows = tiny_rows()
    engine = Wrong(tiny_version.model_bytes, by, size)
    expected = OnnxRuntimeEngine(tiny_version.model_bytes).infer(rows)
    found = compare(engine, expected, rows, [1, 8, 3, 512], 1e-4)
    assert not found["holds"]
    assert found["difference_max"] == (pytest.approx(1e-3, rel=1e-2) if np.isfinite(by) else None)
    assert compare(engine, expected, rows, [2, 4], 1e-4)["holds"]


def test_every_size_is_timed_with_that_many_rows(tiny_version: ModelVersion) -> None:
    sizes: list[int] = []

    class Counting(Wrong):
        def infer(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
            sizes.append(len(batch))
            return super().infer(batch)

    engine = Counting(tiny_version.model_bytes, 0, 0)
    for size in (1, 300, 1024):  # the last is more than there are rows
        sizes.clear()
        found = timed(engine, tiny_rows(), size, 0)
        assert set(sizes) == {size}
        assert found["rows_per_s"] > size
