"""`python -m tests.benchmarks.peers`: one run, every contender, a table at its end.

Rule: the only module here that prints.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import click
import numpy as np

from harness.load.golden import REFERENCE_VERSION
from tests.benchmarks.peers.comparison import compare
from tests.benchmarks.peers.contender import Bench
from tests.benchmarks.peers.field import contenders
from tests.benchmarks.peers.table import goals, table

ROOT = Path(__file__).parents[3]


@click.command()
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True)
@click.option("--seconds", type=click.FloatRange(1), default=5.0, show_default=True, help="Of load, in each round.")
@click.option("--cache", type=click.Path(path_type=Path), default=ROOT / ".benchmarks" / "peers", show_default=True,
              help="Folder of the peers' environments; made on first use.")  # fmt: skip
@click.option("--only", multiple=True, help="Only contenders whose name has this text; may be given again.")
@click.option("--output", type=click.Path(path_type=Path), help="JSON file of every figure.")
def main(*, rounds: int, seconds: float, cache: Path, only: tuple[str, ...], output: Path | None) -> None:
    """Compare the reference service with other inference servers on this machine."""
    chosen = [item for item in contenders() if not only or any(text in item.name for text in only)]
    with np.load(REFERENCE_VERSION / "golden.npz", allow_pickle=False) as golden:
        rows, expected = golden["inputs"], golden["expected"]
    with tempfile.TemporaryDirectory(prefix="peers-") as scratch:
        bench = Bench(REFERENCE_VERSION / "model.onnx", rows, expected, cache.resolve(), Path(scratch))
        tell = lambda line: click.echo(line, err=True)  # noqa: E731 - one line
        standings = compare(bench, chosen, rounds=rounds, seconds=seconds, tell=tell)
    click.echo("\n".join([*table(standings), "", *goals(standings)]))
    if output:
        output.write_text(json.dumps([standing.facts() for standing in standings], indent=1))


main()
