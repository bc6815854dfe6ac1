"""The shape of the tree holds: import contracts, small files, one concept a file."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("harness", "reference_service", "reports", "experiments", "scenarios")
GENERATED = ("_pb2.py", "_pb2_grpc.py")
SOURCES = [
    path for name in PACKAGES for path in sorted((ROOT / name).rglob("*.py")) if not path.name.endswith(GENERATED)
]


def test_the_import_contracts_hold() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout[-3000:]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_is_small_and_says_what_it_is_for_and_by_which_rule(path: Path) -> None:
    text = path.read_text()
    limit = 60 if path.parent.name == "gates" and path.name != "__init__.py" else 250
    assert text.count("\n") <= limit
    docstring = ast.get_docstring(ast.parse(text)) or ""
    assert docstring, "says nothing about itself"
    if path.name != "__init__.py" and path.parent.name not in {"gates", "scenarios"}:
        assert "Rule:" in docstring, "names no rule"


def test_nothing_is_named_helper_or_manager() -> None:
    assert not [path for path in SOURCES if any(word in path.stem for word in ("util", "helper", "manager", "common"))]


def test_only_the_command_lines_print_or_exit() -> None:
    allowed = {path for name in ("harness", "reference_service") for path in (ROOT / name / "cli").glob("*.py")}
    offenders = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in SOURCES
        if path not in allowed
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"print", "input", "exit"}
    ]
    assert not offenders
