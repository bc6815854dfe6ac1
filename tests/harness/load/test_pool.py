"""A pool of requests is read as written, or refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from harness.load.pool import PoolError, draw, read_pool, write_pool

if TYPE_CHECKING:
    from pathlib import Path


def test_reads_back_what_was_written(tmp_path: Path) -> None:
    messages = [b"", b"one", bytes(range(256)) * 40]
    assert write_pool(tmp_path / "pool", messages) == 3
    assert read_pool(tmp_path / "pool") == messages


@pytest.mark.parametrize("kept_bytes", [2, 6, 9])
def test_pool_cut_short_is_refused(tmp_path: Path, kept_bytes: int) -> None:
    path = tmp_path / "pool"
    write_pool(path, [b"one", b"two"])
    path.write_bytes(path.read_bytes()[:kept_bytes])
    with pytest.raises(PoolError, match="ends inside"):
        read_pool(path)


def test_empty_pool_is_refused(tmp_path: Path) -> None:
    write_pool(tmp_path / "pool", [])
    with pytest.raises(PoolError, match="no requests"):
        read_pool(tmp_path / "pool")


def test_draws_by_seed_from_the_whole_pool() -> None:
    picks = draw(7, 10_000, 5)
    np.testing.assert_array_equal(picks, draw(7, 10_000, 5))
    assert (picks != draw(8, 10_000, 5)).any()
    assert set(picks) == {0, 1, 2, 3, 4}
