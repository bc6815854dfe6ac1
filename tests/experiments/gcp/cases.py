"""One case for each experiment file: a healthy project in the fake, and what to know of it to break the run of it.

Rule: a case says what is true of its resource; the tests say what must follow.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.experiments.gcp.fake_compute import Compute
from tests.experiments.gcp.fake_kubernetes import Kubernetes
from tests.experiments.gcp.fake_sql import Sql
from tests.experiments.gcp.running import PROJECT, REGION, ZONE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.experiments.gcp.fake import FakeCloud
    from tests.experiments.gcp.running import Runner

OTHER_ZONE = "europe-west1-c"
NEG = f"projects/{PROJECT}/zones/{ZONE}/networkEndpointGroups/chaos-neg"
ENDPOINTS: list[dict[str, Any]] = [
    {"instance": "vm-2", "ipAddress": "10.0.0.2", "port": 9000, "annotations": {"pod": "a"}},
    {"instance": "vm-1", "ipAddress": "10.0.0.1", "port": 9000},
]
MACHINES = f"projects/{PROJECT}/zones/{ZONE}/instances"
LABELLED, UNLABELLED = ("vm-1", "vm-2"), "vm-of-somebody-else"
NODES = ("node-1", "node-2")
SERVICE = f"projects/{PROJECT}/locations/{REGION}/services/model"
INSTANCE = f"{PROJECT}/features"
URL_MAP = f"projects/{PROJECT}/global/urlMaps/chaos-map"
BACKEND = f"https://www.googleapis.com/compute/v1/projects/{PROJECT}/global/backendServices/model"
MAP: dict[str, Any] = {
    "name": "chaos-map",
    "fingerprint": "aa==",
    "defaultService": BACKEND,
    "hostRules": [{"hosts": ["*"], "pathMatcher": "all"}],
    "pathMatchers": [
        {
            "name": "all",
            "defaultService": BACKEND,
            "pathRules": [{"paths": ["/other"], "service": BACKEND}, {"paths": ["/infer"], "service": BACKEND}],
        }
    ],
}


@dataclass
class Case:
    """`state` is the fake's part; `is_healthy` reads it, past every client; `disown` takes it off the allow-list.

    `verb` is the operation that makes the fault (none in Kubernetes), `denied` a part of the URL of the first write.
    """

    name: str
    state: Any
    is_healthy: Callable[[], bool]
    disown: Callable[[], None]
    verb: str
    denied: str


def zone_out_of_load_balancer(cloud: FakeCloud, runner: Runner) -> Case:
    runner.variables["GONOGO_GCP_NEG"] = "chaos-neg"
    compute = Compute(cloud)
    compute.groups[NEG] = copy.deepcopy(ENDPOINTS)

    def disown() -> None:
        compute.groups[NEG.replace("chaos-neg", "neg")] = compute.groups[NEG]
        runner.variables["GONOGO_GCP_NEG"] = "neg"

    def address(endpoint: dict[str, Any]) -> str:
        return str(endpoint["ipAddress"])

    def is_healthy() -> bool:
        return sorted(compute.groups[NEG], key=address) == sorted(ENDPOINTS, key=address)

    return Case("zone_out_of_load_balancer", compute, is_healthy, disown, "detachNetworkEndpoints", "/detach")


def vm_zone_freeze(cloud: FakeCloud, _runner: Runner) -> Case:
    compute = Compute(cloud)
    for name in (*LABELLED, UNLABELLED):
        labels = {"chaos": "allowed" if name in LABELLED else "never"}
        compute.machines[f"{MACHINES}/{name}"] = {"name": name, "status": "RUNNING", "labels": labels}

    def disown() -> None:
        for machine in compute.machines.values():
            machine["labels"] = {}

    def is_healthy() -> bool:
        return {machine["status"] for machine in compute.machines.values()} == {"RUNNING"}

    return Case("vm_zone_freeze", compute, is_healthy, disown, "suspend", "/suspend")


def gke_zone_drain(cloud: FakeCloud, _runner: Runner) -> Case:
    cluster = Kubernetes(cloud)
    for node in NODES:
        cluster.add_node(node, PROJECT, ZONE, chaos="allowed")
        cluster.add_pod(f"model-on-{node}", node)
        cluster.add_pod(f"agent-on-{node}", node, owner="DaemonSet")
    cluster.add_node("elsewhere", PROJECT, OTHER_ZONE, chaos="allowed")
    cluster.add_pod("model-elsewhere", "elsewhere")

    def disown() -> None:
        cluster.nodes["node-2"]["metadata"]["labels"]["chaos"] = "never"

    def is_healthy() -> bool:
        return not any(node["spec"].get("unschedulable") for node in cluster.nodes.values())

    return Case("gke_zone_drain", cluster, is_healthy, disown, "", "/nodes/")


def cloud_run_rollback(cloud: FakeCloud, runner: Runner) -> Case:
    from tests.experiments.gcp.fake_run import LATEST, Run

    runner.variables["GONOGO_GCP_SERVICE"] = "model"
    run = Run(cloud, SERVICE)
    return Case("cloud_run_rollback", run, lambda: run.traffic == [LATEST], run.labels.clear, "patch", SERVICE)


def cloud_sql_failover(cloud: FakeCloud, runner: Runner) -> Case:
    runner.variables["GONOGO_GCP_SQL_INSTANCE"] = "features"
    sql = Sql(cloud)
    labels = {"chaos": "allowed"}
    sql.instances[INSTANCE] = {
        "state": "RUNNABLE",
        "gceZone": ZONE,
        "secondaryGceZone": OTHER_ZONE,
        "settings": {"availabilityType": "REGIONAL", "settingsVersion": "7", "userLabels": labels},
    }
    return Case(
        "cloud_sql_failover",
        sql,
        lambda: sql.instances[INSTANCE]["gceZone"] == ZONE,
        labels.clear,
        "failover",
        "/failover",
    )


def load_balancer_faults(cloud: FakeCloud, runner: Runner) -> Case:
    runner.variables |= {
        "GONOGO_GCP_URL_MAP": "chaos-map",
        "GONOGO_GCP_REGION": "global",
        "GONOGO_GCP_PATH_MATCHER": "all",
        "GONOGO_GCP_PATH": "/infer",
    }
    compute = Compute(cloud)
    compute.maps[URL_MAP] = copy.deepcopy(MAP)

    def is_healthy() -> bool:
        return {**compute.maps[URL_MAP], "fingerprint": ""} == {**MAP, "fingerprint": ""}

    def disown() -> None:
        runner.allow(name_prefix='"other-"')

    return Case("load_balancer_faults", compute, is_healthy, disown, "updateUrlMap", "/urlMaps/")


CASES = (
    zone_out_of_load_balancer,
    vm_zone_freeze,
    gke_zone_drain,
    cloud_run_rollback,
    cloud_sql_failover,
    load_balancer_faults,
)
