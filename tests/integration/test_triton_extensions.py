"""NVIDIA's own client, unchanged, reads configuration and statistics and loads the next version, with an API key."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

from reference_service.auth.keys import new_key
from tests.integration.test_tritonclient import triton_python  # noqa: F401 - a fixture
from tests.reference_service.running import in_own_process
from tests.reference_service.tiny_registry import MODEL, WEIGHTS, write_tiny_version

SCRIPT = Path(__file__).with_name("triton_extensions_script.py")


def test_tritonclient_administrates_the_service(triton_python: Path, tmp_path: Path) -> None:  # noqa: F811
    for number in (1, 2):
        write_tiny_version(tmp_path / "registry", str(number), number * WEIGHTS)
    key, entry = new_key("ops", ("infer", "admin"), datetime.now(UTC) + timedelta(hours=1))
    (tmp_path / "keys.json").write_text(json.dumps({"keys": [entry]}))
    (tmp_path / "service.toml").write_text('[auth]\nkeys = "keys.json"\n')
    with in_own_process(tmp_path / "registry", MODEL, "--config", str(tmp_path / "service.toml")) as process:
        address = process.await_event("ready")["address"]
        task = {"address": address, "model": MODEL, "row": [1, 2, 3], "headers": {"authorization": f"Bearer {key}"}}
        command = [triton_python, "-W", "error", SCRIPT]
        done = subprocess.run(command, input=json.dumps(task), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    understood = json.loads(done.stdout)
    assert (understood["before"], understood["after"]) == ("1", "2")
    config = understood["config"]
    assert (config["backend"], config["input"][0]["data_type"]) == ("onnxruntime", "TYPE_FP32")
    assert (config["input"][0]["dims"], config["parameters"]["version"]["string_value"]) == (["3"], "2")
    counted = [(item["version"], item["inference_count"]) for item in understood["statistics"]]
    assert counted == [("1", "1"), ("2", "1")]
    assert all(int(item["inference_stats"]["compute_infer"]["ns"]) > 0 for item in understood["statistics"])
    assert [(item["version"], item["state"]) for item in understood["index"]] == [("1", "READY"), ("2", "READY")]
    assert understood["index"][1]["reason"] == "current"
    assert understood["unload"][0] == "StatusCode.INVALID_ARGUMENT"
    assert "the current one stays until another is promoted" in understood["unload"][1]
    assert understood["memory"][0] == "StatusCode.UNIMPLEMENTED"
    assert "memory is not shared with callers" in understood["memory"][1]
    assert understood["stranger"][0] == "StatusCode.UNAUTHENTICATED"
