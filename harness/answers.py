"""What the command line answers, as text for people and as documents for programs.

Rule: pure strings and plain data; `harness.cli` prints them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from harness.doctor import Finding
    from harness.init import Written
    from harness.model import Verdict


def verdict_facts(verdict: Verdict, page: Path) -> dict[str, Any]:
    """The verdict as a program wants it."""
    gates = {result.gate: {"outcome": result.outcome.value, "reason": result.reason} for result in verdict.results}
    return {
        "decision": verdict.decision.value,
        "stage": verdict.stage.value,
        "headline": verdict.headline,
        "exit_code": verdict.exit_code,
        "report": str(page),
        "gates": gates,
    }


def finding_line(item: Finding) -> str:
    """One finding of the doctor, with what to do."""
    mark = "ok     " if item.ok else ("MISSING" if item.required else "absent ")
    return f"{mark}  {item.name:<14} {item.found}" + ("" if item.ok else f"\n         → {item.advice}")


def fleet_text(status: dict[str, Any]) -> str:
    """The edge and every group of a fleet, one a line."""
    groups = dict(status["zones"]) | ({"candidate": status["candidate"]} if status.get("candidate") else {})
    reach = status["reach"]
    lines = [
        f"edge       {status['address']}   traffic to the {status['route']['to']}",
        f"authority  {reach['ca']}",
        f"key        file:{reach['load_key']}",
    ]
    lines += [_group_line(name, item) for name, item in groups.items()]
    options = f'--target-ca {reach["ca"]} --metadata "authorization=Bearer file:{reach["load_key"]}"'
    return "\n".join([*lines, f"by hand    locust -f SCENARIO --host https://{status['address']} {options}"])


def _group_line(name: str, item: dict[str, Any]) -> str:
    line = f"{name:<10} {item['state']:<9} version {item['version']}  pids {item['pids']}"
    return f"{line}  faults: {', '.join(sorted(item['faults']))}" if item["faults"] else line


def init_facts(written: Written) -> dict[str, Any]:
    """What `init` found and wrote, as a program wants it."""
    requests = None if written.requests is None else str(written.requests)
    return {"plan": str(written.plan), "requests": requests, "name": written.found.name, "target": written.found.keys}


def init_text(written: Written) -> str:
    """What `init` found and wrote, and what to do next."""
    how = ", ".join(written.found.keys.values())
    lines = [f"found: {written.found.name} ({how})", f"wrote: {written.plan}, a first Plan; choose its SLOs and rates"]
    if written.requests is not None:
        lines.append(f"wrote: {written.requests}, one made-up example; put real requests there, one a line")
    return "\n".join([*lines, "", "next:", f"  gonogo check {written.plan}", f"  gonogo run {written.plan}"])


def drill_text(document: dict[str, Any], postmortem: str) -> str:
    """A drill's verdict, its two numbers, and every check."""
    lost = ""
    if document["missing"] is not None:
        lost = f"  {document['missing']:,} of {document['acknowledged']:,} acknowledged requests are missing"
    lines = [
        f"{document['decision']}  drill {document['drill']} of {document['subject']}",
        "",
        f"RTO  {rto_words(document)}  (target {_seconds(document['rto_s_max'], 'unknown')})",
        f"RPO  {_seconds(document['rpo_s'], 'unknown')}  (target {_seconds(document['rpo_s_max'], 'unknown')}){lost}",
        "",
    ]
    lines += [f"{check['outcome']:<8} {check['name']:<9} {check['reason']}" for check in document["checks"]]
    return "\n".join([*lines, "", f"postmortem: {postmortem}"])


def rto_words(document: dict[str, Any]) -> str:
    """The time that a drill's `drill.json` tells, or whether the objectives were not met or that is not known."""
    failed = any((check["name"], check["outcome"]) == ("rto", "FAIL") for check in document["checks"])
    return _seconds(document["rto_s"], "not met" if failed else "unknown")


def _seconds(value: float | None, otherwise: str) -> str:
    return otherwise if value is None else f"{value:.1f} s"
