"""The plan cache hands out what was written into a folder that nobody else can write, and nothing else."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from reference_service.engines.plan_cache import DamagedPlanError, PlanCache, PlanCacheError

if TYPE_CHECKING:
    from pathlib import Path

KEY = {"content": "plan", "model": "00", "gpu": "a name\nof two lines"}


@pytest.mark.parametrize("content", [b"", b"a plan", b"\n\n{}\n", bytes(range(256)) * 99])
def test_what_was_written_is_read(tmp_path: Path, content: bytes) -> None:
    cache = PlanCache(tmp_path / "a" / "plans")
    assert cache.read(KEY) is None
    cache.write(KEY, b"an older one")
    cache.write(KEY, content)
    assert PlanCache(tmp_path / "a" / "plans").read(KEY) == content
    assert cache.read({**KEY, "gpu": "another"}) is None
    (file,) = (tmp_path / "a" / "plans").iterdir()
    assert ((tmp_path / "a" / "plans").stat().st_mode & 0o777, file.stat().st_mode & 0o777) == (0o700, 0o600)


def test_every_changed_byte_and_every_length_is_noticed(tmp_path: Path) -> None:
    cache = PlanCache(tmp_path / "plans")
    cache.write(KEY, b"a plan")
    (file,) = (tmp_path / "plans").iterdir()
    whole = file.read_bytes()
    changed = [whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :] for place in range(len(whole))]
    changed += [whole[:length] for length in range(len(whole))] + [whole + b"x"]
    for content in changed:
        file.write_bytes(content)
        with pytest.raises(DamagedPlanError, match="is not what was written there"):
            cache.read(KEY)


def test_a_plan_written_under_another_key_does_not_pass_for_this_one(tmp_path: Path) -> None:
    cache = PlanCache(tmp_path / "plans")
    cache.write(KEY, b"a plan")
    (file,) = (tmp_path / "plans").iterdir()
    other = {**KEY, "model": "11"}
    cache.write(other, b"another plan")
    (another,) = set((tmp_path / "plans").iterdir()) - {file}
    file.rename(another)
    with pytest.raises(DamagedPlanError):
        cache.read(other)


def test_a_link_in_place_of_a_plan_is_not_followed(tmp_path: Path) -> None:
    cache = PlanCache(tmp_path / "plans")
    cache.write(KEY, b"a plan")
    (file,) = (tmp_path / "plans").iterdir()
    file.rename(tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DamagedPlanError):
        cache.read(KEY)


@pytest.mark.parametrize("mode", [0o701, 0o710, 0o720, 0o777])
def test_a_folder_open_to_others_is_refused_even_after_it_was_opened(tmp_path: Path, mode: int) -> None:
    cache = PlanCache(tmp_path / "plans")
    cache.write(KEY, b"a plan")
    (tmp_path / "plans").chmod(mode)
    for use in (lambda: cache.read(KEY), lambda: cache.write(KEY, b""), lambda: PlanCache(tmp_path / "plans")):
        with pytest.raises(PlanCacheError, match=rf"mode 0{mode:o}, .* chmod 700 {tmp_path / 'plans'}"):
            use()


def test_a_plan_that_others_can_write_is_refused(tmp_path: Path) -> None:
    cache = PlanCache(tmp_path / "plans")
    cache.write(KEY, b"a plan")
    (file,) = (tmp_path / "plans").iterdir()
    file.chmod(0o622)
    with pytest.raises(PlanCacheError, match="is open to others"):
        cache.read(KEY)


def test_a_folder_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    PlanCache(tmp_path / "plans")
    other = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: other)
    with pytest.raises(PlanCacheError, match=f"user {other - 1}"):
        PlanCache(tmp_path / "plans")


def test_a_link_or_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "file").touch()
    with pytest.raises(PlanCacheError, match="can't be opened"):
        PlanCache(tmp_path / "link")
    with pytest.raises(PlanCacheError, match="can't be made"):
        PlanCache(tmp_path / "file")


def test_a_write_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = PlanCache(tmp_path / "plans")

    def full(*_arguments: object, **_named: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "rename", full)
    with pytest.raises(PlanCacheError, match="No space left on device"):
        cache.write(KEY, b"a plan")
    assert not list((tmp_path / "plans").iterdir())
