"""Says which resources of Google Cloud may be touched, and refuses all others.

Rule: without a file, nothing may be touched. A write wants an `Allowed`, and only a check here makes one: against the
resource's own labels, read just before, or, where the kind of resource has none, against its name.
"""

from __future__ import annotations

import os
import re
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import unquote, urlsplit

from chaoslib.exceptions import ActivityFailed

if TYPE_CHECKING:
    from collections.abc import Mapping

ALLOW_VARIABLE = "GONOGO_GCP_ALLOW"
"""Environment variable naming the allow-list, a TOML file."""
_SEGMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]*")
_LABEL = re.compile(r"(?P<key>[A-Za-z0-9](?:[A-Za-z0-9_./-]*[A-Za-z0-9])?)=(?P<value>[A-Za-z0-9_.-]+)")


class Refused(ActivityFailed):  # type: ignore[misc]  # chaoslib publishes no types
    """Something lies outside the allow-list, or there is none; nothing was written."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """A resource that may be written: `path` is its address behind the API's version ("projects/p/zones/z/…")."""

    path: str
    reason: str

    def covers(self, url: str) -> bool:
        """Whether a request to `url` acts on this resource, and on nothing beside it."""
        return f"{unquote(urlsplit(url).path)}/".split("/projects/", 1)[-1].startswith(
            f"{self.path.removeprefix('projects/')}/"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowList:
    """Projects and places (zones, regions, "global") that may be touched, and how a resource shows that it may.

    `label` is the "key=value" that every touched resource carries; `name_prefix` begins the names of those that have
    no labels (network endpoint groups, URL maps): without it, none of them may be touched.
    """

    projects: tuple[str, ...]
    zones: tuple[str, ...]
    label: str
    regions: tuple[str, ...] = ()
    name_prefix: str = ""

    @classmethod
    def of(cls, table: Mapping[str, Any], where: str) -> Self:
        """The allow-list in a TOML table. Raises Refused, naming the key."""
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(table) - known):
            raise Refused(f"{where}: unknown key {unknown[0]!r}; there are {', '.join(sorted(known))}")
        for key in ("projects", "zones", "regions"):
            names = table.get(key, [] if key == "regions" else None)
            if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
                raise Refused(f"{where}: {key} must be a list of names")
        label = table.get("label")
        if not isinstance(label, str) or not _LABEL.fullmatch(label):
            raise Refused(f'{where}: label must be "key=value", which every touched resource carries')
        prefix = table.get("name_prefix", "")
        if not isinstance(prefix, str):
            raise Refused(f"{where}: name_prefix must be text")
        lists = {key: tuple(table.get(key, ())) for key in ("projects", "zones", "regions")}
        return cls(**lists, label=label, name_prefix=prefix)

    def place(self, path: str, *places: str) -> None:
        """The project in `path` and each of `places` must be listed. Raises Refused."""
        project = address(*path.split("/")).split("/")[1]
        if project not in self.projects:
            raise Refused(f"{path}: project {project!r} is not on the allow-list")
        for place in places:
            if not place or place not in (*self.zones, *self.regions):
                raise Refused(f"{path}: {place or 'a place without name'} is not on the allow-list")

    def by_label(self, path: str, labels: Mapping[str, str], *places: str) -> Allowed:
        """A resource that carries the label, in listed places. Raises Refused."""
        self.place(path, *places)
        key, _, value = self.label.partition("=")
        if labels.get(key) != value:
            raise Refused(f"{path} does not carry the label {self.label}: it may not be touched")
        return Allowed(path, f"label {self.label}")

    def by_name(self, path: str, *places: str) -> Allowed:
        """A resource of a kind that has no labels, whose name begins as the allow-list says. Raises Refused."""
        self.place(path, *places)
        name = path.rpartition("/")[2]
        if not self.name_prefix or not name.startswith(self.name_prefix):
            raise Refused(f"{path} has no labels, and its name does not begin with name_prefix {self.name_prefix!r}")
        return Allowed(path, f"name prefix {self.name_prefix}")


def address(*segments: str) -> str:
    """The address of a resource, of these segments. Raises Refused for a name that is empty or could mean another."""
    if not all(_SEGMENT.fullmatch(segment) for segment in segments):
        raise Refused(
            f"{'/'.join(segments)!r} is no resource: a name in it is empty or odd (set GONOGO_ZONE, GONOGO_GCP_…)"
        )
    return "/".join(segments)


def allow_list() -> AllowList:
    """The allow-list that the environment names, read anew. Raises Refused when there is none, or it makes no sense."""
    named = os.environ.get(ALLOW_VARIABLE)
    if not named:
        raise Refused(f"no allow-list: name one in {ALLOW_VARIABLE}; without it nothing on Google Cloud is touched")
    try:
        table = tomllib.loads(Path(named).read_text())
    except (OSError, ValueError) as error:
        raise Refused(f"the allow-list {named} can't be read: {error}") from error
    return AllowList.of(table, named)
