"""Columns are what Arrow itself would have made, and pandas stays out of the load's process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from harness.load.columns import integers, strings

RECORD = """
import sys
from tests.harness.load.ledger_support import recorder
from tests.harness.load.test_spec import a_spec
from harness.load.sender import NOBODY
writer = recorder(a_spec(ledger=sys.argv[1]))
writer.start()
writer.put([(1, -1, -1, -2, 0, NOBODY)] * 9)
writer.close()
raise SystemExit("pandas" in sys.modules)
"""


@pytest.mark.parametrize("kind", [pa.uint64(), pa.int64(), pa.int32(), pa.int16()], ids=str)
@pytest.mark.parametrize("values", [[], [0], [1, 2, 3], [None], [None, 5, None, 7, 1, 2, 3, 4, None, 9]], ids=str)
def test_integers_and_nulls(values: list[int | None], kind: pa.DataType) -> None:
    numbers = np.array([value or 0 for value in values], np.int64)
    made = integers(numbers, kind, np.array([value is not None for value in values], np.bool_))
    made.validate(full=True)
    assert made.equals(pa.array(values, kind))


@pytest.mark.parametrize("values", [[], [""], ["zone-a", "", "zone-ü"], ["x"] * 9], ids=str)
def test_strings(values: list[str]) -> None:
    names = sorted(set(values))
    made = strings(names, np.array([names.index(value) for value in values], np.int64))
    made.validate(full=True)
    assert made.equals(pa.array(values, pa.string()))


def test_recording_does_not_import_pandas(tmp_path: Path) -> None:
    command = [sys.executable, "-c", RECORD, str(tmp_path / "ledger.arrow")]
    assert subprocess.run(command, cwd=Path(__file__).parents[3], timeout=30, check=False).returncode == 0
