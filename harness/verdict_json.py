"""Turns a verdict into `verdict.json` and back, byte for byte the same for the same verdict.

Rule: pure; one spelling for one verdict, so that two judgements of one run can be compared with `cmp`.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from harness.model import Check, Decision, Outcome, Result, Stage, Verdict


def to_json(verdict: Verdict) -> bytes:
    """Canonical JSON: sorted keys, UTF-8, a final newline. Raises ValueError on NaN, which no verdict may hold."""
    document = dataclasses.asdict(verdict)
    return json.dumps(document, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def from_json(content: bytes) -> Verdict:
    """The verdict in `content`. Raises ValueError, KeyError or TypeError when it is not one."""
    document = json.loads(content)
    document["decision"] = Decision(document["decision"])
    document["stage"] = Stage(document["stage"])
    document["results"] = tuple(_result(item) for item in document["results"])
    for name in ("not_judged", "waivers", "declarations", "limits_of_evidence"):
        document[name] = tuple(document[name])
    return Verdict(**document)


def _result(item: dict[str, Any]) -> Result:
    checks = tuple(_check(check) for check in item["checks"])
    return Result(**item | {"outcome": Outcome(item["outcome"]), "checks": checks, "evidence": tuple(item["evidence"])})


def _check(item: dict[str, Any]) -> Check:
    interval = None if item["interval"] is None else (item["interval"][0], item["interval"][1])
    return Check(**item | {"outcome": Outcome(item["outcome"]), "interval": interval})
