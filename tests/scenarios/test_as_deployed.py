"""The commands in the Kubernetes manifests run one load together, and end by themselves."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from harness.deploy import Deployment, manifests
from harness.fleet.ports import HeldPort
from harness.fleet.tether import tethered
from harness.load.pool import write_pool
from harness.load.streams import read_stream
from harness.load.summary import read_summary
from tests.integration.load_support import load_server
from tests.scenarios.test_alone import SCENARIOS, plain_environment

if TYPE_CHECKING:
    from pathlib import Path

WORKERS = 2


def start(job: dict[str, Any], settings: dict[str, str], place: Path, **environment: str) -> subprocess.Popen[bytes]:
    """The first container of `job` as a process here: volumes are folders, and the cluster's names are loopback's."""
    item = job["spec"]["template"]["spec"]["containers"][0]
    own = {entry["name"]: entry["value"] for entry in item["env"]} | {"HOME": str(place)}
    arguments = [re.sub(r"\$\((\w+)\)", lambda match: settings[match[1]], text) for text in item["args"]]
    for cluster, here in (("/app/", f"{SCENARIOS.parent}/"), ("/ledger/", f"{place}/"), ("load-master", "127.0.0.1")):
        arguments = [text.replace(cluster, here) for text in arguments]
    with (place / f"{job['metadata']['name']}.log").open("ab") as log:
        command = tethered([sys.executable, "-m", *item["command"], *arguments])
        return subprocess.Popen(command, env=plain_environment() | own | environment, stdout=log, stderr=log)


@pytest.mark.slow
def test_master_and_workers_send_each_request_once_and_end(tmp_path: Path) -> None:
    write_pool(tmp_path / "pool", [b"a row"])
    port = HeldPort()
    port.release()
    with load_server() as server:
        options = {"rate": "50", "duration": "2", "warmup": "0.5", "requests": str(tmp_path / "pool")}
        deployment = Deployment(
            image="x", scenario="sustained", target=server.address, workers=WORKERS, options=options, name="load"
        )
        parts = list(yaml.safe_load_all(manifests(deployment)))
        (settings,) = (part["data"] for part in parts if part["kind"] == "ConfigMap")
        job = {part["metadata"]["name"]: part for part in parts if part["kind"] == "Job"}
        bind, join = {"LOCUST_MASTER_BIND_PORT": str(port.number)}, {"LOCUST_MASTER_NODE_PORT": str(port.number)}
        processes = [start(job["load-master"], settings, tmp_path, **bind)]
        processes += [start(job["load-worker"], settings, tmp_path, **join) for _ in range(WORKERS)]
        try:
            codes = [process.wait(60) for process in processes]
        finally:
            for process in processes:
                process.kill()
    assert codes == [0, 0, 0], (tmp_path / "load-master.log").read_text()[-2000:]
    ledgers = [tmp_path / f"sustained.worker-{worker}.arrow" for worker in range(WORKERS)]
    ids = sorted(number for ledger in ledgers for number in read_stream(ledger).rows["request_id"].to_pylist())
    assert ids == list(range(len(ids)))
    assert len(ids) > 60
    assert all((read_summary(ledger) or {})["finished"] for ledger in ledgers)
