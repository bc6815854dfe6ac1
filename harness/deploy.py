"""Renders the Kubernetes manifests that drive one scenario by a Locust master and many workers.

Rule: pure; the template loader is the only access to files. Every parameter is checked, and every value that a template
prints is printed as JSON, which is YAML too: no text can become structure.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

WORKERS_MAX = 1000
_DNS_LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
_LABEL_VALUE = r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_LABEL_KEY = rf"([a-z0-9]([-a-z0-9.]{{0,251}}[a-z0-9])?/)?{_LABEL_VALUE}"
_FORMS = {
    "name": (r"[a-z]([-a-z0-9]{0,48}[a-z0-9])?", "at most 50 lower-case letters, digits and dashes"),
    "namespace": (_DNS_LABEL, "a namespace's name"),
    "image": (r"[a-z0-9][\w.:/@-]{0,510}", "an image with its tag or digest, like registry.example/gonogo:1.2"),
    "scenario": (r"[a-z][a-z0-9_]*", "the name of a file in scenarios/, without .py"),
    "target": (r"[!-~]+", "HOST:PORT or an address, without spaces"),
    "cpu": (r"0*[1-9]\d*m?|\d+\.\d*[1-9]", "cores, like 2 or 500m"),
    "memory": (r"[1-9]\d*[KMG]i", "an amount of memory, like 1Gi"),
    "secret": (rf"({_DNS_LABEL})?", "a Secret's name"),
    "ledger_claim": (rf"({_DNS_LABEL})?", "a PersistentVolumeClaim's name"),
}
"""What each text must match as a whole, in ASCII, and how to say that."""
_OPTION = r"[a-z][a-z0-9]*(-[a-z0-9]+)*"
_OWN_OPTIONS = (
    *("autoquit", "autostart", "config", "expect-workers", "expect-workers-max-wait", "headless", "host", "ledger"),
    *("locustfile", "master", "master-bind-host", "master-bind-port", "master-host", "master-port", "processes"),
    *("web-host", "web-port", "worker"),
)
"""Options of Locust that the manifests set or rely on; Locust takes any unambiguous beginning for the whole name."""


class DeploymentError(Exception):
    """A parameter that can't be deployed; the text names it and says what it must be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """What to run, where, by how many workers. Raises DeploymentError.

    `options` are the scenario's own, by name without dashes. `cpu` and `memory` are for each container. `deadline_s`
    is when the cluster ends everything, fetching the ledger included. `secret` names a Secret whose key `api-key`
    becomes the workers' variable API_KEY. `ledger_claim` names a volume claim for the ledger instead of the pod's own
    folder. Workers keep away from every node that runs a pod labelled `away_from`.
    """

    image: str
    scenario: str
    target: str
    workers: int
    options: Mapping[str, str] = field(default_factory=dict)
    name: str = "gonogo-load"
    namespace: str = "default"
    cpu: str = "1"
    memory: str = "1Gi"
    deadline_s: int = 3600
    secret: str = ""
    ledger_claim: str = ""
    away_from: Mapping[str, str] = field(default_factory=dict)
    web_ui: bool = False

    def __post_init__(self) -> None:
        for name, (form, meaning) in _FORMS.items():
            _require(_matches(form, getattr(self, name)), name, getattr(self, name), meaning)
        _require(1 <= self.workers <= WORKERS_MAX, "workers", self.workers, f"from 1 to {WORKERS_MAX}")
        _require(self.deadline_s >= 1, "deadline_s", self.deadline_s, "at least 1 second")
        for name, value in self.options.items():
            own = any(option.startswith(name) for option in _OWN_OPTIONS)
            _require(_matches(_OPTION, name), "option", name, "a name like step-duration, without its dashes")
            _require(not own, "option", name, "one of the scenario's own: the manifests set this one")
            _require(value.isprintable(), f"option {name}", value, "printable, in one line")
        for key, value in self.away_from.items():
            valid = _matches(_LABEL_KEY, key) and _matches(_LABEL_VALUE, value)
            _require(valid, "away_from", f"{key}={value}", "a pod's label, like app=my-model")


def manifests(deployment: Deployment) -> str:
    """A Service, a ConfigMap and two Jobs as one YAML stream."""
    name = deployment.name
    return (
        _templates()
        .get_template("load.yaml.jinja")
        .render(
            {item: getattr(deployment, item) for item in Deployment.__slots__}
            | {
                "master": f"{name}-master",
                "worker": f"{name}-worker",
                "settings": f"{name}-settings",
                "labels": {role: _labels(name, role) for role in ("master", "worker")},
                "locustfile": f"/app/scenarios/{deployment.scenario}.py",
                "ledger": f"/ledger/{deployment.scenario}.arrow",
                "options": [_option(*item) for item in sorted(deployment.options.items())],
                "away_from": dict(deployment.away_from),
            }
        )
    )


def pairs(texts: Iterable[str]) -> dict[str, str]:
    """NAME=VALUE texts by name; the first "=" divides. Raises DeploymentError for one without it, or given twice."""
    found: dict[str, str] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        _require(bool(sign), "a pair", text, "NAME=VALUE")
        _require(name not in found, "a pair", text, f"the only one for {name}")
        found[name] = value
    return found


def _labels(name: str, role: str) -> dict[str, str]:
    prefix = "app.kubernetes.io"
    return {f"{prefix}/name": "gonogo-load", f"{prefix}/instance": name, f"{prefix}/component": role}


def _option(name: str, value: str) -> dict[str, str]:
    """An option with the variable that carries its value; one argument, so that a value is never taken for a flag."""
    variable = "OPTION_" + name.upper().replace("-", "_")
    return {"variable": variable, "value": value, "argument": f"--{name}=$({variable})"}


@cache
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("scenarios", "deploy"),
        autoescape=False,  # noqa: S701 - YAML, not HTML: `finalize` turns every printed value into JSON
        finalize=_as_json,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _matches(form: str, text: str) -> bool:
    return re.fullmatch(form, text, re.ASCII) is not None


def _require(holds: bool, name: str, value: object, meaning: str) -> None:  # noqa: FBT001 - the condition itself
    if not holds:
        raise DeploymentError(f"{name}: {str(value)!r} must be {meaning}")
