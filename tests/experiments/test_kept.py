"""A file that an experiment changes comes back byte for byte, whenever the experiment was killed and however often."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
from chaoslib.exceptions import ActivityFailed

from experiments import kept
from harness import durable

if TYPE_CHECKING:
    from pathlib import Path

ORIGINAL = b"what was there"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "file").mkdir()
    path = tmp_path / "file" / "model.onnx"
    path.write_bytes(ORIGINAL)
    return path


def test_it_comes_back_and_nothing_is_left(path: Path, tmp_path: Path) -> None:
    digest = kept.keep(path, tmp_path)
    assert path.read_bytes() == ORIGINAL
    path.write_bytes(b"changed")
    assert kept.put_back(path, tmp_path)
    assert (path.read_bytes(), kept.digest_of(path)) == (ORIGINAL, digest)
    assert sorted(tmp_path.rglob("*")) == [path.parent, path]


def test_it_comes_back_with_its_permissions(path: Path, tmp_path: Path) -> None:
    path.chmod(0o640)
    kept.keep(path, tmp_path)
    kept.put_back(path, tmp_path)
    assert path.stat().st_mode & 0o777 == 0o640


def test_putting_back_again_and_where_nothing_was_kept_changes_nothing(path: Path, tmp_path: Path) -> None:
    kept.keep(path, tmp_path)
    for restored in (True, False, False):
        assert kept.put_back(path, tmp_path) is restored
    path.write_bytes(b"newer, and meant to stay")
    assert not kept.put_back(path, tmp_path)
    assert path.read_bytes() == b"newer, and meant to stay"


def test_a_second_change_before_the_first_is_undone_is_refused(path: Path, tmp_path: Path) -> None:
    kept.keep(path, tmp_path)
    path.write_bytes(b"changed")
    with pytest.raises(ActivityFailed, match="undo that first"):
        kept.keep(path, tmp_path)
    kept.put_back(path, tmp_path)
    assert path.read_bytes() == ORIGINAL


def test_an_original_that_is_not_itself_is_not_put_back(path: Path, tmp_path: Path) -> None:
    kept.keep(path, tmp_path)
    path.write_bytes(b"changed")
    [original] = tmp_path.glob(".original-*")
    original.write_bytes(b"tampered with too")
    with pytest.raises(ActivityFailed, match=r"restore .* by hand"):
        kept.put_back(path, tmp_path)
    assert path.read_bytes() == b"changed"


def test_one_that_was_let_go_is_not_put_back(path: Path, tmp_path: Path) -> None:
    kept.keep(path, tmp_path)
    path.write_bytes(b"renewed")
    kept.forget(path, tmp_path)
    kept.forget(path, tmp_path)
    assert not kept.put_back(path, tmp_path)
    assert path.read_bytes() == b"renewed"


def test_who_is_killed_while_keeping_or_changing_leaves_what_can_be_undone(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each step of keeping a file, and the change itself, is the last thing that happens in one of the trials."""

    class Killed(BaseException):
        """As SIGKILL: nobody cleans up."""

    for survives in itertools.count():
        left = itertools.count(survives, -1)

        def step(left: itertools.count[int] = left) -> None:
            if next(left) <= 0:
                raise Killed

        with monkeypatch.context() as patched:
            for owner, name in ((durable.os, "open"), (durable.os, "fsync"), (type(path), "replace")):
                real = getattr(owner, name)
                patched.setattr(owner, name, lambda *a, real=real, **k: (step(), real(*a, **k))[1])
            try:
                kept.keep(path, tmp_path)
                step()
                path.write_bytes(b"changed")
                reached_the_end = True
            except Killed:
                reached_the_end = False
        kept.put_back(path, tmp_path)
        assert path.read_bytes() == ORIGINAL, f"after {survives} steps"
        if reached_the_end:
            break
    assert survives > 3


def test_a_replaced_file_is_never_half_there(path: Path) -> None:
    before = path.stat().st_ino
    kept.replace(path, b"new")
    assert path.read_bytes() == b"new"
    assert path.stat().st_ino != before
    assert list(path.parent.iterdir()) == [path]
