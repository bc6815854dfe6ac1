"""Reads how a Cloud Run service splits its traffic: as it is configured, and as it is.

Rule: see `experiments.probes.gcp`. Read over gRPC, where the action writes over REST; `traffic_statuses` is what Cloud
Run says that it does, not only what it was told.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from chaosgcp.cloudrun.probes import get_service, list_service_revisions
from chaoslib.exceptions import ActivityFailed

from experiments.cloud import calls, journal
from experiments.cloud.allow_list import address
from experiments.cloud.reading import told

FAULT = "cloud_run_rollback"
LATEST = "(the latest)"
SUCCEEDED = 4
"""google.cloud.run.v2.Condition.State.CONDITION_SUCCEEDED."""
LATEST_TYPE = (1, "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST")
"""google.cloud.run.v2.TrafficTargetAllocationType, as gRPC and as REST write it."""

Split = dict[str, int]
"""The share of traffic, in percent, by revision, or by LATEST; shares of nothing are left out."""


class Service(NamedTuple):
    """A Cloud Run service."""

    project: str
    region: str
    service: str

    @property
    def path(self) -> str:
        """Its address behind the interface's version."""
        return address("projects", self.project, "locations", self.region, "services", self.service)


def split_of(targets: list[dict[str, Any]]) -> Split:
    """The split in a list of targets, as gRPC ("type_") or REST ("type") write it; an empty list means the latest."""
    split: Split = {}
    for target in targets:
        kind = target.get("type_", target.get("type"))
        name = LATEST if kind in LATEST_TYPE else target["revision"]
        split[name] = split.get(name, 0) + int(target.get("percent", 0))
    return {name: percent for name, percent in split.items() if percent} if targets else {LATEST: 100}


def previous_revision(service: Service) -> str:
    """The newest ready revision that is older than the one with most traffic. Raises ActivityFailed when none is."""
    now = _observed(_service(service))
    serving = max(now, key=lambda name: now[name], default="")
    calls.reading("RPC", "google.cloud.run.v2.Revisions/ListRevisions", {"parent": service.path})
    with told(service.path):
        revisions = list_service_revisions(service.path)
    made = {_last(one["name"]): str(one["create_time"]) for one in revisions if _is_ready(one)}
    older = [name for name, when in made.items() if when < made.get(serving, "")]
    if not older:
        raise ActivityFailed(f"{service.path} has no ready revision older than {serving or 'the one that serves'}")
    return max(older, key=lambda name: made[name])


def traffic_is_settled(project: str, region: str, service: str) -> bool:
    """Whether the service is ready and splits its traffic as it is configured to."""
    described = _service(Service(project, region, service))
    return described["terminal_condition"]["state"] == SUCCEEDED and _is_settled(described)


def revision_has_all_traffic(project: str, region: str, service: str, limit_s: float = 120.0) -> dict[str, Any]:
    """Wait until the revision that was chosen gets all traffic; records `fault_in_place`."""
    one = Service(project, region, service)
    revision = journal.kept(FAULT, service, one.path)["revision"]
    journal.until(lambda: _all_goes_to(one, revision), limit_s, f"{one.path} does not send all to {revision}")
    return {"revision": revision, "seen_ns": journal.in_place(FAULT, service, "observed traffic", revision=revision)}


def revision_keeps_all_traffic(project: str, region: str, service: str) -> bool:
    """It still does; raises when something else changed the split."""
    one = Service(project, region, service)
    revision = journal.kept(FAULT, service, one.path)["revision"]
    if not _all_goes_to(one, revision) and not calls.dry_run():
        raise ActivityFailed(f"{one.path} no longer sends all to {revision}")
    return True


def traffic_is_back(project: str, region: str, service: str, limit_s: float = 120.0) -> dict[str, Any]:
    """Wait until traffic is split as it was; records `fault_removed`."""
    one = Service(project, region, service)
    return prove_back(one, journal.kept(FAULT, service, one.path)["traffic"], limit_s)


def prove_back(service: Service, traffic: list[dict[str, Any]], limit_s: float) -> dict[str, Any]:
    """The same, told how."""
    wanted = split_of(traffic)

    def is_back() -> bool:
        described = _service(service)
        return split_of(described["traffic"]) == wanted and _is_settled(described)

    journal.until(is_back, limit_s, f"{service.path} does not split its traffic as before, {wanted}")
    seen_ns = journal.gone(FAULT, service.service, service.path, "observed traffic", split=wanted)
    return {"split": wanted, "seen_ns": seen_ns}


def _service(service: Service) -> dict[str, Any]:
    calls.reading("RPC", "google.cloud.run.v2.Services/GetService", {"name": service.path})
    with told(service.path):
        described: dict[str, Any] = get_service(service.path)
    return described


def _all_goes_to(service: Service, revision: str) -> bool:
    described = _service(service)
    return not described["reconciling"] and _observed(described) == {revision: 100}


def _is_settled(described: dict[str, Any]) -> bool:
    configured = split_of(described["traffic"])
    latest = _last(described["latest_ready_revision"])
    resolved: Split = {}
    for name, percent in configured.items():
        key = latest if name == LATEST else name
        resolved[key] = resolved.get(key, 0) + percent
    return not described["reconciling"] and _observed(described) == resolved


def _observed(described: dict[str, Any]) -> Split:
    latest = _last(described["latest_ready_revision"])
    observed: Split = {}
    for target in described["traffic_statuses"]:
        name = target["revision"] or latest
        observed[name] = observed.get(name, 0) + int(target["percent"])
    return {name: percent for name, percent in observed.items() if percent}


def _is_ready(revision: dict[str, Any]) -> bool:
    return any(one["type_"] == "Ready" and one["state"] == SUCCEEDED for one in revision["conditions"])


def _last(path: str) -> str:
    return path.rpartition("/")[2]
