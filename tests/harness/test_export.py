"""A stored run is exported whole, or not at all with a reason."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader

from harness.export import export_hlog
from harness.store import RunError
from tests.golden.refresh import GOLDEN


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return Path(shutil.copytree(GOLDEN, tmp_path / "run"))


def test_the_log_of_a_run_holds_its_ledgers_good_answers(run: Path) -> None:
    log = export_hlog(run)
    assert log == run / "ledger.hlog"
    reader = HistogramLogReader(str(log), HdrHistogram(1, 3_600_000_000, 3))
    total = HdrHistogram(1, 3_600_000_000, 3)
    while (histogram := reader.get_next_interval_histogram()) is not None:
        total.add(histogram)
    reader.close()
    table = pd.read_parquet(run / "evidence" / "ledger" / "requests.parquet")
    good = table[table["status"] == 0]
    times_us = ((good["done_ns"] - good["intended_ns"]) / 1000).astype(float)
    assert total.get_total_count() == len(good) > 1000
    for share in (0.5, 0.99, 1.0):
        expected = times_us.quantile(share, interpolation="nearest")
        assert total.get_value_at_percentile(100 * share) == pytest.approx(expected, rel=2e-3, abs=1)


def test_the_file_may_be_named(run: Path, tmp_path: Path) -> None:
    assert export_hlog(run, tmp_path / "named.hlog").read_text().startswith("#[Histogram log format version")
    assert not (run / "ledger.hlog").exists()


def test_a_ledger_that_was_changed_is_not_exported(run: Path) -> None:
    table = run / "evidence" / "ledger" / "requests.parquet"
    table.write_bytes(table.read_bytes()[:-1])
    with pytest.raises(RunError, match="changed since it was collected"):
        export_hlog(run)
    assert not (run / "ledger.hlog").exists()


def test_an_unfinished_run_has_no_ledger(run: Path) -> None:
    (run / "seal.json").unlink()
    with pytest.raises(RunError, match="never finished"):
        export_hlog(run)


def test_a_place_that_cannot_be_written_is_named(run: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"absent/x\.hlog: can't be written"):
        export_hlog(run, tmp_path / "absent" / "x.hlog")
