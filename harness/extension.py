"""What an experiment's file says of itself: whom it breaks, under which load, and what must hold meanwhile.

Rule: pure and strict. It is the entry "gonogo" among the file's `extensions`; a key that is missing or of another kind
is an error that names it, so that nothing about an experiment is guessed.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME = "gonogo"
STEADY, SPIKE = "steady", "spike"
LOAD_PHASES = {STEADY: ("load",), SPIKE: ("before", "peak", "after")}
"""The phases of each kind of load."""
LONGER_S_MAX = 120.0
"""An experiment that takes minutes is a drill."""
_VARIABLE = re.compile(r"\$\{(\w+)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Extension:
    """One file's word about itself.

    `subjects` are broken, each of them proven so; one at least, if only in name where nothing is done. `detects` says
    that the edge should stop sending to them. `expectations` name the probes whose "no" is the service's failure.
    `label` says how the fault is made and what that can't show. `longer_s`, which may be left out, is how much longer
    than a killed zone's restart the fault takes to be made and undone: the load goes on for so much longer.
    """

    fault: str
    subjects: tuple[str, ...]
    load: str
    detects: bool
    expectations: tuple[str, ...]
    label: str
    longer_s: float = 0.0

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> Self:
        """The extension in `entry`, whose variables are filled in. Raises ValueError naming the key that is wrong."""
        found = {name: _typed(entry, name, kind) for name, kind in _KINDS.items()}
        if found["load"] not in LOAD_PHASES:
            raise ValueError(f'load must be "{STEADY}" or "{SPIKE}", not {found["load"]!r}')
        if not found["subjects"]:
            raise ValueError("subjects must name what is broken, one at least")
        longer_s = entry.get("longer_s", 0)
        if isinstance(longer_s, bool) or not isinstance(longer_s, (int, float)) or not 0 <= longer_s <= LONGER_S_MAX:
            raise ValueError(f"longer_s must be a number from 0 to {LONGER_S_MAX:g}, not {longer_s!r}")
        return cls(**found, longer_s=float(longer_s))

    def facts(self) -> dict[str, Any]:
        """As JSON; `of` reads it back."""
        return {**asdict(self), "subjects": list(self.subjects), "expectations": list(self.expectations)}


def extension_of(document: Mapping[str, Any], environment: Mapping[str, str]) -> Extension:
    """What the experiment `document` says of itself, its variables as that environment sets them. Raises ValueError."""
    entries = [item for item in document.get("extensions", []) if item.get("name") == NAME]
    if len(entries) != 1:
        raise ValueError(f'it must have one entry "{NAME}" among its extensions, not {len(entries)}')
    configuration = document.get("configuration", {})
    filled = [_filled(item, configuration, environment) for item in _typed(entries[0], "subjects", list)]
    return Extension.of({**entries[0], "subjects": filled})


def _filled(text: str, configuration: Mapping[str, Any], environment: Mapping[str, str]) -> str:
    """`text` with each ${name} as Chaos Toolkit would read it from the configuration."""

    def value(match: re.Match[str]) -> str:
        entry = configuration.get(match[1])
        if isinstance(entry, dict) and entry.get("type") == "env":
            entry = environment.get(str(entry["key"]), entry.get("default"))
        if entry is None:
            raise ValueError(f"subjects: the configuration does not say what {match[0]} is")
        return str(entry)

    return _VARIABLE.sub(value, text)


_KINDS: dict[str, type] = {
    "fault": str,
    "subjects": list,
    "load": str,
    "detects": bool,
    "expectations": list,
    "label": str,
}


def _typed(entry: Mapping[str, Any], name: str, kind: type) -> Any:
    value = entry.get(name)
    if not isinstance(value, kind) or (kind is str and not value):
        raise ValueError(f"{name} must be a {kind.__name__}, not {value!r}")
    return tuple(str(item) for item in value) if isinstance(value, list) else value
