"""Text meets WCAG AA (4.5 to 1) and graphics 3 to 1, in the light and in the dark theme."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

import reports

STYLES = Path(reports.__file__).parent / "static"
TEXT = ["ink", "soft", "link", "pass", "fail", "unknown"]
GRAPHICS = ["p99", "p50", "rule", "fault", "soft", "fail", "zone-0"]
ON_OWN_GROUND = [("pass", "pass-ground"), ("fail", "fail-ground"), ("ink", "unknown-ground"), ("ink", "pass-ground")]


def theme(name: str) -> dict[str, str]:
    light, dark = (STYLES / "colours.css").read_text(encoding="utf-8").split("@media")
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", light if name == "light" else dark))


def luminance(colour: str) -> float:
    """Relative luminance, WCAG 2.2."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Contrast ratio, WCAG 2.2."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("name", ["light", "dark"])
def test_text_is_readable(name: str) -> None:
    colours = theme(name)
    pairs = [(text, ground) for text in TEXT for ground in ("ground", "shade")] + ON_OWN_GROUND
    low = {pair: contrast(colours[pair[0]], colours[pair[1]]) for pair in pairs}
    assert {pair: ratio for pair, ratio in low.items() if ratio < 4.5} == {}


@pytest.mark.parametrize("name", ["light", "dark"])
def test_graphics_stand_out(name: str) -> None:
    colours = theme(name)
    low = {
        (item, ground): contrast(colours[item], colours[ground]) for item in GRAPHICS for ground in ("ground", "shade")
    }
    assert {pair: ratio for pair, ratio in low.items() if ratio < 3} == {}


@pytest.mark.parametrize("name", ["light", "dark"])
def test_neighbouring_zones_differ_in_lightness(name: str) -> None:
    colours = theme(name)
    zones = [colours[f"zone-{place}"] for place in range(4)]
    assert all(contrast(one, other) > 1.2 for one, other in itertools.pairwise(zones))


def test_both_themes_name_the_same_colours() -> None:
    assert set(theme("light")) == set(theme("dark"))


def test_only_the_colours_file_names_colours() -> None:
    for name in ("page.css", "charts.css", "print.css"):
        assert not re.findall(r":[^;]*#[0-9a-f]{3,6}\b", (STYLES / name).read_text(encoding="utf-8"))
