"""What our code calls exists in the real bindings, with these names and types; what TensorRT 11 removed is not called.

The type checker holds all calls in `engines/` to the stubs in `typings/`; here the stubs are held to the real bindings.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING

import pytest
from mypy import api

from tests.reference_service.engines.real_bindings import ROOT, STUBS, describe, install
from tests.reference_service.engines.test_no_driver import asked_for_each_kind

if TYPE_CHECKING:
    from pathlib import Path

ENGINES = sorted((ROOT / "reference_service/engines").glob("*.py"))
REMOVED = {
    "BuilderFlag": "FP16 INT8 BF16 FP8 INT4 OBEY_PRECISION_CONSTRAINTS PREFER_PRECISION_CONSTRAINTS",
    "NetworkDefinitionCreationFlag": "EXPLICIT_BATCH",
    "Builder": "platform_has_fast_fp16 platform_has_fast_int8 max_batch_size build_engine build_cuda_engine",
    "IBuilderConfig": "int8_calibrator set_calibration_profile max_workspace_size algorithm_selector",
    "ITensor": "set_dynamic_range dynamic_range",
    "ILayer": "precision set_output_type",
    "OnnxParser": "supports_model",
    "ICudaEngine": "device_memory_size create_execution_context_without_device_memory weight_streaming_budget "
    "get_binding_name get_binding_shape num_bindings max_batch_size",
    "IExecutionContext": "execute_async_v2 execute_async set_shape_input set_binding_shape",
    "": "IInt8Calibrator IInt8EntropyCalibrator2 QuantizationFlag IAlgorithmSelector IStreamReader",
}
"""What code for TensorRT 8 to 10 uses and 11 no longer has, by class; "" is the module."""


@pytest.fixture(scope="module")
def bindings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return install(tmp_path_factory.mktemp("bindings"))


@pytest.mark.long
@pytest.mark.parametrize("module", STUBS)
def test_the_stubs_are_what_the_real_bindings_declare(bindings: dict[str, str], module: str) -> None:
    assert describe(module, bindings) == (ROOT / STUBS[module]).read_text()


@pytest.mark.long
def test_the_removed_names_are_gone_from_the_real_bindings(bindings: dict[str, str]) -> None:
    script = (
        "import json, sys, tensorrt\n"
        "removed = json.loads(sys.argv[1])\n"
        "kinds = {name: getattr(tensorrt, name) if name else tensorrt for name in removed}\n"
        "print([(name, item) for name in removed for item in removed[name].split() if hasattr(kinds[name], item)])"
    )
    command = [sys.executable, "-c", script, json.dumps(REMOVED)]
    done = subprocess.run(command, env=bindings, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.long
def test_without_a_driver_the_real_bindings_lead_to_onnxruntime(bindings: dict[str, str], tmp_path: Path) -> None:
    asked_for_each_kind({**bindings, "CUDA_VISIBLE_DEVICES": ""}, tmp_path)


@pytest.mark.parametrize("path", ENGINES, ids=lambda path: path.name)
def test_no_removed_name_is_used(path: Path) -> None:
    names = {name for names in REMOVED.values() for name in names.split()}
    tree = ast.parse(path.read_text())
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    used |= {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    assert not used & names


WRONG = {
    "config.set_flag(trt.BuilderFlag.FP16)": 'has no attribute "FP16"',
    "builder.create_network(0, 1)": "Too many arguments",
    "builder.create_network().num_layers": 'has no attribute "num_layers"',
    "runtime.cudaGraphInstantiate(stream)": 'Missing positional argument "flags"',
    "config.create_timing_cache(b'').serialize()": 'has no attribute "serialize"',
}


def test_a_wrong_name_arity_or_unchecked_null_is_a_type_error(tmp_path: Path) -> None:
    given = "builder: trt.Builder, config: trt.IBuilderConfig, stream: runtime.cudaStream_t"
    functions = [f"def f{index}({given}) -> None: {line}" for index, line in enumerate(WRONG)]
    (tmp_path / "wrong.py").write_text(
        "import tensorrt as trt; from cuda.bindings import runtime\n" + "\n".join(functions)
    )
    settings = tmp_path / "mypy.ini"
    settings.write_text(f"[mypy]\nstrict = true\nmypy_path = {ROOT / 'typings'}\ncache_dir = {tmp_path / 'cache'}\n")
    output, _, _ = api.run([f"--config-file={settings}", str(tmp_path / "wrong.py")])
    for number, complaint in enumerate(WRONG.values(), 2):
        assert re.search(rf"wrong.py:{number}: error: .*{re.escape(complaint)}", output), output


def test_no_untyped_expression_can_hide_a_wrong_name_in_what_imports_the_bindings() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mypy"]
    strict = {name for item in settings["overrides"] if item.get("disallow_any_expr") for name in item["module"]}
    importing = {path for path in ENGINES if re.search(r"^import tensorrt|^from cuda", path.read_text(), re.MULTILINE)}
    assert {f"reference_service.engines.{path.stem}" for path in importing} == strict
    assert not [path for path in importing if re.search(r"type: ignore|cast\(", path.read_text())]
