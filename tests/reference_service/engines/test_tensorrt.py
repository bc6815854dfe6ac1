"""The TensorRT engine on a fake GPU whose names and signatures are the real bindings'. None of this ran on a GPU."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from onnx import TensorProto, helper

from reference_service.engines import EngineError, EngineUnavailableError
from reference_service.engines.choice import choose_engine, open_tensorrt
from reference_service.errors import StartError
from tests.reference_service.tiny_registry import tiny_answers, tiny_rows

if TYPE_CHECKING:
    from pathlib import Path

    from reference_service.registry import ModelVersion
    from tests.reference_service.engines.fake_gpu import Gpu

FREED = {"cudaFree", "cudaFreeHost", "cudaGraphExecDestroy", "cudaStreamDestroy"}
"""What only gives back: its failure is told when the engine is closed."""
IN_EACH_CALL = {"cudaGraphLaunch", "cudaStreamSynchronize"}


@pytest.mark.parametrize("rows", [1, 2, 3, 7, 8, 9, 500, 512])
def test_a_batch_is_answered_by_the_formula_whatever_its_size(
    gpu: Gpu, tiny_version: ModelVersion, tmp_path: Path, rows: int
) -> None:
    engine = open_tensorrt(tiny_version.model_bytes, tmp_path / "plans")
    before = gpu.calls.counts()
    answers = engine.infer(tiny_rows(rows))
    np.testing.assert_allclose(answers, tiny_answers(tiny_rows(rows)), rtol=1e-5)
    assert answers.shape == (rows, 1)
    assert gpu.calls.counts() - before == {"cudaGraphLaunch": 1, "cudaStreamSynchronize": 1}
    assert engine.name == "tensorrt-11.4-Fake-GPU"
    engine.close()
    assert not gpu.memory
    assert not gpu.taken


def test_more_rows_than_the_largest_batch_are_answered_in_parts(
    gpu: Gpu, tiny_version: ModelVersion, tmp_path: Path
) -> None:
    engine = open_tensorrt(tiny_version.model_bytes, tmp_path / "plans")
    before = gpu.calls.counts()
    np.testing.assert_allclose(engine.infer(tiny_rows(2500)), tiny_answers(tiny_rows(2500)), rtol=1e-5)
    assert (gpu.calls.counts() - before)["cudaGraphLaunch"] == 3
    assert engine.infer(tiny_rows(1)[:0]).shape == (0, 1)


def test_an_answer_is_kept_and_no_rows_of_an_earlier_caller_reach_the_device(
    gpu: Gpu, tiny_version: ModelVersion, tmp_path: Path
) -> None:
    engine = open_tensorrt(tiny_version.model_bytes, tmp_path / "plans")
    first = engine.infer(tiny_rows(8))
    engine.infer(tiny_rows(8)[:3] * 2)
    np.testing.assert_allclose(first, tiny_answers(tiny_rows(8)), rtol=1e-5)
    sent = engine._host_input
    np.testing.assert_array_equal(sent[:3], tiny_rows(8)[:3] * 2)
    assert not sent[3:4].any()
    assert gpu.memory


def test_callers_on_several_threads_get_each_their_own_answers(
    gpu: Gpu, tiny_version: ModelVersion, tmp_path: Path
) -> None:
    engine = open_tensorrt(tiny_version.model_bytes, tmp_path / "plans")
    rows = tiny_rows(400)

    def ask(row: int) -> float:
        return float(engine.infer(rows[row : row + 1])[0, 0])

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # threads change places within a call
    try:
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(ask, range(len(rows))))
    finally:
        sys.setswitchinterval(before)
    np.testing.assert_allclose(answers, tiny_answers(rows)[:, 0], rtol=1e-5)
    assert not gpu.enqueued


def test_a_plan_is_built_once_and_found_again(gpu: Gpu, tiny_version: ModelVersion, tmp_path: Path) -> None:
    built = open_tensorrt(tiny_version.model_bytes, tmp_path / "plans")
    assert built.origin.startswith("plan built in ")
    found = open_tensorrt(tiny_version.model_bytes, tmp_path / "plans")
    assert found.origin == "plan from the cache"
    assert gpu.calls.counts()["Builder.build_serialized_network"] == 1
    assert found.plan_sha256 == built.plan_sha256
    np.testing.assert_array_equal(found.infer(tiny_rows(5)), built.infer(tiny_rows(5)))


@pytest.mark.parametrize("change", ["model", "driver", "gpu", "tensorrt"])
def test_a_plan_for_anything_else_is_not_used(
    gpu: Gpu, tiny_version: ModelVersion, tmp_path: Path, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_tensorrt(tiny_version.model_bytes, tmp_path / "plans")
    from reference_service.engines import cuda, tensorrt
    from reference_service.engines.plan_cache import PlanCache

    device = cuda.probe()
    devices = {"driver": replace(device, driver=12080), "gpu": replace(device, compute_capability="8.9")}
    model = tiny_version.model_bytes + (b"\x32\x00" if change == "model" else b"")  # an empty description more
    if change == "tensorrt":
        monkeypatch.setattr(gpu.modules["tensorrt"], "__version__", "11.5.0.1")
    tensorrt.TensorRtEngine(model, devices.get(change, device), PlanCache(tmp_path / "plans"))
    assert gpu.calls.counts()["Builder.build_serialized_network"] == 2


def test_timings_learned_by_one_build_serve_the_next(gpu: Gpu, tiny_version: ModelVersion) -> None:
    from reference_service.engines import tensorrt_build
    from reference_service.engines.cuda import probe

    first = tensorrt_build.build_plan(tiny_version.model_bytes, probe(), b"", tensorrt_build.Log())
    second = tensorrt_build.build_plan(tiny_version.model_bytes, probe(), first.timings, tensorrt_build.Log())
    assert (first.timings, second.timings) == (b"+", b"++")
    assert gpu.calls.counts()["IBuilderConfig.set_timing_cache"] == 2


def test_a_changed_plan_is_never_deserialised_but_built_anew(
    gpu: Gpu, tiny_version: ModelVersion, tmp_path: Path
) -> None:
    open_tensorrt(tiny_version.model_bytes, tmp_path / "plans")
    files = sorted((tmp_path / "plans").iterdir(), key=lambda path: path.stat().st_size)
    content = files[-1].read_bytes()
    for place in (0, 40, content.index(b"\n"), content.index(b"\n") + 1, len(content) // 2, len(content) - 1):
        files[-1].write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        before = gpu.calls.counts()
        engine = open_tensorrt(tiny_version.model_bytes, tmp_path / "plans")
        assert "is not what was written there" in engine.origin
        assert (gpu.calls.counts() - before)["Builder.build_serialized_network"] == 1
        assert files[-1].read_bytes() == content
    files[0].write_bytes(b"damaged timings")
    files[-1].unlink()
    assert open_tensorrt(tiny_version.model_bytes, tmp_path / "plans").origin.startswith("plan built")


def healthy_calls(gpu: Gpu, version: ModelVersion, folder: Path) -> set[str]:
    """Every call of a start, a batch and an end."""
    engine = open_tensorrt(version.model_bytes, folder)
    engine.infer(tiny_rows(3))
    engine.close()
    return set(gpu.calls.made)


def test_every_failure_that_the_bindings_can_tell_is_told_and_leaves_nothing_behind(
    gpu: Gpu, tiny_version: ModelVersion, tmp_path: Path
) -> None:
    called = healthy_calls(gpu, tiny_version, tmp_path / "healthy")
    cannot_fail = {"ILogger.__init__", "IOptimizationProfile.set_shape", "IBuilderConfig.clear_flag"}
    cannot_fail |= {name for name in called if name.startswith(("ICudaEngine.get_", "Dims."))}
    assert len(called - cannot_fail) > 30
    often = {name for name, count in gpu.calls.counts().items() if count > 2}
    for name, call in [(name, call) for name in sorted(called - cannot_fail - FREED) for call in (1, 2)]:
        if call > 1 and name not in often:
            continue
        gpu.calls.failing = {name: call}
        with pytest.raises(EngineUnavailableError, match=r"TensorRT: .* failed|cuda|no CUDA device"):
            open_tensorrt(tiny_version.model_bytes, tmp_path / f"{name} {call}")
        assert gpu.capturing is None or name == "cudaStreamEndCapture", name
        gpu.capturing, gpu.calls.failing = None, {}
        gpu.enqueued.clear()
        assert not gpu.memory, name
        assert not gpu.taken or name == "cudaGraphDestroy", name
        gpu.taken.clear()


@pytest.mark.parametrize("name", sorted(IN_EACH_CALL))
def test_a_failure_during_a_call_is_an_error_of_that_call(
    gpu: Gpu, tiny_version: ModelVersion, tmp_path: Path, name: str
) -> None:
    engine = open_tensorrt(tiny_version.model_bytes, tmp_path / "plans")
    gpu.calls.failing = {name: 1}
    with pytest.raises(EngineError, match=f"{name}: cudaErrorMemoryAllocation"):
        engine.infer(tiny_rows(1))
    gpu.calls.failing = {}
    gpu.enqueued.clear()
    np.testing.assert_allclose(engine.infer(tiny_rows(1)), tiny_answers(tiny_rows(1)), rtol=1e-5)


@pytest.mark.parametrize("name", sorted(FREED))
def test_what_can_not_be_given_back_is_told(gpu: Gpu, tiny_version: ModelVersion, tmp_path: Path, name: str) -> None:
    engine = open_tensorrt(tiny_version.model_bytes, tmp_path / "plans")
    gpu.calls.failing = {name: 1}
    with pytest.raises(EngineError, match=name):
        engine.close()


def test_a_model_that_can_not_be_parsed_says_what_the_parser_and_the_logger_said(gpu: Gpu, tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailableError) as caught:
        open_tensorrt(b"not a model", tmp_path / "plans")
    expected = "TensorRT: parsing the model; not a model (node 'a node') failed; a line that the logger heard"
    assert str(caught.value) == expected
    assert not gpu.memory


def identity(kind: int, shape: list[int | str], names: list[str]) -> bytes:
    """A model that gives each of its inputs back."""
    sources, targets = (
        [helper.make_tensor_value_info(f"{name}{end}", kind, shape) for name in names] for end in ("", "_out")
    )
    nodes = [helper.make_node("Identity", [name], [f"{name}_out"]) for name in names]
    graph = helper.make_graph(nodes, "identity", sources, targets)
    content: bytes = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    ).SerializeToString()
    return content


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (identity(TensorProto.FLOAT16, ["rows", 3], ["x"]), r"the engine has {'x': 'HALF', 'x_out': 'HALF'}"),
        (identity(TensorProto.FLOAT, ["rows", 3], ["x", "y"]), "the model has 2 inputs and 2 outputs; 1 of each fits"),
        (identity(TensorProto.FLOAT, ["rows", 3, 4], ["x"]), r"input 'x' is \[-1, 3, 4\]; only \[-1, features\]"),
        (identity(TensorProto.FLOAT, [8, 3], ["x"]), r"input 'x' is \[8, 3\]"),
        (identity(TensorProto.FLOAT, ["rows", "columns"], ["x"]), r"input 'x' is \[-1, -1\]"),
    ],
    ids=["half precision", "two inputs", "three axes", "fixed rows", "free columns"],
)
def test_a_model_that_does_not_fit_the_engine_is_refused(gpu: Gpu, tmp_path: Path, model: bytes, said: str) -> None:
    with pytest.raises(EngineUnavailableError, match=said):
        open_tensorrt(model, tmp_path / "plans")
    assert not gpu.memory


@pytest.mark.parametrize("version", ["10.13.0.35", "11.3.9", "12.0.0"])
def test_another_tensorrt_is_refused(
    gpu: Gpu, tiny_version: ModelVersion, tmp_path: Path, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu.modules["tensorrt"], "__version__", version)
    with pytest.raises(EngineUnavailableError, match=rf"TensorRT {version} is installed"):
        open_tensorrt(tiny_version.model_bytes, tmp_path / "plans")


def test_auto_takes_the_gpu_and_says_so(gpu: Gpu, tiny_version: ModelVersion, tmp_path: Path) -> None:
    engine, reason = choose_engine("auto", tiny_version, 1, tmp_path / "plans")
    assert reason.startswith("tensorrt-11.4-Fake-GPU: plan built in ")
    assert engine.name == "tensorrt-11.4-Fake-GPU"
    engine, reason = choose_engine("onnxruntime", tiny_version, 1, tmp_path / "plans")
    assert (engine.name, reason) == ("onnxruntime-cpu", "onnxruntime: asked for")
    gpu.calls.failing = {"OnnxParser.parse": 1}
    engine, reason = choose_engine("auto", tiny_version, 1, tmp_path / "other")
    assert (engine.name, reason) == ("onnxruntime-cpu", "onnxruntime: TensorRT: parsing the model failed")
    with pytest.raises(
        StartError, match=r"the engine tensorrt can't run tiny@1 .*: TensorRT: parsing the model failed"
    ):
        choose_engine("tensorrt", tiny_version, 1, tmp_path / "other")
    with pytest.raises(StartError, match="there is no engine 'cuda': choose one of auto, tensorrt, onnxruntime"):
        choose_engine("cuda", tiny_version, 1, tmp_path / "plans")


@pytest.mark.parametrize("kind", ["auto", "tensorrt"])
def test_a_plan_cache_open_to_others_is_refused(
    gpu: Gpu, tiny_version: ModelVersion, tmp_path: Path, kind: str
) -> None:
    (tmp_path / "plans").mkdir()
    (tmp_path / "plans").chmod(0o770)
    with pytest.raises(StartError, match="is open to others"):
        choose_engine(kind, tiny_version, 1, tmp_path / "plans")
    assert "Runtime.__init__" not in gpu.calls.made
