"""Which version is current changes in one step, under calls that go on; what fails to load changes nothing."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from reference_service.contract import Contract
from reference_service.errors import NotNowError, StartError, UnknownModelError
from reference_service.serving import Served, ServedModels
from tests.reference_service.tiny_registry import MODEL

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from reference_service.registry import ModelVersion

LIMIT_S = 10


class Engine:
    """Only closes, and fails whoever uses it after that."""

    name = "test"

    def __init__(self) -> None:
        self.closed = False

    def infer(self, batch: Any) -> Any:
        assert not self.closed, "used after it was closed"
        return batch

    def close(self) -> None:
        self.closed = True


class Versions:
    """Makes versions out of one that was loaded; those named in `broken` fail, and all wait for `go_on`."""

    def __init__(self, version: ModelVersion) -> None:
        self._version = version
        self.broken: set[str] = set()
        self.asked: list[str] = []
        self.go_on = threading.Event()
        self.go_on.set()

    def __call__(self, version: str) -> Served:
        self.asked.append(version)
        assert self.go_on.wait(LIMIT_S)
        if version in self.broken:
            raise StartError(f"{version} is broken")
        manifest = replace(self._version.manifest, version=version)
        return Served(Contract.of(manifest), Engine(), self._version)

    def serving(self, first: str = "1", **options: int) -> ServedModels:
        return ServedModels(self(first), self, **options)


@pytest.fixture
def versions(tiny_version: ModelVersion) -> Versions:
    return Versions(tiny_version)


def run(scene: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(scene, LIMIT_S))


async def until(condition: Callable[[], bool]) -> None:
    """Return once `condition` holds; whoever runs the scene sets the limit."""
    for _ in iter(condition, True):
        await asyncio.sleep(0.001)


def current(models: ServedModels) -> str:
    return models.find(MODEL, "").contract.version


def closed(served: Served) -> bool:
    assert isinstance(served.engine, Engine)
    return served.engine.closed


def test_a_request_finds_the_current_version_or_the_one_it_names(versions: Versions) -> None:
    async def scene() -> None:
        models = versions.serving()
        await models.load("2")
        assert (current(models), models.find(MODEL, "2").contract.version) == ("1", "2")
        assert models.find(MODEL, "2").identity == ("x-model-version", "2")
        assert models.serves(MODEL, "")
        assert not models.serves(MODEL, "3")
        assert not models.serves("other", "")
        with pytest.raises(UnknownModelError, match=r"model 'other' is not served here; this is 'tiny'"):
            models.find("other", "1")
        with pytest.raises(UnknownModelError, match=r"version '3' of 'tiny' is not served here; this is '1', '2'"):
            models.find(MODEL, "3")

    run(scene())


def test_promote_and_rollback_swap_at_once_and_keep_the_old_version_warm(versions: Versions) -> None:
    async def scene() -> None:
        models = versions.serving()
        await models.load("2")
        models.promote("2")
        assert (current(models), set(models.loaded)) == ("2", {"1", "2"})
        assert models.promote("2").contract.version == "2"  # again: nothing changes, nor what can be rolled back
        assert models.rollback().contract.version == "1"
        assert (current(models), versions.asked) == ("1", ["1", "2"])
        with pytest.raises(NotNowError, match="there is no promotion to undo: version '1' of 'tiny' is current"):
            models.rollback()
        with pytest.raises(UnknownModelError):
            models.promote("3")
        assert current(models) == "1"

    run(scene())


def test_a_version_that_fails_to_load_changes_nothing_and_leaves_its_reason(versions: Versions) -> None:
    async def scene() -> None:
        models = versions.serving()
        versions.broken.add("2")
        with pytest.raises(StartError, match="2 is broken"):
            await models.load("2")
        assert (current(models), list(models.loaded), models.loading) == ("1", ["1"], "")
        assert models.failures == {"2": "2 is broken"}
        versions.broken.clear()
        await models.load("2")
        assert models.failures == {}

    run(scene())


def test_the_loop_answers_and_rolls_back_while_a_version_loads(versions: Versions) -> None:
    async def scene() -> None:
        models = versions.serving()
        await models.load("2")
        models.promote("2")
        versions.go_on.clear()
        loading = [asyncio.ensure_future(models.load(version)) for version in ("3", "3")]
        await until(lambda: models.loading == "3")
        assert models.rollback().contract.version == "1"
        assert not any(task.done() for task in loading)
        versions.go_on.set()
        first, second = await asyncio.gather(*loading)
        assert first is second
        assert versions.asked == ["1", "2", "3"]
        assert current(models) == "1"

    run(scene())


def test_whoever_leaves_during_a_load_does_not_break_it_for_others(versions: Versions) -> None:
    async def scene() -> None:
        models = versions.serving()
        versions.go_on.clear()
        leaving = asyncio.ensure_future(models.load("2"))
        await until(lambda: bool(models.loading))
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        versions.go_on.set()
        assert (await models.load("2")).contract.version == "2"
        assert versions.asked == ["1", "2"]

    run(scene())


def test_an_engine_is_closed_only_after_the_last_call_that_uses_it(versions: Versions) -> None:
    async def scene() -> None:
        models = versions.serving()
        used = await models.load("2")
        with used:
            with used:
                await models.unload("2", limit_s=0.01)
                assert not models.serves(MODEL, "2")
            await asyncio.sleep(0.01)
            assert not closed(used)
        await until(lambda: closed(used))
        idle = await models.load("3")
        await models.unload("3")
        assert closed(idle)

    run(scene())


def test_a_call_that_fails_is_counted_for_its_version(versions: Versions) -> None:
    served = versions("1")
    with served:
        pass
    with pytest.raises(ValueError, match="odd"), served:
        raise ValueError("odd")
    assert served.statistics.failed == 1


def test_the_current_version_cannot_be_unloaded_and_an_unloaded_one_cannot_be_rolled_back_to(
    versions: Versions,
) -> None:
    async def scene() -> None:
        models = versions.serving()
        with pytest.raises(NotNowError, match="version '1' is current: promote another before unloading it"):
            await models.unload("1")
        with pytest.raises(UnknownModelError):
            await models.unload("2")
        await models.load("2")
        models.promote("2")
        await models.unload("1")
        with pytest.raises(NotNowError, match="no promotion to undo"):
            models.rollback()
        assert current(models) == "2"

    run(scene())


def test_only_so_many_versions_stay_warm_and_never_fewer_than_are_needed(versions: Versions) -> None:
    async def scene() -> None:
        models = versions.serving(warm_max=1)
        for version in ("2", "3", "4"):
            await models.load(version)
            models.promote(version)
        assert list(models.loaded) == ["2", "3", "4"]
        assert models.rollback().contract.version == "3"
        for version in ("5", "6"):
            await models.load(version)
        assert len(models.loaded) == 3
        assert {"3", "6"} <= set(models.loaded)

    run(scene())


def test_what_a_rollback_needs_is_not_given_up_for_what_is_only_loaded(versions: Versions) -> None:
    async def scene() -> None:
        models = versions.serving()
        await models.load("2")
        models.promote("2")
        await models.load("3")
        await models.load("4")
        assert list(models.loaded) == ["1", "2", "4"]
        assert models.rollback().contract.version == "1"

    run(scene())


def test_calls_in_hand_end_on_their_version_whatever_is_promoted_meanwhile(versions: Versions) -> None:
    async def scene() -> None:
        models, served, stop = versions.serving(), dict.fromkeys("123", 0), asyncio.Event()

        async def call() -> None:
            while not stop.is_set():
                with models.find(MODEL, "") as found:
                    await asyncio.sleep(0.001)
                    found.engine.infer(found.contract.version)  # fails if the engine is closed by now
                    served[found.contract.version] += 1

        calls = [asyncio.ensure_future(call()) for _ in range(50)]
        for version in ("2", "3", "2"):
            await models.load(version)
            models.promote(version)
            await asyncio.sleep(0.01)
            models.rollback()
            for old in set(models.loaded) - {current(models)}:
                await models.unload(old)
        stop.set()
        await asyncio.gather(*calls)
        assert min(served.values()) > 0
        await models.close()
        assert all(closed(found) for found in models.loaded.values())

    run(scene())
