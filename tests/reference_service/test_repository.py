"""What is served is told and changed by the protocol's own calls, each parameter understood or refused."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING, Any

import pytest

from reference_service.auth.caller import ADMIN, INFER, Caller
from reference_service.errors import InvalidRequestError, NotNowError, RefusedVersionError, UnknownModelError
from reference_service.loading import Loader
from reference_service.protocol import open_inference_pb2 as pb
from reference_service.repository import Repository, newest
from reference_service.serving import ServedModels
from reference_service.settings import Batching
from tests.reference_service.running import on_cpu
from tests.reference_service.signed import KEY, OTHER_KEY, sign, trust
from tests.reference_service.tiny_registry import COLUMNS, MODEL, WEIGHTS, write_tiny_version

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from pathlib import Path

ADMINISTRATOR = Caller("ops", frozenset({ADMIN}), "key")


class Running:
    """A repository with versions 1 and 2 signed and 3 signed by a stranger; version 1 is served."""

    def __init__(self, registry: Path) -> None:
        for number in (1, 2, 3):
            version = write_tiny_version(registry, str(number), number * WEIGHTS)
            sign(version, OTHER_KEY if number == 3 else KEY)
        loader = Loader(registry, MODEL, trust(), on_cpu)
        self.models = ServedModels(loader("1"), loader)
        self.repository = Repository(self.models, registry, Batching(delay_ms_max=1.5))

    def load(self, **parameters: Any) -> Coroutine[Any, Any, pb.RepositoryModelLoadResponse]:
        request = pb.RepositoryModelLoadRequest(model_name=MODEL, parameters=sent(parameters))
        return self.repository.load(request, ADMINISTRATOR)

    def unload(self, **parameters: Any) -> Coroutine[Any, Any, pb.RepositoryModelUnloadResponse]:
        request = pb.RepositoryModelUnloadRequest(model_name=MODEL, parameters=sent(parameters))
        return self.repository.unload(request, ADMINISTRATOR)

    async def index(self, *, ready: bool = False) -> list[tuple[str, str, str]]:
        answer = await self.repository.index(pb.RepositoryIndexRequest(ready=ready), ADMINISTRATOR)
        return [(item.version, item.state, item.reason) for item in answer.models]


def sent(parameters: dict[str, Any]) -> dict[str, pb.ModelRepositoryParameter]:
    kinds = {bool: "bool_param", int: "int64_param", str: "string_param", bytes: "bytes_param"}
    return {name: pb.ModelRepositoryParameter(**{kinds[type(it)]: it}) for name, it in parameters.items()}


@pytest.fixture
def running(tmp_path: Path) -> Running:
    return Running(tmp_path)


def run(scene: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(scene, 10))


def test_load_makes_current_promote_false_does_not_and_rollback_undoes(running: Running) -> None:
    async def scene() -> None:
        assert (await running.load(version="2", promote=False)).is_loaded
        assert await running.index() == [
            ("1", "READY", "current"),
            ("2", "READY", ""),
            ("3", "UNAVAILABLE", "not loaded"),
        ]
        await running.load(version="2")
        assert await running.index(ready=True) == [("1", "READY", ""), ("2", "READY", "current")]
        await running.load(rollback=True)
        assert running.models.current.contract.version == "1"
        with pytest.raises(NotNowError, match="no promotion to undo"):
            await running.load(rollback=True)

    run(scene())


def test_a_refused_version_says_why_in_the_answer_and_in_the_index(running: Running) -> None:
    async def scene() -> None:
        with pytest.raises(RefusedVersionError, match=r"tiny@3 in .* is refused: .*which is not trusted here"):
            await running.load()  # no version: the newest, as Triton's policy has it
        assert running.models.current.contract.version == "1"
        assert "which is not trusted here" in (await running.index())[2][2]

    run(scene())


def test_kserves_form_of_load_is_understood(running: Running) -> None:
    async def scene() -> None:
        kserve = bytes([0x0A, len(MODEL)]) + MODEL.encode()  # model_name = 1
        request = pb.RepositoryModelLoadRequest.FromString(kserve)
        with pytest.raises(RefusedVersionError, match="tiny@3"):
            await running.repository.load(request, ADMINISTRATOR)
        await running.load(version="2")
        answer = await running.unload(version="1")
        assert answer.SerializeToString() == kserve + bytes([0x10, 1])  # isUnloaded = 2

    run(scene())


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"config": "{}"}, r"parameter 'config' is not offered in this form; expected one of version \(string\)"),
        ({"version": 2}, "parameter 'version' is not offered in this form"),
        ({"promote": "yes"}, "parameter 'promote' is not offered in this form"),
        ({"file:1/model.onnx": b"x"}, "parameter 'file:1/model.onnx' is not offered"),
        ({"rollback": True, "version": "2"}, 'nothing beside the parameter "rollback"'),
    ],
)
def test_a_parameter_is_understood_or_refused(running: Running, parameters: dict[str, Any], said: str) -> None:
    async def scene() -> None:
        with pytest.raises(InvalidRequestError, match=said):
            await running.load(**parameters)
        assert await running.index(ready=True) == [("1", "READY", "current")]

    run(scene())


@pytest.mark.parametrize("version", ["4", "../2", "2/../2", ".", "2\n", "２"])
def test_only_versions_of_the_registry_can_be_loaded(running: Running, version: str) -> None:
    async def scene() -> None:
        with pytest.raises(UnknownModelError, match="the registry has no version"):
            await running.load(version=version)

    run(scene())


def test_another_model_or_repository_is_refused(running: Running) -> None:
    async def scene() -> None:
        with pytest.raises(UnknownModelError, match="model 'other' is not served here"):
            await running.repository.load(pb.RepositoryModelLoadRequest(model_name="other"), ADMINISTRATOR)
        request = pb.RepositoryModelLoadRequest(model_name=MODEL, repository_name="elsewhere")
        with pytest.raises(InvalidRequestError, match="there is one repository here"):
            await running.repository.load(request, ADMINISTRATOR)
        with pytest.raises(UnknownModelError):
            await running.repository.model_statistics(pb.ModelStatisticsRequest(name="other"), ADMINISTRATOR)

    run(scene())


def test_unload_wants_a_version_and_keeps_the_current_one(running: Running) -> None:
    async def scene() -> None:
        with pytest.raises(InvalidRequestError, match='expected the parameter "version"') as caught:
            await running.unload()
        assert caught.value.violations[0].field == "parameters[version]"
        with pytest.raises(NotNowError, match="is current"):
            await running.unload(version="1")

    run(scene())


def test_the_configuration_says_what_is_true(running: Running) -> None:
    async def scene() -> None:
        answer = await running.repository.model_config(pb.ModelConfigRequest(name=MODEL), ADMINISTRATOR)
        config = answer.config
        assert (config.name, config.backend, config.max_batch_size) == (MODEL, "onnxruntime", 64)
        assert (config.input[0].name, config.input[0].data_type) == ("features", pb.TYPE_FP32)
        assert (list(config.input[0].dims), list(config.output[0].dims)) == ([COLUMNS], [1])
        assert config.instance_group[0].kind == pb.ModelInstanceGroup.KIND_CPU
        assert config.dynamic_batching.max_queue_delay_microseconds == 1500
        assert config.parameters["digest"].string_value == running.models.current.version.digest

    run(scene())


def test_statistics_are_of_the_version_named_or_of_all(running: Running) -> None:
    async def scene() -> None:
        await running.load(version="2")
        running.models.find(MODEL, "2").statistics.executed(1, 5)
        for asked, found in (("", ["1", "2"]), ("2", ["2"])):
            request = pb.ModelStatisticsRequest(name=MODEL, version=asked)
            answer = await running.repository.model_statistics(request, ADMINISTRATOR)
            assert [item.version for item in answer.model_stats] == found
            assert answer.model_stats[-1].execution_count == 1

    run(scene())


def test_who_changed_what_is_logged(running: Running, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    run_all = (running.load(version="2"), running.load(rollback=True), running.unload(version="2"))

    async def scene() -> None:
        for change in run_all:
            await change

    run(scene())
    events = [(record.getMessage(), record.fields.get("client")) for record in caplog.records]  # type: ignore[attr-defined]
    assert events[:4] == [("loaded", "ops"), ("promoted", "ops"), ("rolled_back", "ops"), ("unload_requested", "ops")]
    assert json.dumps([record.fields for record in caplog.records])  # type: ignore[attr-defined]


def test_changing_takes_admin_and_reading_takes_infer(running: Running) -> None:
    scopes = {name: scope for name, (scope, _, _) in running.repository.calls().items()}
    assert scopes == {
        "ModelConfig": INFER,
        "ModelStatistics": INFER,
        "RepositoryIndex": ADMIN,
        "RepositoryModelLoad": ADMIN,
        "RepositoryModelUnload": ADMIN,
    }


def test_the_newest_version_is_the_highest_number() -> None:
    assert newest(["9", "10", "beta", "2"]) == "10"
    assert newest(["beta"]) == ""
