"""The manifests are what Kubernetes accepts and Locust understands, whatever text they are made with."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from harness.deploy import Deployment, DeploymentError, manifests, pairs

ROOT = Path(__file__).parents[2]
OLDEST, NEWEST = "1.29", kubernetes_validate.latest_version().rpartition(".")[0]
JOBS = ("Job-master", "Job-worker")
PLAIN = Deployment(image="registry.example/gonogo:1", scenario="sustained", target="my-model:8001", workers=3)
FULL = replace(
    PLAIN,
    image="registry.example:5000/team/gonogo@sha256:" + "0" * 64,
    scenario="ramp",
    workers=12,
    options={"from-rate": "200", "hold": "5"},
    name="l" * 50,
    namespace="load-tests",
    cpu="500m",
    memory="512Mi",
    deadline_s=600,
    secret="the-key",  # noqa: S106 - a Secret's name
    ledger_claim="ledgers",
    away_from={"app.kubernetes.io/name": "my-model", "tier": "ga"},
    web_ui=True,
)
HOSTILE = (
    "'", '"', '", "x": "y', "{{ 7 * 7 }}", "{% raw %}", "$(API_KEY)", "${HOME}", "`id`", "; id", "# no comment",
    "- item", "key: value", "{a: b}", "*alias", "&anchor", "!!python/object:os.system", "---", "...", "|", ">", "yes",
    "null", "1e3", "\\n\\u0000", "</script>&amp;", "é 日本 \N{GRINNING FACE}", "--worker", " ", "",
)  # fmt: skip


def rendered(deployment: Deployment) -> dict[str, Any]:
    """The documents by kind and role."""
    documents = list(yaml.safe_load_all(manifests(deployment)))
    assert len(documents) == 4
    return {item["kind"] + item["metadata"]["name"].removeprefix(deployment.name): item for item in documents}


def pod(document: dict[str, Any]) -> dict[str, Any]:
    return document["spec"]["template"]["spec"]


def container(document: dict[str, Any]) -> dict[str, Any]:
    return pod(document)["containers"][0]


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("deployment", [PLAIN, FULL], ids=["plain", "full"])
def test_the_api_accepts_every_document_and_knows_every_field(deployment: Deployment, version: str) -> None:
    for document in rendered(deployment).values():
        assert kubernetes_validate.validate(document, version, strict=True) == version


def test_a_field_that_the_api_does_not_know_would_be_found() -> None:
    job = rendered(PLAIN)["Job-worker"]
    container(job)["privileges"] = "none"
    with pytest.raises(kubernetes_validate.ValidationError, match="privileges"):
        kubernetes_validate.validate(job, NEWEST, strict=True)


@pytest.mark.parametrize("deployment", [PLAIN, FULL], ids=["plain", "full"])
def test_the_parts_fit_each_other(deployment: Deployment) -> None:
    parts = rendered(deployment)
    service, settings, master, worker = (parts[f] for f in ("Service-master", "ConfigMap-settings", *JOBS))
    assert {item["metadata"]["namespace"] for item in parts.values()} == {deployment.namespace}
    assert service["spec"]["selector"].items() <= master["spec"]["template"]["metadata"]["labels"].items()
    assert not service["spec"]["selector"].items() <= worker["spec"]["template"]["metadata"]["labels"].items()
    listening = {port["name"]: port["containerPort"] for port in container(master)["ports"]}
    assert {port["targetPort"]: port["port"] for port in service["spec"]["ports"]} == listening
    assert listening == {"bind": 5557} | ({"web": 8089} if deployment.web_ui else {})
    assert f"--expect-workers={deployment.workers}" in container(master)["args"]
    assert worker["spec"]["parallelism"] == worker["spec"]["completions"] == deployment.workers
    assert f"--master-host={service['metadata']['name']}" in container(worker)["args"]
    assert container(master)["envFrom"] == [{"configMapRef": {"name": settings["metadata"]["name"]}}]
    used = re.findall(r"\$\((\w+)\)", " ".join(container(master)["args"]))
    assert sorted(used) == sorted(settings["data"])
    assert len(master["metadata"]["name"]) <= 63 - len("-00000")


@pytest.mark.parametrize("job", JOBS)
@pytest.mark.parametrize("deployment", [PLAIN, FULL], ids=["plain", "full"])
def test_no_container_may_do_more_than_it_must(deployment: Deployment, job: str) -> None:
    spec = pod(rendered(deployment)[job])
    assert spec["automountServiceAccountToken"] is spec["enableServiceLinks"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for item in spec["containers"]:
        allowed = item["securityContext"]
        assert allowed["allowPrivilegeEscalation"] is False
        assert allowed["readOnlyRootFilesystem"] is True
        assert allowed["capabilities"] == {"drop": ["ALL"]}
        assert set(item["resources"]["requests"]) == set(item["resources"]["limits"]) == {"cpu", "memory"}
        assert {mount["name"] for mount in item["volumeMounts"]} <= {volume["name"] for volume in spec["volumes"]}
    main = spec["containers"][0]["resources"]
    assert main["requests"] == main["limits"] == {"cpu": deployment.cpu, "memory": deployment.memory}


def test_only_workers_see_the_secret() -> None:
    parts = rendered(FULL)
    master, worker = ({item["name"]: item for item in container(parts[job])["env"]} for job in JOBS)
    assert worker["LOCUST_SKIP_MONKEY_PATCH"]["value"] == "1"
    assert worker["API_KEY"]["valueFrom"] == {"secretKeyRef": {"name": "the-key", "key": "api-key"}}
    assert set(master) == {"HOME"}
    assert "API_KEY" not in manifests(PLAIN)


def test_a_lost_process_is_not_replaced() -> None:
    master, worker = (rendered(PLAIN)[job] for job in JOBS)
    assert master["spec"]["backoffLimit"] == 0
    assert (worker["spec"]["completionMode"], worker["spec"]["backoffLimitPerIndex"]) == ("Indexed", 0)
    assert pod(master)["restartPolicy"] == pod(worker)["restartPolicy"] == "Never"


def test_the_ledger_waits_to_be_fetched_unless_it_has_a_volume_of_its_own() -> None:
    own, claimed = (pod(rendered(deployment)["Job-master"]) for deployment in (PLAIN, FULL))
    assert [item["name"] for item in own["containers"]] == ["locust", "ledger"]
    assert {"name": "ledger", "emptyDir": {}} in own["volumes"]
    assert [item["name"] for item in claimed["containers"]] == ["locust"]
    assert {"name": "ledger", "persistentVolumeClaim": {"claimName": "ledgers"}} in claimed["volumes"]


def test_workers_keep_away_from_the_service_where_asked() -> None:
    (term,) = pod(rendered(FULL)["Job-worker"])["affinity"]["podAntiAffinity"][
        "requiredDuringSchedulingIgnoredDuringExecution"
    ]
    assert term["labelSelector"]["matchLabels"] == FULL.away_from
    assert (term["topologyKey"], term["namespaceSelector"]) == ("kubernetes.io/hostname", {})
    assert "affinity" not in pod(rendered(PLAIN)["Job-worker"])
    (spread,) = pod(rendered(PLAIN)["Job-worker"])["topologySpreadConstraints"]
    assert spread["labelSelector"]["matchLabels"] == rendered(PLAIN)["Job-worker"]["metadata"]["labels"]


def contained(value: str) -> None:
    """An option's text is one value of the ConfigMap and changes nothing else."""
    calm, hostile = (rendered(replace(PLAIN, options={"method": text})) for text in ("calm", value))
    assert hostile["ConfigMap-settings"]["data"].pop("OPTION_METHOD") == value
    assert calm["ConfigMap-settings"]["data"].pop("OPTION_METHOD") == "calm"
    assert hostile == calm


@pytest.mark.parametrize("value", HOSTILE)
def test_text_stays_text(value: str) -> None:
    contained(value)


@given(st.text(st.characters(exclude_categories=["C", "Zl", "Zp"])).filter(str.isprintable))
def test_any_text_stays_text(value: str) -> None:
    contained(value)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(
            (field, value)
            for field in ("name", "namespace", "image", "scenario", "cpu", "memory", "secret", "ledger_claim")
            for value in ("x\ny", "a: b", "A b", "é", '"', "$(X)", "x\n")
        ),
        *((field, "") for field in ("name", "namespace", "image", "scenario", "target", "cpu", "memory")),
        *(("target", value) for value in ("a b", "a\n", "é:1")),
        *(("scenario", value) for value in ("../x", "x.py")),
        *(("name", value) for value in ("1x", "x" * 51, "x-")),
        *(("cpu", value) for value in ("0", "-1", "0m", "0.0")),
        *(("memory", value) for value in ("0Gi", "1", "1m")),
        *(("workers", value) for value in (0, -1, 1001)),
        ("deadline_s", 0),
        *(("away_from", {key: value}) for key, value in (("a", ""), ("", "a"), ("a b", "c"), ("a", "b\n"))),
        *(("options", {name: "1"}) for name in ("", "--rate", "Rate", "rate=1", "rate\n", "a b")),
        *(("options", {name: "1"}) for name in ("host", "hos", "master", "worker", "headless", "ledger", "expect")),
        *(("options", {"rate": value}) for value in ("1\n2", "\x00", "\x85", "\u2028", "\ud800", "\x7f")),
    ],
)
def test_what_cannot_be_deployed_is_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(DeploymentError, match=rf"^{field.removesuffix('s')}"):
        replace(PLAIN, **{field: value})


def test_pairs_are_divided_at_their_first_sign() -> None:
    assert pairs(["rate=1", "text=a=b", "empty="]) == {"rate": "1", "text": "a=b", "empty": ""}
    for wrong in (["rate"], ["rate=1", "rate=2"]):
        with pytest.raises(DeploymentError, match="'rate"):
            pairs(wrong)


@pytest.mark.parametrize("job", JOBS)
@pytest.mark.parametrize("deployment", [PLAIN, FULL], ids=["plain", "full"])
def test_locust_takes_the_arguments(deployment: Deployment, job: str) -> None:
    parts = rendered(deployment)
    data, item = parts["ConfigMap-settings"]["data"], container(parts[job])
    expanded = [re.sub(r"\$\((\w+)\)", lambda match: data[match[1]], text) for text in item["args"]]
    arguments = [text.replace("/app/", f"{ROOT}/") for text in expanded]
    unpatched = {entry["name"]: entry["value"] for entry in item["env"] if "LOCUST" in entry["name"]}
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)} | unpatched
    command = [sys.executable, "-m", *item["command"], *arguments, "--list"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert deployment.scenario.capitalize() in done.stdout


def test_the_image_is_built_from_what_is_there_and_runs_as_the_manifests_say() -> None:
    lines = (ROOT / "scenarios" / "deploy" / "Dockerfile").read_text().splitlines()
    copied = [name for line in lines if line.startswith("COPY ") for name in line.split()[1:-1]]
    assert copied
    assert not [name for name in copied if not (ROOT / name).exists()]
    security = pod(rendered(PLAIN)["Job-worker"])["securityContext"]
    assert f"USER {security['runAsUser']}:{security['runAsGroup']}" in lines
    assert "WORKDIR /app" in lines
