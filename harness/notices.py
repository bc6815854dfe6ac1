"""Words the result of a run or a drill for a webhook: as plain JSON (notice.schema.json), or as Slack shows it.

Rule: pure. Nothing in a result can become a link or a mention of anybody.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.model import Decision, Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.model import Verdict
    from harness.plan_notify import Notify

SCHEMA = 1
HEADER_MAX, TEXT_MAX, LINES_MAX = 150, 3000, 12
"""Slack's limits on a header and on a section's text (its reference of Block Kit); and enough lines to be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One gate of a run, or one target of a drill."""

    name: str
    title: str
    outcome: Outcome
    reason: str
    blocks: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A result to be told. `kind` is "run" or "drill", `name` the run's stage or the drill; `folder` is where it lies.

    `decision` is GO only if it says so itself; what did not come to an end is NO-GO, with no findings.
    """

    kind: str
    name: str
    service: str
    decision: Decision
    headline: str
    exit_code: int
    as_of: str
    subject: str = ""
    run_id: str = ""
    folder: str = ""
    next_action: str = ""
    findings: tuple[Finding, ...] = ()

    def concerns(self, notify: Notify) -> bool:
        """Whether that webhook is told of this result."""
        return "always" in notify.on or ("go" if self.decision is Decision.GO else "no-go") in notify.on


def of_verdict(verdict: Verdict, folder: str) -> Notice:
    """What is told of a run."""
    return Notice(
        kind="run",
        name=verdict.stage.value,
        service=verdict.service["name"],
        decision=verdict.decision,
        headline=verdict.headline,
        exit_code=verdict.exit_code,
        as_of=verdict.as_of,
        subject=verdict.subject,
        run_id=verdict.run_id,
        folder=folder,
        next_action=verdict.next_action,
        findings=tuple(
            Finding(name=item.gate, title=item.title, outcome=item.outcome, reason=item.reason, blocks=item.blocks)
            for item in verdict.results
        ),
    )


def of_drill(document: Mapping[str, Any], service: str, folder: str) -> Notice:
    """What is told of a drill, from what its drill.json says."""
    name, decision = document["drill"], Decision(document["decision"])
    findings = [
        Finding(name=item["name"], title=item["name"], outcome=Outcome(item["outcome"]), reason=item["reason"])
        for item in document["checks"]
    ]
    bad = [item.reason for item in findings if item.outcome is not Outcome.PASS]
    return Notice(
        kind="drill",
        name=name,
        service=service,
        decision=decision,
        headline=f"{decision.value}: drill {name}" + (f": {bad[0]}" if bad else " met its targets"),
        exit_code=document["exit_code"],
        as_of=document["as_of"],
        subject=document["subject"],
        run_id=document["id"],
        folder=folder,
        findings=tuple(findings),
    )


def no_verdict(service: str, stage: str, reason: str, *, exit_code: int, as_of: str) -> Notice:
    """What is told of a run that did not come to a verdict, in the first line of its reason."""
    return Notice(
        kind="run",
        name=stage,
        service=service,
        decision=Decision.NO_GO,
        headline=f"No verdict: {reason.partition(chr(10))[0]}",
        exit_code=exit_code,
        as_of=as_of,
    )


def body(notice: Notice, form: str) -> dict[str, Any]:
    """The JSON document to send: `form` is "json" or "slack"."""
    return _slack(notice) if form == "slack" else _plain(notice)


def _plain(notice: Notice) -> dict[str, Any]:
    findings = [
        {
            "name": item.name,
            "title": item.title,
            "outcome": item.outcome.value,
            "reason": item.reason,
            "blocks": item.blocks,
        }
        for item in notice.findings
    ]
    return {
        "schema": SCHEMA,
        "kind": notice.kind,
        "name": notice.name,
        "service": notice.service,
        "decision": notice.decision.value,
        "headline": notice.headline,
        "exit_code": notice.exit_code,
        "as_of": notice.as_of,
        "subject": notice.subject,
        "run_id": notice.run_id,
        "folder": notice.folder,
        "next_action": notice.next_action,
        "findings": findings,
    }


def _slack(notice: Notice) -> dict[str, Any]:
    mark = ":white_check_mark:" if notice.decision is Decision.GO else ":no_entry:"
    bad = [item for item in notice.findings if item.outcome is not Outcome.PASS]
    lines = [f"*{item.outcome.value}* {_escaped(item.title)}: {_escaped(item.reason)}" for item in bad[:LINES_MAX]]
    if len(bad) > LINES_MAX:
        lines.append(f"and {len(bad) - LINES_MAX} more")
    title = f"{notice.service}: {notice.decision.value} ({notice.kind} {notice.name})"
    facts = " · ".join(_escaped(text) for text in (notice.subject, notice.as_of, notice.folder) if text)
    sections = [f"{mark} {_escaped(notice.headline)}", *_paragraphs(lines), _escaped(notice.next_action)]
    blocks: list[dict[str, Any]] = [{"type": "header", "text": {"type": "plain_text", "text": _cut(title, HEADER_MAX)}}]
    blocks += [{"type": "section", "text": _markdown(_cut(text, TEXT_MAX))} for text in sections if text]
    blocks += [{"type": "context", "elements": [_markdown(_cut(facts, TEXT_MAX))]}] if facts else []
    return {"text": _escaped(_cut(f"{title}: {notice.headline}", 2 * HEADER_MAX)), "blocks": blocks}


def _paragraphs(lines: list[str]) -> list[str]:
    """The lines joined, cut to what one section holds."""
    return ["\n".join(_cut(line, TEXT_MAX // (LINES_MAX + 1)) for line in lines)] if lines else []


def _markdown(text: str) -> dict[str, str]:
    return {"type": "mrkdwn", "text": text}


def _escaped(text: str) -> str:
    """`text` without Slack's control characters, which begin links and mentions."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
