"""What is served: the versions of a model that are loaded, one of them current.

Rule: a call takes what it needs once, at its beginning, and so ends on the version that it began with. Which version is
current changes by one assignment; whatever takes time happens on a thread before it, and if it fails nothing changed.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, Never, Self, TypeVar

from reference_service.errors import NotNowError, UnknownModelError, shown
from reference_service.protocol import headers
from reference_service.statistics import Statistics
from reference_service.telemetry import log_event, log_failure

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from reference_service.batching import Batcher
    from reference_service.contract import Contract
    from reference_service.engines import Engine
    from reference_service.registry import ModelVersion

Result = TypeVar("Result")
WARM_MAX: Final = 3
"""Versions in memory at once: the current one, the one before it, and one more that is about to follow."""
IDLE_LIMIT_S: Final = 10.0
"""How long unloading waits for the calls that still use a version, before it leaves their end to a task."""


class Served:
    """A loaded version. Whoever uses it says so with `with served:`, which keeps its engine open and counts failures.

    `identity` is the trailer that names the version in every answer. With a `batcher`, the engine is asked through it.
    """

    __slots__ = ("_idle", "_uses", "batcher", "contract", "engine", "identity", "statistics", "version")

    def __init__(self, contract: Contract, engine: Engine, version: ModelVersion) -> None:
        self.contract = contract
        self.engine = engine
        self.batcher: Batcher | None = None
        self.version = version
        self.identity = (headers.MODEL_VERSION, contract.version)
        self.statistics = Statistics()
        self._uses = 0
        self._idle: asyncio.Event | None = None

    def __enter__(self) -> Self:
        self._uses += 1
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._uses -= 1
        if kind is not None:
            self.statistics.failed += 1
        if self._idle is not None and not self._uses:
            self._idle.set()

    async def close(self) -> None:
        """Wait until nobody uses it, then close its engine; nobody may begin to use it meanwhile."""
        self._idle = asyncio.Event()
        if self._uses:
            await self._idle.wait()
        if self.batcher:
            await self.batcher.close()
        await asyncio.to_thread(self.engine.close)


def _nothing_to_load(version: str) -> Served:
    raise NotNowError(f"version {shown(version)} can't be loaded: this server has no registry")


class ServedModels:
    """The loaded versions of one model. `load_version` loads another; it blocks, and is called on a thread.

    At most `warm_max` are kept, never fewer than the current one, the one before it, and one more. All methods are
    called on the event loop.
    """

    def __init__(
        self, current: Served, load_version: Callable[[str], Served] = _nothing_to_load, warm_max: int = WARM_MAX
    ) -> None:
        self.model = current.contract.model
        self.failures: dict[str, str] = {}
        """Why the last attempt to load a version failed, for those whose last attempt did."""
        self.loading = ""
        """The version that is being loaded, empty if none is."""
        self._load_version = load_version
        self._warm_max = max(warm_max, 3)
        self._loaded = {current.contract.version: current}
        self._found: Mapping[tuple[str, str], Served] = {}
        self._previous: Served | None = None
        self._one_at_a_time = asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._show(current)

    @property
    def loaded(self) -> Mapping[str, Served]:
        """The versions in memory, in the order in which they were loaded."""
        return self._loaded

    @property
    def previous(self) -> Served | None:
        """The version that `rollback` makes current."""
        return self._previous

    def serves(self, model: str, version: str) -> bool:
        """Whether this is a model that can be asked here; an empty version means the current one."""
        return (model, version) in self._found

    def find(self, model: str, version: str) -> Served:
        """The version that a request names, the current one if it names none; raises UnknownModelError."""
        served = self._found.get((model, version))
        return served or self._unknown(model, version)

    async def load(self, version: str) -> Served:
        """Have a version in memory, checked and warm. One is loaded at a time, and a caller that leaves stops nothing.

        Raises:
            Exception: Whatever loading it raised; then nothing changed.
        """
        return await asyncio.shield(self._task(self._load(version)))

    def promote(self, version: str) -> Served:
        """Make a loaded version current; the one that was stays warm, to be rolled back to. Calls in hand go on.

        Raises:
            UnknownModelError: It isn't loaded.
        """
        served = self.find(self.model, version)
        if served is not self.current:
            self._previous = self.current
            self._show(served)
        return served

    def rollback(self) -> Served:
        """Undo the last promotion, once: repeating it is refused, so that a retry can't bring the bad version back.

        Raises:
            NotNowError: There is none to undo.
        """
        if self._previous is None:
            raise NotNowError(
                f"there is no promotion to undo: version {self.current.contract.version!r} of {self.model!r} is current"
            )
        back, self._previous = self._previous, None
        self._show(back)
        return back

    async def unload(self, version: str, limit_s: float = IDLE_LIMIT_S) -> None:
        """Forget a version that is not current. Its engine is closed once no call uses it, if need be after this ends.

        Raises:
            UnknownModelError: It isn't loaded.
            NotNowError: It is current.
        """
        served = self.find(self.model, version)
        if served is self.current:
            raise NotNowError(f"version {served.contract.version!r} is current: promote another before unloading it")
        await asyncio.wait({self._forget(served)}, timeout=limit_s)

    async def close(self) -> None:
        """Close every engine; the server takes no calls any more."""
        for served in self._loaded.values():
            self._task(_closed(served))
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _show(self, current: Served) -> None:
        """Change what calls find, in one step."""
        by_name = {(self.model, version): served for version, served in self._loaded.items()}
        self.current = current
        self._found = by_name | {(self.model, ""): current}

    async def _load(self, version: str) -> Served:
        async with self._one_at_a_time:
            if version in self._loaded:
                return self._loaded[version]
            self.loading = version
            try:
                served = await asyncio.to_thread(self._load_version, version)
            except Exception as error:
                self.failures[version] = str(error)
                raise
            finally:
                self.loading = ""
            self.failures.pop(version, None)
            self._loaded[version] = served
            self._make_room(served)
            self._show(self.current)
            return served

    def _make_room(self, newest: Served) -> None:
        needed = {self.current, self._previous, newest}
        spare = [served for served in self._loaded.values() if served not in needed]
        for served in spare[: max(0, len(self._loaded) - self._warm_max)]:
            self._forget(served)

    def _forget(self, served: Served) -> asyncio.Task[Any]:
        del self._loaded[served.contract.version]
        if served is self._previous:
            self._previous = None
        self._show(self.current)
        log_event("version_unloaded", model=self.model, model_version=served.contract.version)
        return self._task(_closed(served))

    def _task(self, work: Coroutine[Any, Any, Result]) -> asyncio.Task[Result]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # read, so that a load whose caller left is not complained about; `failures` has the text

    def _unknown(self, model: str, version: str) -> Never:
        if model != self.model:
            raise UnknownModelError(f"model {shown(model)} is not served here; this is {self.model!r}")
        loaded = ", ".join(repr(known) for known in self._loaded)
        raise UnknownModelError(f"version {shown(version)} of {self.model!r} is not served here; this is {loaded}")


async def _closed(served: Served) -> None:
    try:
        await served.close()
    except Exception as error:  # noqa: BLE001 - the version is gone for every caller; its engine may only leak
        log_failure("engine_not_closed", error, model_version=served.contract.version)
