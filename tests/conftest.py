"""What every test shares: in CI no test may be skipped for any reason but a missing GPU."""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING

import hypothesis
import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

hypothesis.settings.register_profile("suite", deadline=None)  # how fast it is, benchmarks say
hypothesis.settings.load_profile("suite")

ALLOWED_SKIP = "needs a GPU"

os.environ["LOCUST_SKIP_MONKEY_PATCH"] = "1"  # else whoever imports Locust patches the whole test process


os.environ["GONOGO_FAULTS"] = tempfile.mkdtemp(
    prefix="faults-"
)  # no test heals, or is healed by, whoever else works here


TIMED = (
    "tests/harness/load/",
    "tests/scenarios/",
    "tests/integration/",
    "tests/reference_service/http2/",
    "tests/reference_service/test_server.py",
)
"""Tests that time what they see, or load the machine."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what must not share the machine with other tests."""
    for item in items:
        if item.nodeid.startswith(TIMED):
            item.add_marker(pytest.mark.alone)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure in CI, so that a test nobody runs is seen."""
    report = yield
    if os.environ.get("CI") and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if ALLOWED_SKIP not in reason:
            report.outcome = "failed"
            report.longrepr = f"skipped in CI: {reason}"
    return report
