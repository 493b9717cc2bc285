"""The paper's letters: types of arrays, and the arrays of all markets concatenated.

Letters that kernels and models use, each with one meaning:

J, I, T, F          products, agents, markets, firms (as dimensions)
K1, K2, K3, D       columns of X1, X2, X3, and demographics
delta, mu, V        mean utility, an agent's deviation from it, their sum
xi, omega           unobserved demand and cost characteristics
nu, d, w            nodes, demographics, weights of agents
z, C                sigma nu + pi d of an agent; the random coefficients, z itself but for links
s, S                probabilities or shares computed, shares observed
p, c, eta           prices, marginal costs, Bertrand markups
A                   derivative of an agent's utility with respect to a price
Lambda, Gamma       the two parts of the demand derivatives (Morrow and Skerlos 2011)
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Vector: TypeAlias = NDArray[np.float64]
Matrix: TypeAlias = NDArray[np.float64]
Tensor: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.int64]
Booleans: TypeAlias = NDArray[np.bool_]


class Offsets(NamedTuple):
    """Where each market's products, agents and firms stand in the concatenated arrays.

    Products are sorted by market, and by firm within a market, so that both are slices.
    """

    products: Integers
    """(T+1,) market t holds products ``products[t]:products[t+1]``."""
    agents: Integers
    """(T+1,) market t holds agents ``agents[t]:agents[t+1]``."""
    firms: Integers
    """(T+1,) market t holds firm blocks ``firms[t]:firms[t+1]``."""
    firm_products: Integers
    """(F+1,) firm block f holds products ``firm_products[f]:firm_products[f+1]``."""


class Consumers(NamedTuple):
    """Agents of all markets, an agent a column."""

    nodes: Matrix
    """(K2, I) draws from the distribution of unobserved tastes."""
    demographics: Matrix
    """(D, I) observed characteristics."""
    weights: Vector
    """(I,) integration weights; they sum to one in each market."""


class Tastes(NamedTuple):
    """Parameters that make agents differ, and the price coefficient they share."""

    sigma: Matrix
    """(K2, K2) lower-triangular Cholesky root."""
    pi: Matrix
    """(K2, D) interactions with demographics."""
    alpha: Vector
    """(E,) coefficients of the X1 columns that depend on prices; 0 when concentrated out and unknown."""
    links: Integers
    """(K2,) how z becomes a coefficient, 0 as it is, 1 by exp(z), 2 by 1 / (1 + exp(-z))."""


class Given(NamedTuple):
    """Coefficients of X1 and X3 that are not concentrated out, and the objective's derivatives there."""

    beta: Vector
    """(G1,)."""
    gamma: Vector
    """(G3,)."""
    d_beta: Vector
    """(G1,) without what works through slopes, which is in ``State.d_alpha``."""
    d_gamma: Vector
    """(G3,)."""


class Places(NamedTuple):
    """Where theta's elements stand in their blocks, block after block: sigma, pi, rho, beta, gamma."""

    sigma_rows: Integers
    sigma_columns: Integers
    pi_rows: Integers
    pi_columns: Integers
    rho_moved: Integers
    beta_moved: Integers
    beta_given: Integers
    """(G1,) positions in beta of what is not concentrated out, fixed or moved."""
    gamma_moved: Integers
    gamma_given: Integers
    """(G3,)."""
    prices: Integers
    """(E,) positions in beta of the columns that depend on prices."""


class Unknowns(NamedTuple):
    """Theta, its gradient, and what stands between them and the kernels."""

    theta: Vector
    """(P,)."""
    gradient: Vector
    """(P,)."""
    places: Places
    tastes: Tastes
    given: Given
    beta: Vector
    """(K1,) NaN where concentrated out; so is gamma, (K3,)."""
    gamma: Vector
    d_beta: Vector
    """(K1,) zero where concentrated out; so is d_gamma, (K3,)."""
    d_gamma: Vector
    rho: Vector
    """(H,) correlations within nests, none without nests."""
    d_rho: Vector
    """(H,)."""


class Slopes(NamedTuple):
    """Derivatives of the characteristics with respect to the product's own price."""

    x1: Matrix
    """(N, E) of the X1 columns that depend on prices."""
    x2: Matrix
    """(N, K2) of the X2 columns, zero where they do not depend on prices."""
    varies: bool
    """Whether the derivative of utility differs between products of one market."""


class Target(NamedTuple):
    """What one market's mean utilities must reproduce, and how its agents differ."""

    log_shares: Vector
    """(J,) logs of the observed shares."""
    log_outside: float
    """Log of the observed outside share, S0 = the sum of weights less the sum of shares."""
    x2: Matrix
    """(J, K2)."""
    coefficients: Matrix
    """(K2, I*)."""
    weights: Vector
    """(I,)."""


class InversionRule(NamedTuple):
    """How to iterate when market shares are inverted."""

    acceleration: int
    mapping: int
    tolerance: float
    max_evaluations: int


class Bench(NamedTuple):
    """Scratch space; I*, J* and n* are the largest numbers of agents, products and products of a firm.

    Matrices whose rows are as long as the largest market needs are sliced by rows alone, which keeps
    them contiguous; kernels read no further than their market's own number.
    """

    agents: Matrix
    """(6 + K2, I*)."""
    products: Matrix
    """(20, J*)."""
    firms: Matrix
    """(2 F*, I*)."""
    square: Matrix
    """(J*, J*)."""
    small: Matrix
    """(M + 1, M) for systems of the acceleration's memory M."""
    pivots: Integers
    """(J*,)."""


class Specific(NamedTuple):
    """What differs by agent and product: demographics, and which products agents can choose.

    Matrices of what a model does not have are without rows.
    """

    places: Integers
    """(S,) columns of pi of the demographics that differ by product; their rows in Consumers are zero."""
    demographics: Matrix
    """(S N, I*) row s N + n has the s-th one of product n."""
    available: Matrix
    """(N, I*) what multiplies an agent's odds of a product, zero where it is not in the choice set."""
    ranks: Integers
    """(K2,) place among the coefficients whose slopes are kept, -1 for others."""
    curves: Matrix
    """(L N, I*) dC/dz of the coefficients whose link is not linear, one after the other."""
    deviations: Matrix
    """(N, I*) mu where S > 0."""
    draws: Matrix
    """(J*, I*) scratch."""


class Nesting(NamedTuple):
    """Nests and ownership, and what an evaluation leaves behind of them; B nests of all markets."""

    offsets: Integers
    """(T+1,) market t holds nests ``offsets[t]:offsets[t+1]``."""
    nests: Integers
    """(N,) each product's nest, from 0 in every market."""
    parameters: Integers
    """(B,) each nest's element of rho; -1 where kappa is 1."""
    log_shares: Vector
    """(B,) logs of the nests' observed shares."""
    ownership: Matrix
    """(N, n*) H_jk of the products k of j's firm, in its products' rows."""
    kappa: Vector
    """(B,) 1 / (1 - rho)."""
    d_kappa: Vector
    """(B,) derivative of the objective."""
    conditionals: Matrix
    """(N, I*) probabilities given the nest."""
    probabilities: Matrix
    """(B, I*) of nests."""
    inclusive: Matrix
    """(B, I*) inclusive values."""
    utilities: Matrix
    """(N, I*) V_ij."""
    shares: Vector
    """(B*,) scratch, B* the largest number of nests in a market."""
    scratch: Matrix
    """(6 B*, I*)."""
    owned: Matrix
    """(2, I*) scratch."""
    seeds: Matrix
    """(2 J*, I*) scratch: derivatives by probabilities and by those given the nest."""
    specific: Specific


class Directions(NamedTuple):
    """The parameters that work through agents' tastes or through slopes, one an element."""

    kind: Integers
    """(P,) 0 for an element of sigma, 1 of pi, 2 for an X1 coefficient on prices, 3 for an element of rho."""
    characteristic: Integers
    """(P,) column of X2, for the third kind of the X1 slopes, for the fourth the place in rho."""
    draw: Integers
    """(P,) row of nodes or demographics."""


class Panel(NamedTuple):
    """The data of all markets, as kernels read them."""

    offsets: Offsets
    consumers: Consumers
    x2: Matrix
    """(N, K2)."""
    slopes: Slopes
    prices: Vector
    """(N,)."""
    shares: Vector
    """(N,) observed shares."""
    log_shares: Vector
    """(N,)."""
    log_outside: Vector
    """(T,) logs of the sum of weights less the sum of shares."""
    positive_weights: bool
    """Whether every integration weight is positive."""


class Moments(NamedTuple):
    """The linear side of the objective; columns of characteristics and instruments are rows here."""

    given_demand: Matrix
    """(G1, N) X1 columns whose coefficients are in theta."""
    free_demand: Matrix
    """(L1, N) X1 columns whose coefficients are concentrated out."""
    given_supply: Matrix
    """(G3, N) X3 columns whose coefficients are in theta."""
    free_supply: Matrix
    """(L3, N) X3 columns whose coefficients are concentrated out."""
    demand_instruments: Matrix
    """(MD, N)."""
    supply_instruments: Matrix
    """(MS, N), MS = 0 without supply."""
    demand_offset: Vector
    """(N,) what absorbed fixed effects take from delta, fixed once to keep precision."""
    supply_offset: Vector
    """(N,) the same for transformed costs."""
    weighting: Matrix
    """(MD + MS, MD + MS)."""
    concentration: Matrix
    """(L1 + L3, MD + MS), maps moments of the dependent variables to concentrated coefficients."""
    scale: float
    """What multiplies g'Wg: N, or 1."""
    cost_bounds: Vector
    """(2,) costs are clipped into it, and counted."""
    log_costs: bool


class State(NamedTuple):
    """What an evaluation leaves behind."""

    delta: Vector
    """(N,)."""
    shares: Vector
    """(N,) that the inversion reached; they differ from those observed by its residual."""
    probabilities: Matrix
    """(N, I*)."""
    slopes: Matrix
    """(N, I*), or (T, I*) when the products of a market do not differ."""
    link_slopes: Matrix
    """(K2, I) dC/dz, or (0, I) when all links are linear."""
    gamma: Matrix
    """(N, n*) each firm's Gamma, in its products' rows."""
    factors: Matrix
    """(N, n*) the LU factors of each firm's Delta."""
    pivots: Integers
    """(N,)."""
    own: Vector
    """(N,) Lambda."""
    eta: Vector
    """(N,) markups."""
    costs: Vector
    """(N,) marginal costs, after clipping."""
    xi: Vector
    """(N,)."""
    omega: Vector
    """(N,)."""
    moments: Vector
    """(M,) averaged moments, g."""
    weighted: Vector
    """(M,) W g."""
    linear: Vector
    """(L1 + L3,) concentrated coefficients."""
    demand_seed: Vector
    """(N,) derivative of the objective with respect to xi."""
    supply_seed: Vector
    """(N,) derivative with respect to costs, then m."""
    evaluations: Integers
    """(T,) evaluations of the inversion's mapping."""
    residuals: Vector
    """(T,) max |log S - log s|."""
    d_sigma: Matrix
    """(K2, K2)."""
    d_pi: Matrix
    """(K2, D)."""
    d_alpha: Vector
    """(E,) through slopes alone."""


_LINE = 64


def rows_on_lines(rows: int, columns: int) -> Matrix:
    """Return an empty matrix, (rows, columns*), whose rows start on cache lines; columns* >= columns.

    Where vectors straddle lines, kernels that stream through rows take half as long again.
    """
    size = np.dtype(np.float64).itemsize
    width = -(-columns * size // _LINE) * _LINE
    buffer = np.empty(rows * width + _LINE, np.uint8)
    first = -buffer.__array_interface__["data"][0] % _LINE
    return buffer[first : first + rows * width].view(np.float64).reshape(rows, width // size)
