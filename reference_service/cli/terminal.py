"""What every command of `reference-service` shares: its options, and how it refuses.

Rule: what the user can put right is one line and exit code 2.
"""

from __future__ import annotations

from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec

import click

if TYPE_CHECKING:
    from collections.abc import Callable

Arguments = ParamSpec("Arguments")
REGISTRY_OPTION = click.option(
    "--registry", type=click.Path(path_type=Path), required=True, help="Folder of model versions."
)
MODEL_OPTION = click.option("--model", required=True, help="Name of the model in the registry.")
VERSION_OPTION = click.option("--version", required=True, help="Version of the model.")
CONFIG_OPTION = click.option(
    "--config", type=click.Path(path_type=Path), help="service.toml: TLS, callers, limits, telemetry, trust."
)
TRUST_OPTION = click.option(
    "--trust", "trust_path", type=click.Path(path_type=Path), help="Trust file; default: this release's own."
)
UNSIGNED_OPTION = click.option("--allow-unsigned", is_flag=True, help="Take versions that nobody vouches for.")
THREADS_OPTION = click.option("--threads", type=click.IntRange(1), default=1, show_default=True, help="Engine threads.")


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
