"""Writes numbers the way a reader wants them: few digits, grouped thousands, unit after a no-break space.

Rule: pure. Rounding is for the eye only and happens nowhere else; a number too close to its limit to tell apart at
three digits gets more digits.
"""

from __future__ import annotations

import math

NOT_MEASURED = "not measured"
_NO_BREAK_SPACE = "\N{NO-BREAK SPACE}"
_DIGITS = 3
_TINY = 1e-4
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: float, digits: int = _DIGITS) -> str:
    """`value` in `digits` significant digits; whole numbers and thousands in full; near 1, the digits missing to it."""
    if not math.isfinite(value):
        return NOT_MEASURED
    if 0 < abs(value) < _TINY:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        return f"{mantissa} × 10{str(int(exponent)).translate(_RAISED)}"
    if float(value).is_integer() or abs(value) >= 10**digits:
        return f"{value:,.0f}"
    distance = 1 - abs(value) if 0.9 < abs(value) < 1 else abs(value)  # noqa: PLR2004 - 0.99953, not 1.00
    decimals = max(0, digits - 1 - math.floor(math.log10(distance)))
    text = f"{value:,.{min(decimals, 8)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def quantity(value: float | None, unit: str = "", digits: int = _DIGITS) -> str:
    """A number with its unit. The unit "ratio" is written as a percentage, because people read shares that way."""
    if value is None:
        return NOT_MEASURED
    if unit == "ratio":
        return _percent(value, digits)
    return f"{number(value, digits)}{_NO_BREAK_SPACE}{unit}" if unit else number(value, digits)


def against(observed: float | None, limit: float | None, unit: str = "") -> tuple[str, str]:
    """Observed value and limit, with as many digits as it takes to see that they differ."""
    texts = quantity(observed, unit), quantity(limit, unit)
    for digits in range(_DIGITS + 1, 9):
        if texts[0] != texts[1] or observed == limit:
            break
        texts = quantity(observed, unit, digits), quantity(limit, unit, digits)
    return texts[0], texts[1] if limit is not None else ""


def span(interval: tuple[float, float] | None, unit: str = "") -> str:
    """An interval as "low to high unit"; empty when there is none."""
    if interval is None:
        return ""
    low, high = interval
    if unit == "ratio":
        return f"{_percent(low).removesuffix(f'{_NO_BREAK_SPACE}%')} to {_percent(high)}"
    return f"{number(low)} to {quantity(high, unit)}"


def _percent(ratio: float, digits: int = _DIGITS) -> str:
    """A share as a percentage; 0.99953 stays 99.953 %, so that nines can be counted."""
    percent = ratio * 100
    if 90 < percent < 100:  # noqa: PLR2004 - close to all: the digits that count are those missing to 100
        decimals = digits - 2 - math.floor(math.log10(100 - percent))
        text = f"{percent:.{min(max(decimals, 0), 8)}f}"
        return f"{text.rstrip('0').rstrip('.') if '.' in text else text}{_NO_BREAK_SPACE}%"
    return f"{number(round(percent, 9), digits)}{_NO_BREAK_SPACE}%"
