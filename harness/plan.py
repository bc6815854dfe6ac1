"""Reads a Plan from `readiness.toml`.

Rule: every key is known, every value is checked, and an error names the file, the key and the nearest valid key.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import difflib
import hashlib
import json
import tomllib
import types
import typing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pydantic

from harness.catalogue import check_files
from harness.plan_types import Plan

if TYPE_CHECKING:
    from pathlib import Path


class PlanError(Exception):
    """The Plan cannot be used; the text says what, where and what to do."""


@dataclass(frozen=True, slots=True)
class LoadedPlan:
    """A Plan, the bytes it was read from, and the folder against which its relative paths are meant."""

    plan: Plan
    source: bytes
    path: Path

    @property
    def digest(self) -> str:
        """SHA-256 of the file, in hex."""
        return hashlib.sha256(self.source).hexdigest()

    def resolve(self, relative: str) -> Path:
        """A path written in the Plan, seen from the Plan's folder."""
        return (self.path.parent / relative).resolve()


def load_plan(path: Path) -> LoadedPlan:
    """Read and validate the Plan at `path`, and the files of its experiments; raises PlanError."""
    try:
        source = path.read_bytes()
    except OSError as error:
        raise PlanError(f"{path}: cannot be read ({error.strerror}); the README shows a first Plan") from error
    plan = parse_plan(source.decode("utf-8", "replace"), str(path))
    if mistakes := check_files(plan):
        raise PlanError("\n".join(f"{path}: {mistake}" for mistake in mistakes))
    return LoadedPlan(plan, source, path.resolve())


def parse_plan(text: str, name: str = "readiness.toml") -> Plan:
    """The Plan in `text`; `name` is how errors call it. Raises PlanError with one line per mistake."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PlanError(f"{name}: not valid TOML: {error}") from error
    try:
        return pydantic.TypeAdapter(Plan).validate_json(json.dumps(data, default=_iso_date), strict=True)
    except pydantic.ValidationError as error:
        lines = [_explain(item, name) for item in error.errors(include_url=False)]
        raise PlanError("\n".join(lines)) from error


def _iso_date(value: Any) -> str:
    """Dates as JSON spells them; strict JSON takes lists and dates for what they are, and no text for a number."""
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        return value.isoformat()
    return repr(value)


def _explain(item: Any, name: str) -> str:
    location = [part for part in item["loc"] if part != "[key]"]
    dotted = ".".join(str(part) for part in location)
    if item["type"] == "unexpected_keyword_argument":
        return _unknown_key(str(location[-1]), dotted, _known_keys(location[:-1]), name)
    if item["type"] == "missing":
        return f"{name}: {dotted}: this key is required"
    message = str(item["msg"]).removeprefix("Value error, ")
    return f"{name}: {dotted or 'the Plan'}: {message}"


def _unknown_key(key: str, dotted: str, known: list[str], name: str) -> str:
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    hint = f'did you mean "{near[0]}"?' if near else f"valid keys here: {', '.join(known)}"
    return f"{name}: {dotted}: unknown key; {hint}"


def _known_keys(location: list[Any]) -> list[str]:
    """The keys that are valid at `location`, by walking the types of the Plan."""
    kind: Any = Plan
    for part in location:
        if dataclasses.is_dataclass(kind):
            kind = _without_none(typing.get_type_hints(kind)[part])
        else:  # a list's index or a table's name: go on to what it holds
            kind = next(arm for arm in reversed(typing.get_args(kind)) if arm is not Ellipsis)
    return [item.name for item in dataclasses.fields(kind)]


def _without_none(kind: Any) -> Any:
    """`X` for `X | None`, and any other type as it is."""
    if typing.get_origin(kind) not in {types.UnionType, typing.Union}:
        return kind
    return next(arm for arm in typing.get_args(kind) if arm is not type(None))
