"""Reads which fault a route of a load balancer's URL map injects.

Rule: see `experiments.probes.gcp`. That is the configuration; Google's proxies follow it later, which is not seen here.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from chaoslib.exceptions import ActivityFailed
from google.cloud import compute_v1

from experiments.cloud import calls, journal
from experiments.cloud.allow_list import address
from experiments.cloud.reading import COMPUTE, compute_client, finished, told

FAULT = "load_balancer_faults"
POLICY = "faultInjectionPolicy"
READING = "the URL map as it is read back"

Rule = dict[str, Any]


class Route(NamedTuple):
    """One rule of a URL map: of the path matcher `matcher`, the one that is written for exactly `path`."""

    project: str
    region: str
    url_map: str
    matcher: str
    path: str

    @property
    def scope(self) -> str:
        """The part of the address that says where it is: "global", or a region."""
        return "global" if self.region == "global" else f"regions/{self.region}"

    @property
    def map_path(self) -> str:
        """The URL map's address behind the interface's version."""
        return address("projects", self.project, *self.scope.split("/"), "urlMaps", self.url_map)


def rule_in(url_map: dict[str, Any], route: Route) -> Rule:
    """The rule in a URL map as REST writes it. Raises ActivityFailed unless exactly one is written for that path.

    No path is matched against patterns: which rule a request takes is Google's to say.
    """
    matchers = [one for one in url_map.get("pathMatchers", []) if one["name"] == route.matcher]
    found = [rule for one in matchers for rule in _rules(one) if route.path in _written_for(rule)]
    if len(found) != 1:
        raise ActivityFailed(
            f"{len(found)} rules of {route.map_path}, {route.matcher!r}, are for {route.path!r}, not one"
        )
    return found[0]


def policy_of(rule: Rule) -> dict[str, Any]:
    """The fault that a rule injects; {} when it injects none."""
    policy: dict[str, Any] = rule.get("routeAction", {}).get(POLICY, {})
    return policy


def no_fault_is_configured(project: str, *, url_map: str, region: str, matcher: str, path: str) -> bool:
    """Whether the route is there and injects none."""
    return not _policy(Route(project, region, url_map, matcher, path))


def errors_are_configured(
    project: str, *, url_map: str, region: str, matcher: str, path: str, limit_s: float = 120.0
) -> dict[str, Any]:
    """Wait until the route holds the fault that was meant; records `fault_in_place`."""
    route = Route(project, region, url_map, matcher, path)
    policy = journal.kept(FAULT, url_map, route.map_path)["policy"]
    journal.until(lambda: _policy(route) == policy, limit_s, f"{route.map_path} does not hold {policy}")
    return {"policy": policy, "seen_ns": journal.in_place(FAULT, url_map, READING, policy=policy)}


def errors_stay_configured(project: str, *, url_map: str, region: str, matcher: str, path: str) -> bool:
    """It still does; raises when something else changed the map."""
    route = Route(project, region, url_map, matcher, path)
    if _policy(route) != journal.kept(FAULT, url_map, route.map_path)["policy"] and not calls.dry_run():
        raise ActivityFailed(f"{route.map_path} no longer holds the fault")
    return True


def errors_are_removed(
    project: str, *, url_map: str, region: str, matcher: str, path: str, limit_s: float = 120.0
) -> dict[str, Any]:
    """Wait until the route holds no fault; records `fault_removed`."""
    route = Route(project, region, url_map, matcher, path)
    journal.kept(FAULT, url_map, route.map_path)
    return prove_removed(route, limit_s)


def prove_removed(route: Route, limit_s: float) -> dict[str, Any]:
    """The same. An operation on the map that is still under way could set it yet: none may be."""

    def is_removed() -> bool:
        return not _policy(route) and finished(route.map_path)

    journal.until(is_removed, limit_s, f"{route.map_path} still holds a fault, or is still changing")
    return {"url_map": route.map_path, "seen_ns": journal.gone(FAULT, route.url_map, route.map_path, READING)}


def _policy(route: Route) -> dict[str, Any]:
    calls.reading("GET", f"{COMPUTE}/{route.map_path}")
    where = {"project": route.project, "url_map": route.url_map}
    if route.region != "global":
        where["region"] = route.region
    kind = compute_v1.UrlMapsClient if route.region == "global" else compute_v1.RegionUrlMapsClient
    with told(route.map_path):
        held = compute_client(kind).get(timeout=calls.CALL_S, **where)
    plain = json.loads(compute_v1.UrlMap.to_json(held, always_print_fields_with_no_presence=False))
    return policy_of(rule_in(plain, route))


def _rules(matcher: dict[str, Any]) -> list[Rule]:
    return [*matcher.get("pathRules", []), *matcher.get("routeRules", [])]


def _written_for(rule: Rule) -> set[str]:
    """The paths, prefixes and expressions that a path rule or a route rule names."""
    keys = ("prefixMatch", "fullPathMatch", "regexMatch", "pathTemplateMatch")
    named = {match[key] for match in rule.get("matchRules", []) for key in keys if key in match}
    return {*rule.get("paths", []), *named}
