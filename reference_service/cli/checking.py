"""The command `reference-service check-gpu`.

Rule: exit code 0 if TensorRT answers as ONNX Runtime does, 1 if it does not, 2 if it can't run here. What was found is
written in the first two cases, so that a gate can judge it.
"""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import click

from reference_service.cli.terminal import (
    MODEL_OPTION,
    REGISTRY_OPTION,
    THREADS_OPTION,
    TRUST_OPTION,
    UNSIGNED_OPTION,
    VERSION_OPTION,
    refusing,
)


@click.command("check-gpu")
@REGISTRY_OPTION
@MODEL_OPTION
@VERSION_OPTION
@THREADS_OPTION
@click.option("--seconds", type=click.FloatRange(0), default=0.5, show_default=True, help="For each size of batch.")
@click.option(
    "--tolerance",
    type=click.FloatRange(0),
    default=1e-4,
    show_default=True,
    help="Most that an answer may differ from ONNX Runtime's.",
)
@TRUST_OPTION
@UNSIGNED_OPTION
@click.option("--output", type=click.Path(path_type=Path), required=True, help="JSON file to write.")
@click.pass_context
@refusing
def check_gpu(
    context: click.Context,
    *,
    registry: Path,
    model: str,
    version: str,
    threads: int,
    seconds: float,
    tolerance: float,
    trust_path: Path | None,
    allow_unsigned: bool,
    output: Path,
) -> None:
    """Build the model with TensorRT here, compare its answers with ONNX Runtime's, and time both."""
    from reference_service import gpu_check  # noqa: PLC0415 - heavy
    from reference_service.registry import load_version  # noqa: PLC0415 - heavy
    from reference_service.trust import open_trust, utc_now  # noqa: PLC0415 - heavy

    trust = open_trust(trust_path, None, clock=utc_now, allow_unsigned=allow_unsigned)
    found = gpu_check.check_gpu(
        load_version(registry, model, version, trust),
        seconds=seconds,
        tolerance=tolerance,
        threads=threads,
        now=dt.datetime.now(dt.UTC),
    )
    output.write_text(json.dumps(found, indent=1, allow_nan=False))
    agreement = found["agreement"]
    words = f"{found['engine']}: answers differ from ONNX Runtime's by at most {agreement['difference_max']}"
    click.echo(f"{words} ({tolerance:g} allowed), in {agreement['rows']} golden rows: {output}")
    if not agreement["holds"]:
        context.exit(1)
