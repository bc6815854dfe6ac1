"""Keeps what TensorRT built, so that the next start need not build it again.

Rule: a plan is a program, and running one that somebody else wrote is running their code. So the folder must belong to
this user and be closed to all others (no link, mode 0700), and each file states its content's SHA-256 and the key that
it was built under. A file is read once, checked, and those very bytes are handed on; what does not check is not used.
No signature on top: whoever could write in this folder is this user, and could read a key that is kept for it.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from reference_service.engines import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_READ: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
_WRITE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW


class PlanCacheError(Exception):
    """The folder can't be trusted or used; the text says what to do."""


class DamagedPlanError(EngineError):
    """A file of the cache is not what was written; nothing of it may be used."""


class PlanCache:
    """A folder of built content by key; it is made if it is not there.

    Raises:
        PlanCacheError: from every method, if others could have written into the folder, or it can't be used.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise PlanCacheError(f"the plan cache {folder} can't be made: {error.strerror}") from error
        with self._opened():
            pass

    def read(self, key: Mapping[str, str]) -> bytes | None:
        """What was written under `key`, None if nothing was.

        Raises:
            DamagedPlanError: something is there, and it is not what was written.
        """
        with self._opened() as folder:
            try:
                descriptor = os.open(_name(key), _READ, dir_fd=folder)
            except FileNotFoundError:
                return None
            except OSError as error:
                raise DamagedPlanError(f"{self._folder / _name(key)}: {error.strerror}") from error
            with os.fdopen(descriptor, "rb") as file:
                self._require_ours(os.fstat(file.fileno()), f"{self._folder / _name(key)}")
                content = file.read()
        return _checked(content, key, self._folder / _name(key))

    def write(self, key: Mapping[str, str], content: bytes) -> None:
        """Keep `content` under `key`, whole or not at all."""
        waiting = f".writing-{secrets.token_hex(8)}"
        with self._opened() as folder:
            descriptor = os.open(waiting, _WRITE, 0o600, dir_fd=folder)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(_header(key, content))
                    file.write(content)
                os.rename(waiting, _name(key), src_dir_fd=folder, dst_dir_fd=folder)
            except BaseException:
                os.unlink(waiting, dir_fd=folder)
                raise

    @contextmanager
    def _opened(self) -> Iterator[int]:
        """The folder's descriptor, checked; all else is opened relative to it, so that it can't be swapped."""
        try:
            folder = os.open(self._folder, _READ | os.O_DIRECTORY)
        except OSError as error:
            raise PlanCacheError(f"the plan cache {self._folder} can't be opened: {error.strerror}") from error
        try:
            self._require_ours(os.fstat(folder), str(self._folder))
            yield folder
        except OSError as error:
            raise PlanCacheError(f"the plan cache {self._folder} can't be used: {error.strerror}") from error
        finally:
            os.close(folder)

    def _require_ours(self, found: os.stat_result, name: str) -> None:
        if found.st_uid != os.geteuid() or found.st_mode & OTHERS:
            raise PlanCacheError(
                f"{name} is open to others (mode {stat.S_IMODE(found.st_mode):04o}, user {found.st_uid}), and a plan "
                f"is code: name a folder of this service's own, or empty this one and run chmod 700 {self._folder}"
            )


def _name(key: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()


def _header(key: Mapping[str, str], content: bytes) -> bytes:
    record = {"key": dict(key), "sha256": hashlib.sha256(content).hexdigest()}
    return json.dumps(record, sort_keys=True).encode() + b"\n"


def _checked(content: bytes, key: Mapping[str, str], path: Path) -> bytes:
    """The content behind its header, if the header is the one that this content under this key has."""
    end = content.find(b"\n") + 1
    payload = content[end:]
    if content[:end] != _header(key, payload):
        raise DamagedPlanError(f"{path} is not what was written there")
    return payload
