"""The part of a Plan that says how a target is reached refuses what cannot be, and names the key."""

from __future__ import annotations

import pytest

from harness.plan import PlanError, parse_plan
from harness.plan_target import Reference, Tls, secret_reference

REST = """
[service]
name = "s"
owner = "o"
[launch]
stage = "load"
[slo]
availability = 0.99
latency_ms_p99 = 100
spike_latency_ms_p99 = 400
[traffic]
launch_rps = 50
spike_rps = 150
six_months_rps = 100
one_year_rps = 200
"""
ATTACHED = '[target]\nprovider = "attached"\naddress = "127.0.0.1:80"\n'
OIP = ATTACHED + 'model = "m"\n'
GRPC = ATTACHED + 'protocol = "grpc"\nmethod = "/weather.v1.Weather/Forecast"\n'
HTTP = ATTACHED + 'protocol = "http"\nmethod = "POST /predict"\nrequests = "rows.jsonl"\n'
GCP = (
    '[target]\nprovider = "gcp"\naddress = "10.0.0.5:443"\nmodel = "m"\nzones = ["z-a", "z-b"]\n'
    '[target.gcp]\nproject = "p"\nallow = "allow.toml"\n'
)
LOCAL = '[target]\nprovider = "local"\nregistry = "models"\nmodel = "m"\nversion = "1"\n'


@pytest.mark.parametrize(
    "target",
    [
        OIP,
        GRPC,
        GRPC + 'descriptors = "weather.pb"\nrequests = "rows.csv"\nbody = "{}"\n',
        HTTP,
        ATTACHED + 'protocol = "http"\nmethod = "GET /health?deep=1"\n',
        OIP + '[target.metadata]\nauthorization = "Bearer env:TOKEN"\n',
        HTTP + '[target.metadata]\nX-Api-Key = "file:secrets/key"\nnote = "plain words"\n',
        GRPC + '[target.tls]\nca = "ca.pem"\nserver_name = "weather.example"\n',
        GCP,
        GCP + "[target.tls]\n",
    ],
)
def test_a_target_that_makes_sense_is_taken(target: str) -> None:
    parse_plan(target + REST)


def test_an_empty_table_means_tls_and_none_means_none() -> None:
    assert parse_plan(GRPC + "[target.tls]\n" + REST).target.tls == Tls()
    assert parse_plan(GRPC + REST).target.tls is None


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (GCP.replace('project = "p"', 'project = ""'), "project must name the project"),
        (GCP.replace('allow = "allow.toml"', 'allow = ""'), "without one nothing is touched"),
        (GCP.partition("[target.gcp]")[0], 'gcp is the table of provider "gcp"'),
        (OIP + '[target.gcp]\nproject = "p"\nallow = "a"\n', 'gcp is the table of provider "gcp"'),
        (GCP.replace('zones = ["z-a", "z-b"]\n', ""), "zones must name the target's zones on Google Cloud"),
        (GCP.replace('"z-a", "z-b"', '"z-a"'), "zones needs at least two names"),
        (GCP.replace("10.0.0.5:443", "https://10.0.0.5"), 'address must be "host:port"'),
        (ATTACHED, "target: model must name the model to ask"),
        (OIP.replace("127.0.0.1:80", "http://127.0.0.1:80"), 'address must be "host:port"'),
        (OIP + 'method = "/a.B/C"\n', 'method is only for protocol "grpc" and "http"'),
        (ATTACHED + 'protocol = "grcp"\n', "target.protocol: Input should be 'oip', 'grpc' or 'http'"),
        (ATTACHED + 'protocol = "grpc"\n', 'method must be "/package.Service/Method"'),
        (GRPC.replace("/weather.v1.Weather/", "weather.v1.Weather."), 'method must be "/package.Service/Method"'),
        (GRPC + 'model = "m"\n', 'model is only for protocol "oip"'),
        (GRPC + 'requests = "rows.npz"\n', "requests must be a .jsonl or .csv file"),
        (GRPC + 'requests = "rows.csv"\n', "body must say how a row of the .csv becomes a message"),
        (GRPC + 'body = "{}"\n', "body is a template for rows; name their file in requests"),
        (HTTP.replace("POST /", "POST "), "method must be a verb and a path"),
        (HTTP.replace("POST ", "SEND "), "method must be a verb and a path"),
        (HTTP.replace("POST ", "GET "), "requests is of no use with 'GET /predict'"),
        (HTTP.replace('requests = "rows.jsonl"', ""), "requests must name a .jsonl or .csv file"),
        (HTTP + 'descriptors = "x.pb"\n', "descriptors is only for gRPC"),
        (LOCAL + 'protocol = "grpc"\n', 'protocol must be "oip" when provider is "local"'),
        (LOCAL + "[target.tls]\n", 'tls is only for provider "attached"'),
        (LOCAL + '[target.metadata]\na = "b"\n', 'metadata is only for provider "attached"'),
        (GRPC + '[target.tls]\ncertificate = "c.pem"\n', "target.tls: certificate and key belong together"),
        (
            GRPC + '[target.tls]\ncertificat = "c.pem"\n',
            'target.tls.certificat: unknown key; did you mean "certificate"',
        ),
        (GRPC + '[target.metadata]\nX-Key = "a"\n', "metadata.X-Key: a name may hold a-z0-9_.- only"),
        (GRPC + '[target.metadata]\ngrpc-timeout = "1S"\n', "metadata.grpc-timeout: this one is set by gonogo itself"),
        (HTTP + '[target.metadata]\nContent-Length = "1"\n', "metadata.Content-Length: this one is set by gonogo"),
        (GRPC + '[target.metadata]\nkey-bin = "aa"\n', "metadata.key-bin: binary metadata can't be given"),
        (GRPC + '[target.metadata]\nkey = "a\\nb"\n', "metadata.key: only printable ASCII can be sent"),
        (GRPC + '[target.metadata]\nkey = "token=env:A"\n', "metadata.key: a secret is referred to as"),
        (GRPC + "[target.metadata]\nkey = 7\n", "target.metadata.key: Input should be a valid string"),
    ],
)
def test_a_mistake_is_named_with_its_key(target: str, said: str) -> None:
    with pytest.raises(PlanError) as caught:
        parse_plan(target + REST, "my.toml")
    assert said in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("value", "reference"),
    [
        ("env:TOKEN", Reference("", "env", "TOKEN")),
        ("Bearer env:TOKEN", Reference("Bearer ", "env", "TOKEN")),
        ("file:/run/my secrets/key", Reference("", "file", "/run/my secrets/key")),
        ("plain", None),
        ("profile:x", None),
        ("", None),
    ],
)
def test_a_reference_is_told_from_a_value_that_is_meant_as_it_stands(value: str, reference: Reference | None) -> None:
    assert secret_reference(value) == reference


@pytest.mark.parametrize("value", ["env:", "env:MY-TOKEN", "a b env:TOKEN", "x=file:key", "Bearer  env:TOKEN", "file:"])
def test_what_looks_like_a_reference_and_is_none_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="a secret is referred to as"):
        secret_reference(value)


def test_a_target_on_google_cloud_tells_experiments_what_to_break() -> None:
    gcp = parse_plan(GCP + 'neg = "chaos-neg"\nlimit_s = 5.0\n' + REST).target.gcp
    assert gcp is not None
    assert gcp.variables("/plan/allow.toml") == {
        "GONOGO_GCP_PROJECT": "p",
        "GONOGO_GCP_NEG": "chaos-neg",
        "GONOGO_GCP_LIMIT_S": "5.0",
        "GONOGO_GCP_ALLOW": "/plan/allow.toml",
    }
