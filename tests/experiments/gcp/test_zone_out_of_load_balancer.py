"""The zone's endpoints go and come back by the right calls, whatever the operations do; contract against a fake."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.experiments.gcp.fake_compute import Compute
from tests.experiments.gcp.running import PROJECT, ZONE

if TYPE_CHECKING:
    from tests.experiments.gcp.fake import Call, FakeCloud
    from tests.experiments.gcp.running import Runner

NAME = "zone_out_of_load_balancer"
NEG = "chaos-neg"
PATH = f"projects/{PROJECT}/zones/{ZONE}/networkEndpointGroups/{NEG}"
URL = f"compute.googleapis.com/compute/v1/{PATH}"
ENDPOINTS: list[dict[str, Any]] = [
    {"instance": "vm-2", "ipAddress": "10.0.0.2", "port": 9000, "annotations": {"pod": "a"}},
    {"instance": "vm-1", "ipAddress": "10.0.0.1", "port": 9000},
]


@pytest.fixture
def compute(cloud: FakeCloud, runner: Runner) -> Compute:
    runner.variables["GONOGO_GCP_NEG"] = NEG
    fake = Compute(cloud)
    fake.groups[PATH] = [dict(endpoint) for endpoint in ENDPOINTS]
    fake.groups[PATH.replace(NEG, "chaos-other")] = [{"instance": "vm-9", "port": 1}]
    return fake


def _verbs(calls: list[Call]) -> list[str]:
    return [call.url.removeprefix(URL + "/") for call in calls]


def _held(compute: Compute) -> list[dict[str, Any]]:
    return sorted(compute.groups[PATH], key=str)


def test_every_endpoint_is_taken_and_the_same_ones_come_back(
    compute: Compute, cloud: FakeCloud, runner: Runner
) -> None:
    ran = runner.chaos(NAME)
    assert set(ran.statuses()) == {"succeeded"}, ran.output
    detach, attach = cloud.writes()
    assert _verbs([detach, attach]) == ["detachNetworkEndpoints", "attachNetworkEndpoints"]
    assert detach.body == attach.body == {"networkEndpoints": ENDPOINTS}
    assert _held(compute) == sorted(ENDPOINTS, key=str)
    assert ran.events() == ["fault_requested", "fault_in_place", "fault_removal_requested", "fault_removed"]
    assert not runner.open_faults()
