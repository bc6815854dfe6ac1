"""The command `reference-service serve`.

Rule: prints what it did and nothing else; what the user can put right is a `Refusal`, in one line.
"""

from __future__ import annotations

from pathlib import Path

import click

from reference_service.cli.terminal import (
    CONFIG_OPTION,
    MODEL_OPTION,
    REGISTRY_OPTION,
    THREADS_OPTION,
    UNSIGNED_OPTION,
    VERSION_OPTION,
    refusing,
)


@click.command()
@REGISTRY_OPTION
@MODEL_OPTION
@VERSION_OPTION
@THREADS_OPTION
@CONFIG_OPTION
@UNSIGNED_OPTION
@click.option("--listen", default="127.0.0.1:9000", show_default=True, help="HOST:PORT; port 0 picks a free one.")
@click.option("--zone", default="local", show_default=True, help="Failure domain, named in every answer.")
@click.option("--prediction-log", type=click.Path(path_type=Path), help="Folder for files of predictions (Parquet).")
@click.option("--audit", type=click.Choice(["off", "durable"]), help="Record each answer on disk before giving it.")
@click.option("--audit-directory", type=click.Path(path_type=Path), help="Folder of the audit journal.")
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
    config: Path | None,
    allow_unsigned: bool,
    model: str,
    version: str,
    threads: int,
    listen: str,
    zone: str,
    prediction_log: Path | None,
    audit: str | None,
    audit_directory: Path | None,
    drain_notice_s: float,
) -> None:
    """Serve one version of a model until SIGTERM or SIGINT."""
    import uvloop  # noqa: PLC0415 - heavy

    from reference_service import server, telemetry  # noqa: PLC0415 - heavy
    from reference_service.settings import ServiceSettings, read_settings, with_audit  # noqa: PLC0415 - heavy

    telemetry.log_to_stderr()
    service = read_settings(config) if config else ServiceSettings()
    settings = server.Settings(
        registry=registry,
        model=model,
        version=version,
        listen=listen,
        zone=zone,
        service=with_audit(service, audit, audit_directory),
        prediction_log=prediction_log,
        threads=threads,
        allow_unsigned=allow_unsigned,
        drain_notice_s=drain_notice_s,
    )
    uvloop.run(server.serve(settings))
