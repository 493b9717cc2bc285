"""Exponentials and logarithms that vectorize inside loops, accurate to about one unit in the last place.

Numba calls the scalar functions of the C library for ``math.exp`` and ``math.log``, which keeps loops
scalar; these polynomials are four times faster there.
"""

from __future__ import annotations

import numpy as np

from blpsim.kernels.compile import exact_kernel

_INVERSE_LN2 = 1.4426950408889634
_LN2_HIGH = 6.93147180369123816490e-01
_LN2_LOW = 1.90821492927058770002e-10
_ROUNDING = 6755399441055744.0
_EXPONENT_ONE = np.int64(0x3FF0000000000000)
_HALF_ROOT = np.int64(0x3FE6A09E667F3BCD)
_MANTISSA = np.int64(52)


@exact_kernel
def exp(x: float) -> float:
    """Return exp(x), with x clamped to [-708, 709]: never zero, subnormal or infinite; NaN stays NaN."""
    x = min(max(x, -708.0), 709.0) if x == x else x
    shifted = x * _INVERSE_LN2 + _ROUNDING
    whole = shifted - _ROUNDING
    r = (x - whole * _LN2_HIGH) - whole * _LN2_LOW
    tail = 1.6059043836821613e-10
    tail = tail * r + 2.08767569878681e-09
    tail = tail * r + 2.505210838544172e-08
    tail = tail * r + 2.7557319223985893e-07
    tail = tail * r + 2.7557319223985893e-06
    tail = tail * r + 2.48015873015873e-05
    tail = tail * r + 1.984126984126984e-04
    tail = tail * r + 1.388888888888889e-03
    tail = tail * r + 8.333333333333333e-03
    tail = tail * r + 4.1666666666666664e-02
    tail = tail * r + 1.6666666666666666e-01
    tail = tail * r + 0.5
    value = 1.0 + (r + r * r * tail)
    bits = np.float64(value).view(np.int64) + (np.float64(shifted).view(np.int64) << _MANTISSA)
    return float(np.int64(bits).view(np.float64))


@exact_kernel
def log(x: float) -> float:
    """Return log(x) of a positive normal number; anything else gives NaN or -inf as ``math.log`` would."""
    bits = np.float64(x).view(np.int64)
    exponent = (bits - _HALF_ROOT) >> _MANTISSA
    mantissa = np.int64(bits - (exponent << _MANTISSA)).view(np.float64)
    k = np.float64(exponent)
    f = mantissa - 1.0
    s = f / (2.0 + f)
    z = s * s
    tail = 1.479819860511658591e-01
    tail = tail * z + 1.531383769920937332e-01
    tail = tail * z + 1.818357216161805012e-01
    tail = tail * z + 2.222219843214978396e-01
    tail = tail * z + 2.857142874366239149e-01
    tail = tail * z + 3.999999999940941908e-01
    tail = tail * z + 6.666666666666735130e-01
    half = 0.5 * f * f
    value = k * _LN2_HIGH - ((half - (s * (half + z * tail) + k * _LN2_LOW)) - f)
    if not x > 0.0:
        return -np.inf if x == 0.0 else np.nan
    return value
