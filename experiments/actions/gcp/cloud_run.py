"""Sends a Cloud Run service's traffic to its previous revision, and splits it again as it was.

Rule: see `experiments.actions.gcp`. Only the split is written (`updateMask=traffic`): nothing else of the service can
change, and a change by somebody else in between is refused by the etag.
"""

from __future__ import annotations

from typing import Any

from experiments.cloud import calls, journal, operations
from experiments.cloud.allow_list import allow_list
from experiments.probes.gcp.cloud_run import FAULT, Service, previous_revision, prove_back, split_of


def send_to_revision(
    project: str, region: str, service: str, revision: str = "", limit_s: float = 120.0
) -> dict[str, Any]:
    """Send all traffic to `revision`; without one, to the newest ready one that is older than the one that serves."""
    one = Service(project, region, service)
    before = _described(one)
    allow_list().by_label(one.path, before.get("labels", {}), region)
    chosen, traffic = revision or previous_revision(one), before.get("traffic", [])
    undo = {"project": project, "region": region, "service": service, "limit_s": limit_s}
    kept = {"traffic": traffic, "revision": chosen}
    requested_ns = journal.request(FAULT, service, one.path, restore_traffic, **undo, **kept)
    to = {"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", "revision": chosen, "percent": 100}
    tagged = [{**target, "percent": 0} for target in traffic if target.get("tag")]  # their own addresses stay
    _split(one, [to, *tagged], limit_s)
    return {"revision": chosen, "before": split_of(traffic), "requested_ns": requested_ns}


def send_back(project: str, region: str, service: str, limit_s: float = 120.0) -> dict[str, Any]:
    """Split the traffic as it was, if it is not."""
    one = Service(project, region, service)
    return {"changed": _restore(one, journal.kept(FAULT, service, one.path)["traffic"], limit_s)}


def restore_traffic(
    project: str, region: str, service: str, *, traffic: list[dict[str, Any]], revision: str, limit_s: float = 120.0
) -> dict[str, Any]:
    """The undo of `send_to_revision`: split traffic as `traffic` says, and see that it is. `revision` was the other."""
    del revision
    one = Service(project, region, service)
    return {"changed": _restore(one, traffic, limit_s)} | prove_back(one, traffic, limit_s)


def _restore(service: Service, traffic: list[dict[str, Any]], limit_s: float) -> bool:
    if not calls.dry_run() and split_of(_described(service).get("traffic", [])) == split_of(traffic):
        return False
    journal.removing(FAULT, service.service)
    _split(service, traffic, limit_s)
    return True


def _split(service: Service, traffic: list[dict[str, Any]], limit_s: float) -> None:
    described = _described(service)
    allowed = allow_list().by_label(service.path, described.get("labels", {}), service.region)
    body = {"traffic": traffic, "etag": described.get("etag", "")}
    request = _services().patch(name=service.path, updateMask="traffic", body=body)
    operations.finish_run(calls.write(request, allowed), limit_s)


def _described(service: Service) -> dict[str, Any]:
    return calls.read(_services().get(name=service.path))


def _services() -> Any:
    return calls.service("run", "v2").projects().locations().services()
