"""The commands before a run: start a Plan; is it valid, is this machine ready?

Rule: nothing is started, and but for the Plan that `init` writes nothing is changed.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from harness import doctor as machine
from harness.answers import finding_line, init_facts, init_text
from harness.cli.terminal import json_option, load, plan_argument, say
from harness.plan_target import Tls


@click.command(short_help="Write a first Plan for a running service.")
@click.option("--target", required=True, metavar="HOST:PORT", help="Where the service listens.")
@click.option("--method", default="", help='gRPC: "/package.Service/Method"; HTTP: "POST /path".')
@click.option("--model", default="", help="Which model, of a service with several (Open Inference Protocol).")
@click.option("--output", type=click.Path(path_type=Path), default="readiness.toml", show_default=True)
@click.option(
    "--metadata", multiple=True, metavar="NAME=VALUE", help='"x-api-key=env:KEY", "authorization=Bearer env:T".'
)
@click.option("--tls", is_flag=True, help="Connect with TLS; each of the following means it too.")
@click.option("--ca", default="", help="PEM file of the authorities to trust, instead of the system's.")
@click.option("--certificate", default="", help="PEM file of a certificate to show, with --key.")
@click.option("--key", default="", help="PEM file of the certificate's key.")
@click.option("--server-name", default="", help="Name in the service's certificate, if not its host.")
@click.option("--force", is_flag=True, help="Overwrite files that exist.")
@json_option
def init(
    *,
    target: str,
    method: str,
    model: str,
    output: Path,
    metadata: tuple[str, ...],
    ca: str,
    certificate: str,
    key: str,
    server_name: str,
    tls: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Write a first Plan for the service at --target, from what it says of itself, and an example request.

    It is asked for the Open Inference Protocol v2, then for server reflection. Of an HTTP service, give the --method.
    A secret is given by reference, env:NAME or file:PATH; the Plan holds the reference.
    """
    from harness.access import Access  # noqa: PLC0415 - gRPC is slow to import
    from harness.init import InitError, start_plan  # noqa: PLC0415 - with it

    pairs = tuple((name, value) for name, _, value in (item.partition("=") for item in metadata))
    access = Access(target, pairs, _tls(ca, certificate, key, server_name, wanted=tls))
    try:
        written = start_plan(access, output, method=method, model=model, force=force)
    except InitError as error:
        raise click.ClickException(str(error)) from error
    say(init_facts(written), init_text(written), as_json=as_json)


def _tls(ca: str, certificate: str, key: str, server_name: str, *, wanted: bool) -> Tls | None:
    if not (wanted or ca or certificate or key or server_name):
        return None
    try:
        return Tls(ca=ca, certificate=certificate, key=key, server_name=server_name)
    except ValueError as error:
        raise click.UsageError(str(error)) from error


@click.command(short_help="Check a Plan without running anything.")
@plan_argument
@json_option
def check(plan: Path, *, as_json: bool) -> None:
    """Check PLAN without running anything."""
    loaded = load(plan)
    name, stage = loaded.plan.service.name, loaded.plan.launch.stage.value
    text = f"{plan}: a valid Plan of {name} for stage {stage}"
    say({"plan": str(plan), "stage": stage, "service": name, "ok": True}, text, as_json=as_json)


@click.command(short_help="Say what this machine lacks.")
@json_option
def doctor(*, as_json: bool) -> int:
    """Say what this machine lacks to run gonogo; exit 1 when something required is missing."""
    findings = machine.examine()
    lines = [finding_line(item) for item in findings]
    say([asdict(item) for item in findings], "\n".join(lines), as_json=as_json)
    return 0 if all(item.ok or not item.required for item in findings) else 1
