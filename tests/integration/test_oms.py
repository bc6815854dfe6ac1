"""Versions cross to OpenSSF's model signing and back, in an environment with its library; only whole ones do."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from reference_service.signing import new_key, private_pem
from tests.reference_service.running import LIMIT_S, ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

    Command = Callable[..., subprocess.CompletedProcess[str]]

PINS = ("model-signing", "pyOpenSSL")
MODELS, VERSION = ROOT / "reference_service" / "models", ("--model", "flight-delay", "--version", "1")


@pytest.fixture(scope="module")
def oms_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter that sees what this one sees, and has the extra `oms` besides."""
    environment = tmp_path_factory.mktemp("oms") / "environment"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True, timeout=120)
    python = environment / "bin" / "python"
    own = subprocess.check_output([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], text=True)
    (Path(own.strip()) / "parent.pth").write_text(sysconfig.get_path("purelib"))
    pip = [python, "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
    subprocess.run([*pip, "--constraint", ROOT / "constraints.txt", *PINS], check=True, timeout=240)
    return python


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A copy of the registry, a pair of curve keys, and an Ed25519 key."""
    shutil.copytree(MODELS, tmp_path / "models")
    curve = ec.generate_private_key(ec.SECP256R1())
    (tmp_path / "curve.key").write_bytes(curve.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public = curve.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "curve.pem").write_bytes(public)
    (tmp_path / "own.key").write_bytes(private_pem(new_key()))
    return tmp_path


def registry_command(python: Path, place: Path, name: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = [python, "-m", "reference_service.cli", "registry", name, place / "models", *VERSION]
    command += ["--bundle", place / "bundle", *options]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command, cwd=place, env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )


def test_without_the_extra_it_names_what_to_install(place: Path) -> None:
    without = "import sys; sys.modules['model_signing'] = None; from reference_service.cli import main; main()"
    options = [place / "models", *VERSION, "--bundle", place / "bundle", "--key", f"file:{place / 'curve.key'}"]
    command = [sys.executable, "-c", without, "registry", "export-oms", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert (done.returncode, done.stderr) == (
        2, "Error: this needs model_signing: install gonogo with the extra `oms`\n",
    )  # fmt: skip


@pytest.mark.long
def test_the_libraries_own_command_accepts_an_export_and_import_accepts_its_signatures(
    oms_python: Path, place: Path
) -> None:
    exported = registry_command(oms_python, place, "export-oms", "--key", "file:curve.key")
    assert exported.returncode == 0, exported.stderr
    folder = place / "models/flight-delay/1"
    tool = [oms_python, "-m", "model_signing", "verify", "key", folder, "--signature", place / "bundle"]
    subprocess.run([*tool, "--public_key", place / "curve.pem"], check=True, capture_output=True, timeout=LIMIT_S)

    importing = ("import-oms", "--public-key", "curve.pem", "--key", "file:own.key")
    golden = (folder / "golden.npz").read_bytes()
    (folder / "golden.npz").write_bytes(golden[:-1] + b"\1")
    assert registry_command(oms_python, place, *importing).returncode == 2
    (folder / "golden.npz").write_bytes(golden)
    imported = registry_command(oms_python, place, *importing)
    assert imported.stdout.startswith("imported flight-delay@1"), imported.stderr
    again = registry_command(oms_python, place, *importing)  # its own signature is not the one that was bundled
    assert (again.returncode, "does not vouch for flight-delay@1" in again.stderr) == (2, True)


@pytest.mark.long
def test_a_key_of_another_kind_and_a_bundle_in_the_folder_are_refused(oms_python: Path, place: Path) -> None:
    other = registry_command(oms_python, place, "export-oms", "--key", "file:own.key")
    assert (other.returncode, "an elliptic-curve key in PEM is needed" in other.stderr) == (2, True)
    inside = ("--key", "file:curve.key", "--bundle", str(place / "models/flight-delay/1/bundle"))
    done = registry_command(oms_python, place, "export-oms", *inside)
    assert (done.returncode, "name a file outside of it" in done.stderr) == (2, True)
