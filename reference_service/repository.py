"""The calls about what is served: configuration, statistics, and loading, promoting and unloading versions.

Rule: each call says what it wants and what it got in the protocol's words; what happens is `serving`'s. Who may make
which call stands in `calls`. A parameter that is not known is refused, never ignored.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from reference_service.auth.caller import ADMIN, INFER
from reference_service.errors import (
    InvalidRequestError,
    RefusedVersionError,
    StartError,
    UnknownModelError,
    Violation,
    shown,
)
from reference_service.model_config import config_of
from reference_service.protocol.open_inference_pb2 import (
    ModelConfigRequest,
    ModelConfigResponse,
    ModelStatisticsRequest,
    ModelStatisticsResponse,
    RepositoryIndexRequest,
    RepositoryIndexResponse,
    RepositoryModelLoadRequest,
    RepositoryModelLoadResponse,
    RepositoryModelUnloadRequest,
    RepositoryModelUnloadResponse,
)
from reference_service.registry import RegistryError, list_versions
from reference_service.telemetry import log_event

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from reference_service.auth.caller import Caller
    from reference_service.protocol import open_inference_pb2 as pb
    from reference_service.serving import Served, ServedModels
    from reference_service.settings import Batching

LOAD_PARAMETERS: Final = {"version": "string", "promote": "bool", "rollback": "bool"}
UNLOAD_PARAMETERS: Final = {"version": "string", "unload_dependents": "bool"}
"""Triton's clients always send the second, which changes nothing here: no model depends on another."""


class Repository:
    """Answers for `models`, which come from the folder `registry`."""

    def __init__(self, models: ServedModels, registry: Path, batching: Batching | None = None) -> None:
        self._models = models
        self._registry = registry
        self._batching = batching

    def calls(self) -> dict[str, tuple[str, Any, Any]]:
        """Scope, kind of request, and answer (request, caller) of each call, by its name."""
        return {
            "ModelConfig": (INFER, ModelConfigRequest, self.model_config),
            "ModelStatistics": (INFER, ModelStatisticsRequest, self.model_statistics),
            "RepositoryIndex": (ADMIN, RepositoryIndexRequest, self.index),
            "RepositoryModelLoad": (ADMIN, RepositoryModelLoadRequest, self.load),
            "RepositoryModelUnload": (ADMIN, RepositoryModelUnloadRequest, self.unload),
        }

    async def model_config(self, request: pb.ModelConfigRequest, caller: Caller) -> ModelConfigResponse:
        """How a version is served."""
        del caller
        served = self._models.find(request.name, request.version)
        return ModelConfigResponse(config=config_of(served, self._batching))

    async def model_statistics(self, request: pb.ModelStatisticsRequest, caller: Caller) -> ModelStatisticsResponse:
        """What the version asked about has done since it was loaded, or each that is loaded."""
        del caller
        named = request.name or self._models.model
        chosen = [self._models.find(named, request.version)] if request.version else self._every(named)
        messages = [served.statistics.message(named, served.contract.version) for served in chosen]
        return ModelStatisticsResponse(model_stats=messages)

    async def index(self, request: pb.RepositoryIndexRequest, caller: Caller) -> RepositoryIndexResponse:
        """Every version of the model in the registry, and whether it is loaded."""
        del caller
        _refuse_repository(request.repository_name)
        states = [(version, *self._state(version)) for version in await self._versions()]
        return RepositoryIndexResponse(
            models=[
                RepositoryIndexResponse.ModelIndex(name=self._models.model, version=version, state=state, reason=reason)
                for version, state, reason in states
                if state == "READY" or not request.ready
            ]
        )

    async def load(self, request: pb.RepositoryModelLoadRequest, caller: Caller) -> RepositoryModelLoadResponse:
        """Load a version if it isn't, and make it current unless told not to; or undo the last promotion."""
        model = self._model_of(request)
        wanted = _parameters(request.parameters, LOAD_PARAMETERS)
        if wanted.get("rollback"):
            if len(wanted) > 1:
                raise InvalidRequestError('expected nothing beside the parameter "rollback"')
            self._tell("rolled_back", self._models.rollback(), caller)
        else:
            await self._load(str(wanted.get("version", "")), bool(wanted.get("promote", True)), caller)
        return RepositoryModelLoadResponse(model_name=model, is_loaded=True)

    async def unload(self, request: pb.RepositoryModelUnloadRequest, caller: Caller) -> RepositoryModelUnloadResponse:
        """Forget a version that isn't current; its memory is free when the last call that uses it has ended."""
        model = self._model_of(request)
        version = str(_parameters(request.parameters, UNLOAD_PARAMETERS).get("version", ""))
        if not version:
            text = (
                'expected the parameter "version": which one to unload; the current one stays until another is promoted'
            )
            raise InvalidRequestError(text, Violation("parameters[version]", "must be given"))
        log_event("unload_requested", model=model, model_version=version, client=caller.client)
        await self._models.unload(version)
        return RepositoryModelUnloadResponse(model_name=model, is_unloaded=True)

    async def _load(self, version: str, promote: bool, caller: Caller) -> None:  # noqa: FBT001 - private
        known = await self._versions()
        version = version or newest(known)
        if version not in known and version not in self._models.loaded:
            raise UnknownModelError(f"the registry has no version {shown(version)} of {self._models.model!r}")
        try:
            loaded = await self._models.load(version)
        except (RegistryError, StartError) as error:
            log_event("version_refused", model_version=version, client=caller.client, reason=str(error))
            raise RefusedVersionError(str(error)) from error
        self._tell("loaded", loaded, caller)
        if promote:
            self._tell("promoted", self._models.promote(version), caller)

    def _tell(self, event: str, served: Served, caller: Caller) -> None:
        log_event(
            event, model=served.contract.model, model_version=served.contract.version, digest=served.version.digest,
            client=caller.client,
        )  # fmt: skip

    def _every(self, model: str) -> list[Served]:
        self._models.find(model, "")
        return list(self._models.loaded.values())

    def _model_of(self, request: pb.RepositoryModelLoadRequest | pb.RepositoryModelUnloadRequest) -> str:
        """The model named: in Triton's field, or in KServe's, which is the first, if that is all there is."""
        name = request.model_name or request.repository_name
        if request.model_name:
            _refuse_repository(request.repository_name)
        self._models.find(name, "")
        return name

    async def _versions(self) -> list[str]:
        found = await asyncio.to_thread(list_versions, self._registry)
        return [version for name, version in found if name == self._models.model]

    def _state(self, version: str) -> tuple[str, str]:
        if version in self._models.loaded:
            return "READY", "current" if self._models.loaded[version] is self._models.current else ""
        if version == self._models.loading:
            return "LOADING", ""
        return "UNAVAILABLE", self._models.failures.get(version, "not loaded")


def newest(versions: list[str]) -> str:
    """The highest of the versions that are numbers, as Triton's policy has it; empty if none is."""
    return max((version for version in versions if version.isdecimal()), key=int, default="")


def _refuse_repository(name: str) -> None:
    if name:
        raise InvalidRequestError(f"there is one repository here and it has no name; got {shown(name)}")


def _parameters(sent: Mapping[str, pb.ModelRepositoryParameter], known: Mapping[str, str]) -> dict[str, str | bool]:
    """The parameters by name, each of the kind that is expected."""
    found: dict[str, str | bool] = {}
    for name, parameter in sent.items():
        which = parameter.WhichOneof("parameter_choice")
        if known.get(name) is None or which != f"{known[name]}_param":
            expected = ", ".join(f"{each} ({kind})" for each, kind in known.items())
            text = f"parameter {shown(name)} is not offered in this form; expected one of {expected}"
            raise InvalidRequestError(text, Violation(f"parameters[{name[:64]}]", f"expected one of {expected}"))
        found[name] = getattr(parameter, which)
    return found
