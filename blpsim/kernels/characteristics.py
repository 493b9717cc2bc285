"""How products' characteristics compare with those of their own firm's and of rivals' other products.

All take characteristics as rows, x (C, N), and fill own and rival, (C, N) each: sums over the other
products k of the same firm, and over the products k of other firms, in product j's market. Definitions:
Berry, Levinsohn and Pakes (1995) and Gandhi and Houde (2025), as in Conlon and Gortmaker (2020), Table 2.
"""

from __future__ import annotations

import numpy as np

from blpsim.arrays import Integers, Matrix, Vector
from blpsim.kernels.compile import kernel


@kernel
def fill_sums(own: Matrix, rival: Matrix, x: Matrix, firms: Integers, firm_products: Integers) -> None:
    """Fill own and rival with sums of x_k.

    firms          (T+1,) offsets of firm blocks by market
    firm_products  (F+1,) offsets of products by firm block
    """
    for c in range(len(x)):
        for t in range(firms.size - 1):
            total = 0.0
            for f in range(firms[t], firms[t + 1]):
                firm = 0.0
                for j in range(firm_products[f], firm_products[f + 1]):
                    firm += x[c, j]
                for j in range(firm_products[f], firm_products[f + 1]):
                    own[c, j] = firm
                total += firm
            for j in range(firm_products[firms[t]], firm_products[firms[t + 1]]):
                rival[c, j] = total - own[c, j]
                own[c, j] -= x[c, j]


@kernel
def fill_squares(own: Matrix, rival: Matrix, x: Matrix, owners: Integers, products: Integers) -> None:
    """Fill own and rival with sums of (x_k - x_j)^2.

    owners    (N,) the firm block of each product
    products  (T+1,) offsets of products by market
    """
    for c in range(len(x)):
        for t in range(products.size - 1):
            for j in range(products[t], products[t + 1]):
                same, other = 0.0, 0.0
                for k in range(products[t], products[t + 1]):
                    squared = (x[c, k] - x[c, j]) ** 2
                    if owners[k] == owners[j]:
                        same += squared
                    else:
                        other += squared
                own[c, j] = same
                rival[c, j] = other


@kernel
def fill_close_products(
    own: Matrix, rival: Matrix, x: Matrix, widths: Vector, owners: Integers, products: Integers
) -> None:
    """Fill own and rival with numbers of products that have |x_k - x_j| below the width, (C,)."""
    for c in range(len(x)):
        for t in range(products.size - 1):
            for j in range(products[t], products[t + 1]):
                same, other = 0.0, 0.0
                for k in range(products[t], products[t + 1]):
                    if k != j and abs(x[c, k] - x[c, j]) < widths[c]:
                        if owners[k] == owners[j]:
                            same += 1.0
                        else:
                            other += 1.0
                own[c, j] = same
                rival[c, j] = other


@kernel
def fill_spreads(spreads: Vector, x: Matrix, products: Integers) -> None:
    """Fill spreads (C,) with the standard deviation of x_k - x_j over all pairs within markets.

    Pairs count in both orders, so their mean is zero; zero when no market has two products.
    """
    for c in range(len(x)):
        squares, pairs = 0.0, 0.0
        for t in range(products.size - 1):
            size = float(products[t + 1] - products[t])
            mean = 0.0
            for j in range(products[t], products[t + 1]):
                mean += x[c, j] / size
            for j in range(products[t], products[t + 1]):
                squares += 2 * size * (x[c, j] - mean) ** 2
            pairs += size * (size - 1)
        spreads[c] = np.sqrt(squares / pairs) if pairs > 0 else 0.0
