"""NVIDIA's own client, in an environment and a process of its own, talks to the service unchanged, by key over TLS.

It cannot share this process: it registers the same protocol messages, and wants an older protobuf.
"""

from __future__ import annotations

import datetime as dt
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from harness.fleet.lifecycle import start_fleet
from harness.fleet.spec import SERVICE_COMMAND, FleetSpec
from reference_service.auth.keys import new_key
from tests.reference_service.certificates import signed
from tests.reference_service.running import in_own_process
from tests.reference_service.tiny_registry import MODEL, tiny_answers, tiny_rows, write_tiny_version

if TYPE_CHECKING:
    from collections.abc import Iterator

PINS = ("tritonclient[grpc]==2.73.0", "numpy==2.4.6", "grpcio==1.85.1", "protobuf==6.33.6")
CONFIG = '[tls]\ncertificate = "server.pem"\nkey = "file:server.key"\n[auth]\nkeys = "keys.json"\n'
SCRIPT = Path(__file__).with_name("tritonclient_script.py")

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Served:
    """A service somewhere, and what its model is known to answer."""

    address: str
    model: str
    version: str
    rows: np.ndarray
    expected: np.ndarray
    authority: str
    key: str


@pytest.fixture(scope="session")
def triton_python(request: pytest.FixtureRequest) -> Path:
    """An interpreter with tritonclient, made once and kept in pytest's cache."""
    assert request.config.cache is not None
    name = f"tritonclient-{PINS[0].partition('==')[2]}-python{sys.version_info.major}.{sys.version_info.minor}"
    environment = Path(request.config.cache.mkdir(name))
    complete = environment / "complete"
    if not complete.exists() or complete.read_text() != "\n".join(PINS):
        shutil.rmtree(environment)
        subprocess.run([sys.executable, "-m", "venv", environment], check=True, timeout=120)
        pip = [environment / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "--quiet"]
        subprocess.run([*pip, "install", *PINS], check=True, timeout=240)
        complete.write_text("\n".join(PINS))
    return environment / "bin" / "python"


@pytest.fixture
def served_directly(tmp_path: Path) -> Iterator[Served]:
    """The service itself, without an edge, behind TLS and an API key."""
    write_tiny_version(tmp_path)
    rows = tiny_rows(8)
    authority = signed("authority")
    signed("server", authority).write(tmp_path)
    (tmp_path / "ca.pem").write_bytes(authority.chain_pem)
    key, entry = new_key("triton", ("infer",), dt.datetime.now(dt.UTC) + dt.timedelta(hours=1))
    (tmp_path / "keys.json").write_text(json.dumps({"keys": [entry]}))
    (tmp_path / "service.toml").write_text(CONFIG)
    with in_own_process(tmp_path, MODEL, "--config", str(tmp_path / "service.toml")) as process:
        address = process.await_event("ready")["address"]
        yield Served(address, MODEL, "1", rows, tiny_answers(rows), str(tmp_path / "ca.pem"), key)


@pytest.fixture
def served_through_the_edge(tmp_path: Path) -> Iterator[Served]:
    """Two zones of the service behind the real Envoy."""
    write_tiny_version(tmp_path / "registry")
    rows = tiny_rows(8)
    spec = FleetSpec(
        zones=("zone-a", "zone-b"),
        registry=tmp_path / "registry",
        model=MODEL,
        version="1",
        directory=tmp_path / "fleet",
        service_command=(*SERVICE_COMMAND, "--allow-unsigned"),
    )
    with start_fleet(spec, lease=True) as fleet:
        key = Path(fleet.reach.load_key).read_text().strip()
        yield Served(fleet.address, MODEL, "1", rows, tiny_answers(rows), fleet.reach.ca, key)


def ask(python: Path, served: Served) -> Any:
    """What tritonclient understood of the service."""
    task = {"address": served.address, "model": served.model, "version": served.version, "rows": served.rows.tolist()}
    task |= {"authority": served.authority, "key": served.key}
    command = [python, "-W", "error", SCRIPT]
    done = subprocess.run(command, input=json.dumps(task), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def check(understood: Any, served: Served) -> None:
    """Everything that a client needs came through, values included."""
    assert (understood["live"], understood["ready"], understood["model_ready"]) == (True, True, True)
    assert understood["other_model_ready"] is False
    assert understood["server"] == "gonogo-reference-service"
    metadata = understood["metadata"]
    assert (metadata["name"], metadata["versions"]) == (served.model, [served.version])
    assert metadata["inputs"][0]["datatype"] == "FP32"
    assert metadata["inputs"][0]["shape"] == ["-1", str(served.rows.shape[1])]
    assert understood["id"] == "from-triton"
    np.testing.assert_allclose(understood["outputs"], served.expected, atol=1e-6)
    assert understood["without_key"] == "StatusCode.UNAUTHENTICATED"
    status, message = understood["refusal"]
    assert status == "StatusCode.NOT_FOUND"
    assert "model 'other' is not served here" in message


@pytest.mark.parametrize("how", ["served_directly", "served_through_the_edge"])
def test_tritonclient_understands_the_service(triton_python: Path, how: str, request: pytest.FixtureRequest) -> None:
    served: Served = request.getfixturevalue(how)
    check(ask(triton_python, served), served)
