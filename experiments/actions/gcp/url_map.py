"""Lets a load balancer answer a share of one route's requests with an error, and stops it.

Rule: see `experiments.actions.gcp`. URL maps have no labels: they are checked by the beginning of their name. A map is
written whole with the fingerprint that was read, so a change by somebody else in between is refused.
"""

from __future__ import annotations

from typing import Any

from chaoslib.exceptions import ActivityFailed

from experiments.cloud import calls, journal, operations
from experiments.cloud.allow_list import allow_list
from experiments.probes.gcp.url_map import FAULT, POLICY, Route, policy_of, prove_removed, rule_in


def inject_errors(
    project: str,
    *,
    url_map: str,
    region: str,
    matcher: str,
    path: str,
    http_status: int = 503,
    percentage: float = 10.0,
    limit_s: float = 120.0,
) -> dict[str, Any]:
    """Answer `percentage` of the route's requests with `http_status` (200 to 599) in the load balancer."""
    if not 0 < percentage <= 100 or not 200 <= http_status <= 599:  # noqa: PLR2004 - the interface's own bounds
        raise ActivityFailed(
            f"{percentage} % of {http_status}: want above 0 and up to 100 %, and a status of 200 to 599"
        )
    route = Route(project, region, url_map, matcher, path)
    allow_list().by_name(route.map_path, region)
    if held := policy_of(rule_in(_described(route), route)):
        raise ActivityFailed(f"{route.map_path} injects a fault already, {held}: it is somebody else's")
    policy = {"abort": {"httpStatus": http_status, "percentage": float(percentage)}}
    undo = {"project": project, "url_map": url_map, "region": region, "matcher": matcher, "path": path}
    requested_ns = journal.request(
        FAULT, url_map, route.map_path, restore_route, **undo, policy=policy, limit_s=limit_s
    )
    _set(route, policy, limit_s)
    return {"policy": policy, "requested_ns": requested_ns}


def remove_errors(
    project: str, *, url_map: str, region: str, matcher: str, path: str, limit_s: float = 120.0
) -> dict[str, Any]:
    """Take out of the route the fault that was put there."""
    route = Route(project, region, url_map, matcher, path)
    return {"removed": _remove(route, journal.kept(FAULT, url_map, route.map_path)["policy"], limit_s)}


def restore_route(
    project: str, *, url_map: str, region: str, matcher: str, path: str, policy: dict[str, Any], limit_s: float = 120.0
) -> dict[str, Any]:
    """The undo of `inject_errors`: take `policy` out of the route, and see that it holds none."""
    route = Route(project, region, url_map, matcher, path)
    return {"removed": _remove(route, policy, limit_s)} | prove_removed(route, limit_s)


def _remove(route: Route, policy: dict[str, Any], limit_s: float) -> bool:
    held = policy if calls.dry_run() else policy_of(rule_in(_described(route), route))
    if held and held != policy:
        raise ActivityFailed(f"{route.map_path} holds another fault than ours, {held}: it is left alone")
    if held:
        journal.removing(FAULT, route.url_map)
        _set(route, {}, limit_s)
    return bool(held)


def _set(route: Route, policy: dict[str, Any], limit_s: float) -> None:
    """Write the map with that policy in the route, or with none."""
    described = _described(route)
    action = rule_in(described, route).setdefault("routeAction", {})
    action.pop(POLICY, None)
    if policy:
        action[POLICY] = policy
    elif not action:
        del rule_in(described, route)["routeAction"]
    allowed = allow_list().by_name(route.map_path, route.region)
    request = _maps(route).update(**_where(route), body=described)
    operations.finish_compute([calls.write(request, allowed)], route.project, limit_s)


def _described(route: Route) -> dict[str, Any]:
    return calls.read(_maps(route).get(**_where(route)))


def _maps(route: Route) -> Any:
    compute = calls.service("compute", "v1")
    return compute.urlMaps() if route.region == "global" else compute.regionUrlMaps()


def _where(route: Route) -> dict[str, str]:
    region = {} if route.region == "global" else {"region": route.region}
    return {"project": route.project, "urlMap": route.url_map} | region
