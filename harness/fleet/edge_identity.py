"""Tells the edge whose call is whose, so that each client has one bucket however many connections it opens.

Rule: pure, but for the one function that reads `keys.json`. The edge holds digests, as the service does; they stand in
the route file, which Envoy reads again when it is replaced, so that a key can be added or revoked while it runs. Why
a script of ours and no filter of Envoy's: `api_key_auth` wants the keys themselves. What it costs is in
`edge_settings`.
"""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

Json = dict[str, Any]
LUA = "envoy.filters.http.lua"
_LUA_TYPE = "type.googleapis.com/envoy.extensions.filters.http.lua.v3"
_SCRIPT = Path(__file__).with_name("identity.lua")


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A key that holds until `expires_s` (seconds since 1970), by the SHA-256 of its text in hexadecimal."""

    key_id: str
    sha256: str
    client: str
    expires_s: int


def read_keys(path: Path) -> tuple[KnownKey, ...]:
    """The keys in a `keys.json` that are not revoked. Raises OSError or ValueError when it is none."""
    try:
        entries = json.loads(path.read_bytes())["keys"]
        return tuple(_known(entry) for entry in entries if not entry.get("revoked"))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is not a file of keys: {error!r}") from error


def _known(entry: Json) -> KnownKey:
    expires = dt.datetime.fromisoformat(entry["expires"])
    if expires.tzinfo is None:
        raise ValueError(f"key {entry['id']!r}: expires needs a time zone")
    return KnownKey(str(entry["id"]), str(entry["sha256"]), str(entry["client"]), int(expires.timestamp()))


def identity_filter() -> Json:
    """The filter, which does nothing until a route gives it a script."""
    return {"name": LUA, "typed_config": {"@type": f"{_LUA_TYPE}.Lua"}}


def identity_of_route(keys: Iterable[KnownKey]) -> Json:
    """The script with the keys that it knows, as a route's own configuration of the filter."""
    table = "\n".join(
        f"  [{_lua(key.key_id)}] = {{digest = {_lua(key.sha256)}, client = {_lua(key.client)}, "
        f"expires = {key.expires_s}}},"
        for key in keys
    )
    source = f"local KEYS = {{\n{table}\n}}\n" + _SCRIPT.read_text()
    return {LUA: {"@type": f"{_LUA_TYPE}.LuaPerRoute", "source_code": {"inline_string": source}}}


def _lua(text: str) -> str:
    """A Lua string of these bytes: every one escaped, so that no name can end its string."""
    return '"' + "".join(f"\\{byte:03d}" for byte in text.encode()) + '"'
