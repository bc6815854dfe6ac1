"""Reads rows from JSON lines or CSV and makes a JSON message of each, by a Jinja template where the Plan has one.

Rule: nothing is guessed and nothing is skipped but blank lines: a row that does not fit, or a placeholder without a
column, is an error that names the file, the line and the placeholder. Templates run in Jinja's sandbox.
"""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any, NamedTuple

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from harness.requests.pool import RequestsError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Row(NamedTuple):
    """One message as JSON text, and the place ("file:line") that it comes from."""

    place: str
    text: str


def json_messages(path: Path, body: str) -> list[Row]:
    """The JSON message of every row of `path` (.jsonl or .csv), rendered by the template `body` unless that is "".

    In a template, the columns have their names, and `row` holds them all. Raises RequestsError.
    """
    rows = list(_csv_rows(path) if path.suffix == ".csv" else _json_rows(path, objects=bool(body)))
    if not rows:
        raise RequestsError(f"{path}: target.requests holds no rows")
    if not body:
        return [Row(place, text) for place, text, _ in rows]
    template = _template(body)
    return [Row(place, _rendered(template, columns, place)) for place, _, columns in rows]


def _json_rows(path: Path, *, objects: bool) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for number, line in enumerate(_read(path).split("\n"), start=1):
        place = f"{path}:{number}"
        if not line.strip():
            continue
        value = _parsed(line, place)
        if objects and not isinstance(value, dict):
            raise RequestsError(f"{place}: target.body needs a row that is a JSON object of columns")
        yield place, line.strip(), value


def _csv_rows(path: Path) -> Iterator[tuple[str, str, dict[str, str]]]:
    reader = csv.reader(io.StringIO(_read(path), newline=""), strict=True)
    try:
        header = next(reader, [])
        if len(set(header)) != len(header) or not all(header):
            raise RequestsError(f"{path}:1: the first line must name every column, each differently; found {header}")
        for cells in reader:
            place = f"{path}:{reader.line_num}"
            if not cells:
                continue
            if len(cells) != len(header):
                raise RequestsError(f"{place}: {len(cells)} cells in a file of {len(header)} columns")
            yield place, "", dict(zip(header, cells, strict=True))
    except csv.Error as error:
        raise RequestsError(f"{path}:{reader.line_num}: not CSV ({error})") from error


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")  # spreadsheets begin their UTF-8 with a mark
    except OSError as error:
        raise RequestsError(f"{path}: target.requests can't be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise RequestsError(
            f"{path}: target.requests is not UTF-8 text ({error.reason} at byte {error.start})"
        ) from error


def _template(body: str) -> jinja2.Template:
    environment = ImmutableSandboxedEnvironment(undefined=jinja2.StrictUndefined, autoescape=False)
    try:
        return environment.from_string(body)
    except jinja2.TemplateError as error:
        raise RequestsError(f"target.body is no Jinja template: {error}") from error


def _rendered(template: jinja2.Template, columns: dict[str, Any], place: str) -> str:
    try:
        text = template.render({"row": columns} | columns)
    except jinja2.UndefinedError as error:
        raise RequestsError(f"{place}: target.body: {error.message}; the row has: {', '.join(columns)}") from error
    except Exception as error:  # a template can raise whatever the operations in it raise
        raise RequestsError(f"{place}: target.body can't be rendered ({type(error).__name__}: {error})") from error
    _parsed(text, f"{place}: target.body gives {text[:200]!r}, which")
    return text


def _parsed(text: str, place: str) -> Any:
    try:
        return json.loads(text, parse_constant=_no_constant)
    except ValueError as error:
        raise RequestsError(f"{place}: is not JSON ({error})") from error


def _no_constant(name: str) -> None:
    """Python would take NaN and Infinity, which are not JSON and which most services refuse."""
    raise ValueError(f"{name} is no JSON number")
