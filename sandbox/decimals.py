"""Numbers as the exchanges write them: decimal strings, exact for whole units, shortest round-trip for floats."""

import numpy as np


def from_units(units: int, decimals: int) -> str:
    """`units` of 10**-decimals, trailing zeros dropped but one decimal kept: 13009454678, 6 -> 13009.454678."""
    sign, whole = ("-" if units < 0 else ""), abs(int(units))
    digits = str(whole).rjust(decimals + 1, "0")
    if decimals == 0:
        return f"{sign}{digits}.0"
    fraction = digits[-decimals:].rstrip("0") or "0"
    return f"{sign}{digits[:-decimals]}.{fraction}"


def from_float(value: float) -> str:
    """The shortest decimal that reads back as the same float, never in exponent form."""
    return np.format_float_positional(value + 0.0, unique=True, trim="0")


def fixed(value: float, decimals: int) -> str:
    return f"{value:.{decimals}f}"
