"""Numbers as people read them: as many decimals as their Monte Carlo error supports."""

from __future__ import annotations

import math
from typing import NamedTuple

NOTHING = "-"
_LARGEST, _MOST_DECIMALS, _ROUNDING = 1e6, 6, 1e-12


class Cell(NamedTuple):
    """A number and its error, as text."""

    number: str
    """The value, or a dash where there is none."""
    error: str
    """The error in parentheses, or a bound in brackets; empty where there is no value."""

    def __str__(self) -> str:
        """Return both on one line."""
        return f"{self.number} {self.error}".rstrip()


def with_error(value: float, error: float) -> Cell:
    """Return a value to the last of two significant digits of its error, and that error in parentheses."""
    if math.isnan(value):
        return Cell(NOTHING, "")
    if not (math.isfinite(error) and math.isfinite(value)):
        return Cell(f"{value:.4g}", f"({NOTHING})")
    if error <= _ROUNDING * abs(value):
        return Cell(f"{value:.4g}", "(0)")
    exponent = _exponent(error)
    if abs(value) >= _LARGEST or error >= _LARGEST or exponent < 1 - _MOST_DECIMALS:
        digits = max(_exponent(value or error) - exponent + 1, 0)
        return Cell(f"{value:.{digits}e}", f"({error:.1e})")
    return Cell(rounded(value, 1 - exponent), f"({rounded(error, 1 - exponent)})")


def share_with_error(share: float, error: float, lower: float, upper: float) -> Cell:
    """Return a share in percent with its error, or where all or none do, how far it may be from that."""
    if error == 0:
        return Cell(f"{100 * share:.0f}", f"[>{100 * lower:.1f}]" if share else f"[<{100 * upper:.1f}]")
    return with_error(100 * share, 100 * error)


def shown(value: float, error: float, lower: float, upper: float, *, is_share: bool) -> Cell:
    """Return a measure: in percent where it is a share of replications, and a dash where there is none."""
    if is_share and not math.isnan(value):
        return share_with_error(value, error, lower, upper)
    return with_error(value, error)


def rounded(value: float, decimals: int) -> str:
    """Return a value with so many decimals; negative ones round before the decimal point."""
    return f"{round(value, decimals):z.{max(decimals, 0)}f}"


def _exponent(value: float) -> int:
    """Return the power of ten of the first digit, once the value is rounded to two digits."""
    return int(f"{abs(value):.1e}".partition("e")[2])
