"""The paper's letters: types of arrays, and the arrays of all markets concatenated.

Letters that kernels and models use, each with one meaning:

J, I, T, F          products, agents, markets, firms (as dimensions)
K1, K2, K3, D       columns of X1, X2, X3, and demographics
delta, mu, V        mean utility, an agent's deviation from it, their sum
xi, omega           unobserved demand and cost characteristics
nu, d, w            nodes, demographics, weights of agents
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


class Slopes(NamedTuple):
    """Derivatives of the characteristics with respect to the product's own price."""

    x1: Matrix
    """(N, E) of the X1 columns that depend on prices."""
    x2: Matrix
    """(N, K2) of the X2 columns, zero where they do not depend on prices."""
    varies: bool
    """Whether the derivative of utility differs between products of one market."""
