"""What a file says of itself is read whole or refused with the key that is wrong."""

from __future__ import annotations

import re
from typing import Any

import pytest

from harness.extension import Extension, extension_of

TOLD: dict[str, Any] = {
    "name": "gonogo",
    "fault": "zone_freeze",
    "subjects": ["${zone}", "edge"],
    "load": "steady",
    "detects": True,
    "expectations": ["it-holds"],
    "label": "SIGSTOP",
}
ZONE = {"zone": {"type": "env", "key": "GONOGO_ZONE", "default": "zone-b"}}


def document(**changes: Any) -> dict[str, Any]:
    told = {key: value for key, value in (TOLD | changes).items() if value is not None}
    return {"extensions": [{"name": "another"}, told], "configuration": ZONE}


def test_its_variables_are_filled_in_as_chaos_toolkit_fills_them() -> None:
    assert extension_of(document(), {}).subjects == ("zone-b", "edge")
    assert extension_of(document(), {"GONOGO_ZONE": "zone-c"}).subjects == ("zone-c", "edge")
    literal = document() | {"configuration": {"zone": "zone-a"}}
    assert extension_of(literal, {}).subjects == ("zone-a", "edge")


def test_it_reads_back_what_it_writes() -> None:
    told = extension_of(document(longer_s=12), {})
    assert Extension.of(told.facts()) == told
    assert told.longer_s == 12


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"subjects": "zone-b"}, "subjects must be a list"),
        ({"subjects": None}, "subjects must be a list, not None"),
        ({"subjects": []}, "subjects must name what is broken"),
        ({"load": "heavy"}, 'load must be "steady" or "spike", not \'heavy\''),
        ({"detects": "yes"}, "detects must be a bool"),
        ({"expectations": None}, "expectations must be a list"),
        ({"label": ""}, "label must be a str"),
        ({"fault": None}, "fault must be a str"),
        ({"longer_s": -1}, "longer_s must be a number from 0 to 120"),
        ({"longer_s": True}, "longer_s must be a number from 0 to 120"),
        ({"subjects": ["${other}"]}, "the configuration does not say what ${other} is"),
        ({"name": "other"}, 'one entry "gonogo" among its extensions, not 0'),
    ],
)
def test_what_is_wrong_is_named(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        extension_of(document(**changes), {})
