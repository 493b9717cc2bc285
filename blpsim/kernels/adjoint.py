"""The gradient of the objective by its adjoint form, one market at a time.

With a = dq/dxi, b = dq/domega df/dc and m = Delta^{-T} b, everything that depends on theta enters
through v_ij, the derivative with respect to V_ij, and Q_ij, that with respect to A_ij. No array is
larger than J x I, and the cost does not depend on the number of parameters.
"""

from __future__ import annotations

from blpsim.arrays import Matrix, Vector
from blpsim.kernels.choice import sum_over
from blpsim.kernels.compile import inner_kernel


@inner_kernel
def supply_seeds(right: Vector, m: Vector, eta: Vector, gamma: Matrix, own: Vector) -> None:
    """Add to right (n,) a firm's m (Gamma eta) + eta (Gamma' m) - m eta Lambda."""
    for j in range(m.size):
        forward, backward = 0.0, 0.0
        for k in range(m.size):
            forward += gamma[j, k] * eta[k]
            backward += gamma[k, j] * m[k]
        right[j] += m[j] * forward + eta[j] * backward - m[j] * eta[j] * own[j]


@inner_kernel
def fill_firm_sums(
    sums: Matrix,
    total: Vector,
    probabilities: Matrix,
    slopes: Matrix,
    slope_step: int,
    m: Vector,
    eta: Vector,
) -> None:
    """Fill a firm's sums over its products, and add to total (I,) what back-propagation subtracts.

    sums   (2, I*)  sum_j eta_j s_ij and sum_j m_j A_ij s_ij
    total  (I,)     twice their product less sum_j m_j eta_j A_ij s_ij is added
    """
    agents = total.size
    markup, multiplier = sums[0], sums[1]
    for i in range(agents):
        markup[i] = 0.0
        multiplier[i] = 0.0
    for j in range(m.size):
        row, slope, m_j, eta_j = probabilities[j], slopes[j * slope_step], m[j], eta[j]
        for i in range(agents):
            weighted = m_j * slope[i] * row[i]
            markup[i] += eta_j * row[i]
            multiplier[i] += weighted
            total[i] -= weighted * eta_j
    for i in range(agents):
        total[i] += 2.0 * markup[i] * multiplier[i]


@inner_kernel
def fill_demand_product(v: Vector, row: Vector, common: Vector, weights: Vector, adjoint: float) -> None:
    """Fill v (I,) with one product's s_i (common_i - w_i lambda), without a supply side."""
    for i in range(v.size):
        v[i] = row[i] * (common[i] - weights[i] * adjoint)


@inner_kernel
def fill_supply_product(
    values: Matrix,
    row: Vector,
    common: Vector,
    weights: Vector,
    sums: Matrix,
    slope: Vector,
    scalars: tuple[float, float, float],
) -> float:
    """Fill values (2, I*) with one product's v_i and Q_i, and return the sum of Q_i.

    sums     (2, I*)  the firm's sums
    scalars           lambda_j, m_j, eta_j
    """
    v, q = values[0], values[1]
    markup, multiplier = sums[0], sums[1]
    adjoint, m, eta = scalars
    for i in range(weights.size):
        gap = markup[i] - eta
        weighted = weights[i] * row[i]
        q[i] = weighted * (m * gap)
        v[i] = row[i] * common[i] + weighted * (m * slope[i] * gap + eta * multiplier[i] - adjoint)
    return sum_over(q[: weights.size])


@inner_kernel
def add_rows(total: Matrix, factors: Vector, row: Vector, agents: int) -> None:
    """Add factors (K,) times row (I,) to total (K, I*)."""
    for k in range(factors.size):
        factor = factors[k]
        if factor != 0.0:
            line = total[k]
            for i in range(agents):
                line[i] += factor * row[i]


@inner_kernel
def add_loadings(gradient: Matrix, derivatives: Matrix, draws: Matrix, first: int, last: int) -> None:
    """Add to gradient (K, L) the derivatives (K, I*) times draws, from first to last in (L, I)."""
    agents = last - first
    for k in range(gradient.shape[0]):
        derivative = derivatives[k]
        for level in range(gradient.shape[1]):
            draw = draws[level, first:last]
            total = 0.0
            for i in range(agents):
                total += derivative[i] * draw[i]
            gradient[k, level] += total
