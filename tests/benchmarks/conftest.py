"""What the benchmarks share: claims, a table of them at the end, and a JSON file that says nothing of who measured.

Rule: what is kept names the kind of machine (processor, cores, Python), never the host, its user or its folders.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.benchmarks.claims import Claims, table

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

KEPT_COMMIT_FACTS = ("id", "time", "dirty")


@pytest.fixture
def claims(benchmark: BenchmarkFixture, request: pytest.FixtureRequest) -> Claims:
    """Records what this benchmark claims."""
    plugins = request.config.pluginmanager
    terminal, capture = plugins.get_plugin("terminalreporter"), plugins.get_plugin("capturemanager")

    def write(line: str) -> None:
        with capture.global_and_fixture_disabled():
            terminal.ensure_newline()
            terminal.write_line(line)

    return Claims(benchmark, write)


def pytest_benchmark_update_machine_info(machine_info: dict[str, Any]) -> None:
    """Drop the host's name."""
    machine_info.pop("node", None)


def pytest_benchmark_update_commit_info(commit_info: dict[str, Any]) -> None:
    """Keep of the commit what does not depend on where it was checked out."""
    for name in commit_info.keys() - set(KEPT_COMMIT_FACTS):
        del commit_info[name]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print every claim that was measured."""
    session = getattr(config, "_benchmarksession", None)
    measured = [(bench.name, bench.extra_info) for bench in session.benchmarks] if session else []
    lines = table(measured)
    if lines:
        terminalreporter.section("claims")
    for line in lines:
        terminalreporter.write_line(line)
