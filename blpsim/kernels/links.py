"""Links from z = sigma nu + pi d to random coefficients: C = z, exp(z) or 1 / (1 + exp(-z))."""

from __future__ import annotations

from blpsim.arrays import Integers, Matrix
from blpsim.kernels.compile import inner_kernel
from blpsim.kernels.elementary import exp

LINEAR, LOG, LOGIT = 0, 1, 2


@inner_kernel
def apply_links(coefficients: Matrix, links: Integers, agents: int) -> None:
    """Replace z by C in the first agents of (K2, I*)."""
    for k in range(links.size):
        row = coefficients[k][:agents]
        if links[k] == LOG:
            for i in range(row.size):
                row[i] = exp(row[i])
        elif links[k] == LOGIT:
            for i in range(row.size):
                row[i] = 1.0 / (1.0 + exp(-row[i]))


@inner_kernel
def fill_link_slopes(slopes: Matrix, coefficients: Matrix, links: Integers, first: int, last: int) -> None:
    """Fill columns first to last of slopes (K2, I) with dC/dz, from C in (K2, I*); rows may be none."""
    for k in range(slopes.shape[0]):
        slope, row = slopes[k, first:last], coefficients[k]
        for i in range(slope.size):
            slope[i] = 1.0
        if links[k] != LINEAR:
            curve = 1.0 if links[k] == LOGIT else 0.0
            for i in range(slope.size):
                slope[i] = row[i] * (1.0 - curve * row[i])


@inner_kernel
def multiply_by_link_slopes(derivatives: Matrix, slopes: Matrix, first: int, last: int) -> None:
    """Multiply derivatives with respect to C, (K2, I*), by dC/dz, unless that has no rows."""
    for k in range(slopes.shape[0]):
        slope, row = slopes[k, first:last], derivatives[k]
        for i in range(slope.size):
            row[i] *= slope[i]
