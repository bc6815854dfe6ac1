"""The labelled instances of a zone are suspended and resumed by the right calls; contract against a fake."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.experiments.gcp.fake_compute import Compute
from tests.experiments.gcp.running import PROJECT, ZONE

if TYPE_CHECKING:
    from tests.experiments.gcp.fake import FakeCloud
    from tests.experiments.gcp.running import Runner

NAME = "vm_zone_freeze"
PATH = f"projects/{PROJECT}/zones/{ZONE}/instances"
ALLOWED, OTHER = ("vm-1", "vm-2"), "vm-of-somebody-else"


@pytest.fixture
def compute(cloud: FakeCloud) -> Compute:
    fake = Compute(cloud)
    for name in (*ALLOWED, OTHER):
        labels = {"chaos": "allowed" if name in ALLOWED else "never"}
        fake.machines[f"{PATH}/{name}"] = {"name": name, "status": "RUNNING", "labels": labels}
    return fake


def _written(cloud: FakeCloud) -> list[str]:
    return [call.url.partition("/instances/")[2] for call in cloud.writes()]


def test_labelled_instances_and_no_others_are_suspended_and_resumed(
    compute: Compute, cloud: FakeCloud, runner: Runner
) -> None:
    ran = runner.chaos(NAME)
    assert set(ran.statuses()) == {"succeeded"}, ran.output
    assert _written(cloud) == ["vm-1/suspend", "vm-2/suspend", "vm-1/resume", "vm-2/resume"]
    assert {machine["status"] for machine in compute.machines.values()} == {"RUNNING"}
    assert ran.events() == ["fault_requested", "fault_in_place", "fault_removal_requested", "fault_removed"]
    assert not runner.open_faults()
