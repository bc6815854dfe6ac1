"""The command `reference-service`: serve a model, time it, train it, look into a registry.

Rule: the only place of the service that prints or exits. What the user can put right is one line and exit code 2.
Heavy modules are imported by the command that needs them.
"""

from __future__ import annotations

import json
import os
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from reference_service.registry import ModelVersion

os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # the C core writes lines that are no JSON; before grpc is imported

Arguments = ParamSpec("Arguments")
REGISTRY_OPTION = click.option(
    "--registry", type=click.Path(path_type=Path), required=True, help="Folder of model versions."
)
MODEL_OPTION = click.option("--model", required=True, help="Name of the model in the registry.")
VERSION_OPTION = click.option("--version", required=True, help="Version of the model.")
THREADS_OPTION = click.option("--threads", type=click.IntRange(1), default=1, show_default=True, help="Engine threads.")


def main() -> None:
    """Run the command line."""
    group(prog_name="reference-service")


class Refusal(click.ClickException):
    """What the user can put right."""

    exit_code = 2


def refusing(command: Callable[Arguments, None]) -> Callable[Arguments, None]:
    """Turn an error that the user can put right into one line and exit code 2."""

    @wraps(command)
    def run(*arguments: Arguments.args, **options: Arguments.kwargs) -> None:
        from reference_service.errors import StartError  # noqa: PLC0415 - imports grpc
        from reference_service.registry import RegistryError  # noqa: PLC0415 - imports numpy

        try:
            command(*arguments, **options)
        except (StartError, RegistryError) as error:
            raise Refusal(str(error)) from error

    return run


@click.group()
def group() -> None:
    """The reference inference service: Open Inference Protocol v2 over gRPC."""


@group.command()
@REGISTRY_OPTION
@MODEL_OPTION
@VERSION_OPTION
@THREADS_OPTION
@click.option("--listen", default="127.0.0.1:9000", show_default=True, help="HOST:PORT; port 0 picks a free one.")
@click.option("--zone", default="local", show_default=True, help="Failure domain, named in every answer.")
@click.option("--prediction-log", type=click.Path(path_type=Path), help="File that gets a JSON line per prediction.")
@click.option(
    "--drain-notice",
    "drain_notice_s",
    type=click.FloatRange(0),
    default=1.0,
    show_default=True,
    help="Seconds to keep answering after health says NOT_SERVING.",
)
@refusing
def serve(
    *,
    registry: Path,
    model: str,
    version: str,
    threads: int,
    listen: str,
    zone: str,
    prediction_log: Path | None,
    drain_notice_s: float,
) -> None:
    """Serve one version of a model until SIGTERM or SIGINT."""
    import uvloop  # noqa: PLC0415 - heavy

    from reference_service import server, telemetry  # noqa: PLC0415 - heavy

    telemetry.log_to_stderr()
    settings = server.Settings(
        registry=registry,
        model=model,
        version=version,
        listen=listen,
        zone=zone,
        prediction_log=prediction_log,
        threads=threads,
        drain_notice_s=drain_notice_s,
    )
    uvloop.run(server.serve(settings))


@group.command()
@REGISTRY_OPTION
@MODEL_OPTION
@VERSION_OPTION
@THREADS_OPTION
@click.option("--seconds", type=click.FloatRange(0, min_open=True), default=3.0, show_default=True)
@click.option("--output", type=click.Path(path_type=Path), required=True, help="JSON file to write.")
@refusing
def bench(*, registry: Path, model: str, version: str, threads: int, seconds: float, output: Path) -> None:
    """Time the engine alone, one row at a time, in this process."""
    from reference_service import baseline  # noqa: PLC0415 - heavy
    from reference_service.registry import load_version  # noqa: PLC0415 - heavy

    result = baseline.bench(load_version(registry, model, version), seconds, threads)
    output.write_text(json.dumps(result))
    click.echo(f"{len(result['latencies_ns'])} calls timed: {output}")


@group.command()
@VERSION_OPTION
@click.option("--output", type=click.Path(path_type=Path), required=True, help="Registry folder to write into.")
@refusing
def train(version: str, output: Path) -> None:
    """Train a version of the flight-delay model (needs the extra `train`)."""
    try:
        from reference_service.training import data, train  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise Refusal(f"training needs {error.name}: install gonogo with the extra `train`") from error

    try:
        written = train.train(version, output, report=lambda line: click.echo(line, err=True))
    except (train.TrainingError, data.DataError) as error:
        raise Refusal(str(error)) from error
    click.echo(written.subject)


@group.group()
def registry() -> None:
    """Look into a folder of model versions."""


@registry.command("list")
@click.argument("directory", type=click.Path(path_type=Path))
@refusing
def list_command(directory: Path) -> None:
    """Name every version, without checking it."""
    from reference_service.registry import list_versions  # noqa: PLC0415 - heavy

    for name, version in list_versions(directory):
        click.echo(f"{name}@{version}")


@registry.command("verify")
@click.argument("directory", type=click.Path(path_type=Path))
@refusing
def verify_command(directory: Path) -> None:
    """Check every file of every version against its manifest; exit code 1 if one differs."""
    from reference_service.registry import RegistryError, list_versions  # noqa: PLC0415 - heavy

    broken = 0
    for name, version in list_versions(directory):
        try:
            click.echo(f"ok      {_verified(directory, name, version).subject}")
        except RegistryError as error:
            broken += 1
            click.echo(f"broken  {name}@{version}: {error}")
    raise SystemExit(1 if broken else 0)


def _verified(directory: Path, name: str, version: str) -> ModelVersion:
    from reference_service.registry import load_golden, load_version  # noqa: PLC0415 - heavy

    found = load_version(directory, name, version)
    load_golden(found)
    return found


if __name__ == "__main__":
    main()
