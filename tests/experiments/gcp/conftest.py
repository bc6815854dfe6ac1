"""A fake Google Cloud for each test, and a place to run one experiment in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.fleet.certificates import Authority
from tests.experiments.gcp.fake import FakeCloud
from tests.experiments.gcp.running import Runner

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[FakeCloud]:
    fake = FakeCloud(Authority(tmp_path).server("*.googleapis.com"))
    yield fake
    fake.close()
    assert not fake.front.strangers, "a call went to somebody else than Google"


@pytest.fixture
def runner(cloud: FakeCloud, tmp_path: Path) -> Runner:
    return Runner(cloud, tmp_path / "ca.pem", tmp_path)
