"""What the words of a report mean, for those who do not use them every day.

Rule: one sentence or two a word, true of every run; words that only some reports use are listed only there.
"""

from __future__ import annotations

GLOSSARY = (
    (
        "GO, NO-GO",
        "The decision for one stage. GO only if every required gate passes or is waived; no score is averaged.",
    ),
    ("Gate", "One criterion of a launch. It passes, fails, or stays unknown; unknown is never GO."),
    ("Stage", "What the launch is for: internal, beta or general availability. Each requires a fixed set of gates."),
    ("Waiver", "A named owner's dated, expiring acceptance of one gate that fails or is unknown."),
    (
        "Evidence",
        "What was observed in this run, kept in files named by their SHA-256, so that it can be judged again.",
    ),
    ("Interval", "Where the true value lies with the confidence that the Plan asks for; few samples make it wide."),
    ("n", "How many observations a claim rests on."),
    ("Response time", "From the moment a request was due to its answer. Waiting counts, so a stall can't hide."),
    ("p50, p99", "Half, or 99 of 100, of the requests were answered at least this fast."),
    ("Zone", "A part of the service that can fail alone. Locally: a group of server processes on one machine."),
    (
        "LOST",
        "Requests that failed because of a fault, counted on the client's side, indeterminate ones as an interval.",
    ),
    (
        "TTD, TTR",
        "From the fault to the edge no longer sending there; to the objectives being met again, and kept for 5 s.",
    ),
    ("First attempt", "What a request met before the edge retried it elsewhere. Retries hide failures from clients."),
    (
        "Capacity",
        "The highest rate at which the objectives held, with all lower ones; where nothing failed, at least that.",
    ),
    ("Knee", "The rate beyond which response time grows faster than the load; information, not judged."),
    ("Shadow", "Live traffic copied to the next version, whose answers are compared and thrown away."),
)

EXPERIMENT_GLOSSARY = (
    (
        "Experiment",
        "One thing broken on purpose under load, proven broken by an independent reading, then proven whole again.",
    ),
    (
        "Error budget",
        "The failed or late requests that the objective allows in 30 days; a fault spends a share of it.",
    ),
    (
        "Retry amplification",
        "Attempts at the service for each request of a caller: 1 when nothing was retried. Much more can overload it.",
    ),
    (
        "Good answers while broken",
        "Requests a second answered within the objective while the fault was in place: the capacity that was left.",
    ),
    (
        "Control",
        "The same experiment with nothing broken. It must pass, or the measurement itself raises false alarms.",
    ),
)
"""Words that only a report with experiments needs."""


def glossary(*, experiments: bool) -> tuple[tuple[str, str], ...]:
    """Words and meanings in the order of the page."""
    return GLOSSARY + (EXPERIMENT_GLOSSARY if experiments else ())
