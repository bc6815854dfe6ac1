"""The command `reference-service`: serve a model, time it, check it on a GPU, train it, look into a registry.

Rule: the only place of the service that prints or exits; one file here for each command or group of commands. What the
user can put right is one line and exit code 2. Heavy modules are imported by the command that needs them.
"""

from __future__ import annotations

import os

import click

os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # the C core writes lines that are no JSON; before grpc is imported

from reference_service.cli.benching import bench
from reference_service.cli.checking import check_gpu
from reference_service.cli.keys import keys
from reference_service.cli.models import models
from reference_service.cli.registry import registry
from reference_service.cli.serving import serve
from reference_service.cli.training import train


def main() -> None:
    """Run the command line."""
    group(prog_name="reference-service")


@click.group()
def group() -> None:
    """The reference inference service: Open Inference Protocol v2 over gRPC."""


for command in (serve, bench, check_gpu, keys, models, train, registry):
    group.add_command(command)
