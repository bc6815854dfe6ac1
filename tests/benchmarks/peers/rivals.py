"""The peers: how each is set up, started and described.

Rule: one server process (or what it takes for one), one instance of the model, and of the settings that their
documentation offers several, each as a contender of its own: the better one counts.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.benchmarks.peers.contender import Contender, Running
from tests.benchmarks.peers.environments import environment
from tests.benchmarks.peers.load import INPUT, MODEL, OUTPUT, Credentials
from tests.benchmarks.peers.processes import running, wait_for_listener
from tests.benchmarks.rivals import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.benchmarks.peers.contender import Bench

MLSERVER = ("mlserver==1.7.1", "uvloop==0.21.0")
"""Its worker processes do not start with a later uvloop, which no longer makes an event loop on demand."""
TRITON: Final = ("nvidia-pytriton==0.7.0",)
MODELS: Final = Path(__file__).with_name("models")
TRITON_CONFIG: Final = """
name: "{model}"
backend: "python"
max_batch_size: 64
input [{{ name: "{input}" data_type: TYPE_FP32 dims: [{columns}] }}]
output [{{ name: "{output}" data_type: TYPE_FP32 dims: [1] }}]
instance_group [{{ count: 1 kind: KIND_CPU }}]
{more}
"""


def mlserver(workers: int) -> Contender:
    """MLServer with inference in this many worker processes; 0 is in the server's own."""
    settings = f"parallel_workers={workers}, debug=false, metrics off"
    return Contender(f"MLServer, {settings}", "MLServer", lambda bench: _mlserver(bench, workers))


def triton(*, batching: bool) -> Contender:
    """Triton's python backend, with or without its dynamic batcher, which hands several requests over at once."""
    settings = "dynamic batching" if batching else "no batching"
    return Contender(f"Triton python backend, {settings}", "Triton", lambda bench: _triton(bench, batching=batching))


@contextlib.contextmanager
def _mlserver(bench: Bench, workers: int) -> Iterator[Running]:
    made = environment(bench.cache, "mlserver", *MLSERVER)
    folder = bench.folder(f"mlserver-{workers}")
    (folder / "mlserver_runtime.py").write_bytes((MODELS / "mlserver_runtime.py").read_bytes())
    http, port, metrics = free_port(), free_port(), free_port()
    server_settings = {
        "debug": False, "parallel_workers": workers, "host": "127.0.0.1", "http_port": http, "grpc_port": port,
        "metrics_port": metrics, "metrics_endpoint": None, "environments_dir": f"{folder / 'envs'}",
    }  # fmt: skip
    model_settings = {
        "name": MODEL, "implementation": "mlserver_runtime.OnnxModel",
        "parameters": {"uri": f"{bench.model}", "version": "1"},
    }  # fmt: skip
    (folder / "settings.json").write_text(json.dumps(server_settings))
    (folder / "model-settings.json").write_text(json.dumps(model_settings))
    command = [f"{made.directory / 'bin' / 'mlserver'}", "start", f"{folder}"]
    own = {"PYTHONPATH": f"{folder}"}
    with running(command, folder / "log", environment=own, directory=folder) as server:
        wait_for_listener(server, port)
        bench.wait_for_answer(server, f"127.0.0.1:{port}", Credentials())
        yield Running(f"127.0.0.1:{port}", server, Credentials(), f"MLServer {made.version_of('mlserver')}")


@contextlib.contextmanager
def _triton(bench: Bench, *, batching: bool) -> Iterator[Running]:
    made = environment(bench.cache, "triton", *TRITON)
    carried = made.packages / "pytriton" / "tritonserver"
    folder = bench.folder(f"triton-{batching:d}")
    backends = _backend(carried, folder / "backends")
    repository = _repository(bench, folder / "models", batching=batching)
    port = free_port()
    command = [
        f"{carried / 'bin' / 'tritonserver'}", f"--model-repository={repository}", f"--backend-directory={backends}",
        f"--grpc-port={port}", "--grpc-address=127.0.0.1", "--allow-http=false", "--allow-metrics=false",
        "--log-verbose=0", f"--backend-config=python,shm-region-prefix-name=peers{port}",
    ]  # fmt: skip
    own = {
        "LD_LIBRARY_PATH": f"{made.packages / 'nvidia_pytriton.libs'}:{Path(sys.base_prefix) / 'lib'}",
        "PATH": f"{made.directory / 'bin'}:{os.environ['PATH']}",  # the model runs in the first python3 found there
    }
    with running(command, folder / "log", environment=own, directory=folder) as server:
        wait_for_listener(server, port)
        bench.wait_for_answer(server, f"127.0.0.1:{port}", Credentials())
        said = bench.server_version(f"127.0.0.1:{port}", Credentials())
        yield Running(f"127.0.0.1:{port}", server, Credentials(), f"Triton {said}")


def _backend(carried: Path, into: Path) -> Path:
    """The wheel has the backend and the program that runs the model in two places; the server wants them in one."""
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    shutil.copytree(carried / "backends" / "python", into / "python")
    shutil.copy2(carried / "python_backend_stubs" / python / "triton_python_backend_stub", into / "python")
    return into


def _repository(bench: Bench, into: Path, *, batching: bool) -> Path:
    version = into / MODEL / "1"
    version.mkdir(parents=True)
    shutil.copy2(bench.model, version / "model.onnx")
    shutil.copy2(MODELS / "triton_model.py", version / "model.py")
    more = "dynamic_batching { }" if batching else ""
    columns = bench.rows.shape[1]
    (into / MODEL / "config.pbtxt").write_text(
        TRITON_CONFIG.format(model=MODEL, input=INPUT, output=OUTPUT, columns=columns, more=more)
    )
    return into
