"""Runs an experiment file by the real `chaos run` against the fake, which only the environment points at."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from harness.fault_journal import FaultJournal, OpenFault

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.experiments.gcp.fake import FakeCloud

ROOT = Path(__file__).parents[3]
PROJECT, ZONE, REGION = "staging-1", "europe-west1-b", "europe-west1"
ALLOW = f"""
projects = ["{PROJECT}"]
zones = ["{ZONE}", "europe-west1-c"]
regions = ["{REGION}", "global"]
label = "chaos=allowed"
name_prefix = "chaos-"
"""
LIMIT_S = 60.0
"""Of one experiment, whatever happens in it."""
UNDO = """
import importlib, json, os, sys
entry = json.load(open(sys.argv[1]))
os.environ.update(entry["environment"])
module, _, function = entry["undo"].partition(":")
getattr(importlib.import_module(module), function)(**entry["arguments"])
"""
"""Undo one entry of the journal, knowing nothing but that entry."""


@dataclass(frozen=True)
class Ran:
    """What one `chaos run` left behind."""

    exit_code: int
    journal: dict[str, Any]
    output: str
    timeline: list[dict[str, Any]]

    def activity(self, name: str) -> dict[str, Any]:
        """The one run of the method's (or the rollbacks') activity `name`."""
        (found,) = [run for run in self.journal["run"] + self.journal["rollbacks"] if run["activity"]["name"] == name]
        return dict(found)

    def statuses(self) -> list[str]:
        return [run["status"] for run in self.journal["run"] + self.journal["rollbacks"]]

    def events(self) -> list[str]:
        return [event["event"] for event in self.timeline]


class Runner:
    """One experiment's place: its journals, its allow-list, its credentials; `variables` reach the fake."""

    def __init__(self, cloud: FakeCloud, authority: Path, folder: Path) -> None:
        self.folder, self.cloud = folder, cloud
        (folder / "allow.toml").write_text(ALLOW)
        (folder / "key.json").write_text(json.dumps(_account()))
        (folder / "kubeconfig").write_text(json.dumps(_kubeconfig(cloud.kubernetes.server_address[1], authority)))
        proxy = f"http://127.0.0.1:{cloud.front.port}"
        kept = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
        self.variables: dict[str, str] = kept | {
            "https_proxy": proxy,
            "HTTPS_PROXY": proxy,
            "no_proxy": "127.0.0.1",
            "NO_PROXY": "127.0.0.1",
            "REQUESTS_CA_BUNDLE": str(authority),
            "HTTPLIB2_CA_CERTS": str(authority),
            "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(authority),
            "GOOGLE_APPLICATION_CREDENTIALS": str(folder / "key.json"),
            "KUBECONFIG": str(folder / "kubeconfig"),
            "HOME": str(folder),
            "PYTHONPATH": str(ROOT),
            "GONOGO_FAULTS": str(folder / "faults"),
            "GONOGO_TIMELINE": str(folder / "timeline.jsonl"),
            "GONOGO_ZERO_NS": "0",
            "GONOGO_GCP_ALLOW": str(folder / "allow.toml"),
            "GONOGO_GCP_PROJECT": PROJECT,
            "GONOGO_ZONE": ZONE,
            "GONOGO_GCP_REGION": REGION,
            "GONOGO_BEFORE_S": "0",
            "GONOGO_HOLD_S": "0",
            "GONOGO_AFTER_S": "0",
            "GONOGO_GCP_LIMIT_S": "5",
        }

    def chaos(self, name: str, **variables: str) -> Ran:
        """Run `experiments/gcp/NAME.json` to its end."""
        process = self.start(name, **variables)
        output, _ = process.communicate(timeout=LIMIT_S)
        return self.ran(process.returncode, output)

    def start(self, name: str, **variables: str) -> subprocess.Popen[str]:
        """Start it, in a process group of its own."""
        command = [sys.executable, "-m", "chaostoolkit", "--no-version-check"]
        command += ["--settings", str(self.folder / "none.yaml"), "--log-file", str(self.folder / "chaos.log"), "run"]
        command += ["--rollback-strategy", "always", "--journal-path", str(self.folder / "journal.json")]
        command += [str(ROOT / "experiments" / "gcp" / f"{name}.json")]
        return subprocess.Popen(
            command,
            env=self.variables | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def wait_for_event(self, event: str, process: subprocess.Popen[str]) -> None:
        """Return once the run's timeline holds `event`."""
        deadline = time.monotonic() + LIMIT_S
        while event not in [one["event"] for one in self.timeline()]:
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < deadline, f"{event} did not come"
            time.sleep(0.05)

    def timeline(self) -> list[dict[str, Any]]:
        path = self.folder / "timeline.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def kill(self, process: subprocess.Popen[str]) -> None:
        """SIGKILL the whole group."""
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=LIMIT_S)

    def open_faults(self) -> list[OpenFault]:
        return FaultJournal(self.folder / "faults").pending()

    def heal(self) -> subprocess.CompletedProcess[str]:
        """`gonogo fleet heal`, told nothing of what was broken and where the allow-list is."""
        return self._alone(["-m", "harness.cli", "fleet", "heal"])

    def undo(self, entry: OpenFault) -> subprocess.CompletedProcess[str]:
        """Undo one open fault in a process that knows nothing but its entry and how to reach the fake."""
        path = self.folder / "entry.json"
        path.write_text(json.dumps(dataclasses.asdict(entry)))
        return self._alone(["-c", UNDO, str(path)])

    def _alone(self, arguments: list[str]) -> subprocess.CompletedProcess[str]:
        variables = {name: value for name, value in self.variables.items() if not name.startswith("GONOGO_GCP")}
        command = [sys.executable, *arguments]
        return subprocess.run(
            command, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=LIMIT_S, check=False
        )

    def allow(self, **changed: str) -> None:
        """Rewrite lines of the allow-list."""
        lines = [line for line in ALLOW.strip().splitlines() if line.split(" = ")[0] not in changed]
        lines += [f"{key} = {value}" for key, value in changed.items()]
        (self.folder / "allow.toml").write_text("\n".join(lines))

    def ran(self, exit_code: int, output: str) -> Ran:
        """What a run that ended left behind."""
        journal = self.folder / "journal.json"
        return Ran(exit_code, json.loads(journal.read_text()) if journal.exists() else {}, output, self.timeline())


def _account() -> Mapping[str, str]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return {
        "type": "service_account",
        "project_id": PROJECT,
        "private_key_id": "throw-away",
        "private_key": key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        "client_email": f"chaos@{PROJECT}.iam.gserviceaccount.com",
        "client_id": "1",
        "token_uri": "https://oauth2.googleapis.com/token",
    }


def _kubeconfig(port: int, authority: Path) -> dict[str, Any]:
    cluster = {"server": f"https://127.0.0.1:{port}", "certificate-authority": str(authority)}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "fake",
        "clusters": [{"name": "fake", "cluster": cluster}],
        "users": [{"name": "fake", "user": {"token": "fake"}}],
        "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "fake"}}],
    }
