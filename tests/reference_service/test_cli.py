"""The command line: what it prints, what it writes, and exit code 2 for what the user can put right."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from reference_service.cli import group
from tests.reference_service.running import LIMIT_S, ROOT
from tests.reference_service.tiny_registry import write_tiny_version

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    write_tiny_version(tmp_path / "registry", "1")
    write_tiny_version(tmp_path / "registry", "2")
    return tmp_path / "registry"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(group, [str(item) for item in arguments])


def test_list_names_every_version(registry: Path) -> None:
    assert run("registry", "list", registry).output.splitlines() == ["tiny@1", "tiny@2"]


def test_verify_accepts_what_is_whole_and_exits_1_for_what_is_not(registry: Path) -> None:
    whole = run("registry", "verify", registry, "--allow-unsigned")
    assert whole.exit_code == 0
    assert [line.split()[:2] for line in whole.output.splitlines()] == [["ok", "tiny@1"], ["ok", "tiny@2"]]
    (registry / "tiny/2/model.onnx").write_bytes(b"another graph")
    broken = run("registry", "verify", registry, "--allow-unsigned")
    assert broken.exit_code == 1
    assert broken.output.splitlines()[0].startswith("ok      tiny@1")
    assert broken.output.splitlines()[1].startswith("broken  tiny@2")


def test_a_key_is_made_once_and_what_it_signs_verifies_until_a_file_changes(registry: Path, tmp_path: Path) -> None:
    private, trust = tmp_path / "release.pem", tmp_path / "trust.json"
    keygen = ("registry", "keygen", "--private", private, "--trust", trust, "--model", "tiny")
    made = run(*keygen)
    assert made.exit_code == 0, made.output
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    again = run(*keygen)
    assert (again.exit_code, f"{private} can't be written: File exists" in again.stderr) == (2, True)

    refused = run("registry", "verify", registry, "--trust", trust)
    assert (refused.exit_code, refused.output.count("it is unsigned")) == (1, 2)
    sign = ("registry", "sign", registry, "--key", f"file:{private}", "--expires", "2999-01-01")
    assert [line.split("(")[1].split(",")[0] for line in run(*sign).output.splitlines()] == ["counter 1", "counter 2"]
    assert run("registry", "verify", registry, "--trust", trust).exit_code == 0
    assert "counter 3" in run(*sign, "--version", "1").output
    used = run(*sign, "--version", "1", "--counter", 3)
    assert (used.exit_code, "is signed with counter 3 already" in used.stderr) == (2, True)
    (registry / "tiny/2/golden.npz").write_bytes(b"")
    broken = run("registry", "verify", registry, "--trust", trust)
    assert (broken.exit_code, broken.output.splitlines()[1].startswith("broken  tiny@2")) == (1, True)


def test_signing_takes_a_reference_and_never_shows_what_it_leads_to(
    registry: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("registry", "keygen", "--private", tmp_path / "key", "--trust", tmp_path / "trust", "--model", "tiny")
    secret = (tmp_path / "key").read_text()
    monkeypatch.setenv("SIGNING_KEY", secret)
    assert run("registry", "sign", registry, "--key", "env:SIGNING_KEY").exit_code == 0
    for reference in (secret, "file:/nowhere", "env:NOT_SET"):
        result = run("registry", "sign", registry, "--key", reference)
        assert (result.exit_code, result.stderr.startswith("Error: there is no signing key")) == (2, True)
        assert secret.splitlines()[1] not in result.output
    over = run("registry", "sign", registry, "--key", "env:SIGNING_KEY", "--expires", "2020-01-01")
    assert (over.exit_code, "which is over" in over.stderr) == (2, True)
    none = run("registry", "sign", registry, "--key", "env:SIGNING_KEY", "--model", "other")
    assert (none.exit_code, "holds no such version" in none.stderr) == (2, True)


def test_a_key_is_not_sent_in_the_clear_to_another_machine(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("gng_a_b")
    options = ("--key-reference", f"file:{tmp_path / 'key'}")
    result = run("models", "list", "--address", "192.0.2.1:9000", *options)
    assert (result.exit_code, "is not sent to 192.0.2.1:9000 in the clear" in result.stderr) == (2, True)
    assert "gng" not in result.stderr


@pytest.mark.parametrize("command", [["registry", "list", "nowhere"], ["registry", "verify", "nowhere"]])
def test_a_missing_registry_is_one_line_and_exit_code_2(command: list[str]) -> None:
    result = run(*command)
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: there is no registry at nowhere")
    assert len(result.stderr.splitlines()) == 1


def test_bench_writes_what_it_measured(registry: Path, tmp_path: Path) -> None:
    options = ["--registry", registry, "--model", "tiny", "--version", "2", "--seconds", 0.02]
    result = run("bench", *options, "--allow-unsigned", "--output", tmp_path / "bench.json")
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "bench.json").read_text())
    assert found["version"] == "2"
    assert result.output.startswith(f"{len(found['latencies_ns'])} calls timed")


def test_training_an_unknown_version_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    result = run("train", "--version", "99", "--output", tmp_path)
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: there is no recipe for version 99")
    assert not list(tmp_path.iterdir())


def test_training_without_its_extra_names_what_is_missing(tmp_path: Path) -> None:
    without = "import sys; sys.modules['sklearn'] = None; from reference_service.cli import main; main()"
    command = [sys.executable, "-c", without, "train", "--version", "1", "--output", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("Error: training needs sklearn")
    assert "extra `train`" in done.stderr
