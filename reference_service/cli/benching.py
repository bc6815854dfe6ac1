"""The command `reference-service bench`.

Rule: prints what it did and nothing else; what the user can put right is a `Refusal`, in one line.
"""

from __future__ import annotations

import json
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
@click.option("--seconds", type=click.FloatRange(0, min_open=True), default=3.0, show_default=True)
@click.option("--output", type=click.Path(path_type=Path), required=True, help="JSON file to write.")
@refusing
def bench(
    *,
    registry: Path,
    model: str,
    version: str,
    threads: int,
    config: Path | None,
    allow_unsigned: bool,
    seconds: float,
    output: Path,
) -> None:
    """Time the engine alone, one row at a time, in this process."""
    from reference_service import baseline  # noqa: PLC0415 - heavy
    from reference_service.registry import load_version  # noqa: PLC0415 - heavy
    from reference_service.settings import ServiceSettings, read_settings  # noqa: PLC0415 - heavy
    from reference_service.trust import open_trust, utc_now  # noqa: PLC0415 - heavy

    wanted = (read_settings(config) if config else ServiceSettings()).registry.trust
    trust = open_trust(wanted, None, clock=utc_now, allow_unsigned=allow_unsigned)
    result = baseline.bench(load_version(registry, model, version, trust), seconds, threads)
    output.write_text(json.dumps(result))
    click.echo(f"{len(result['latencies_ns'])} calls timed: {output}")
