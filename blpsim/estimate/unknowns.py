"""Theta and its derivatives as kernels read and write them, in arrays made once."""

from __future__ import annotations

import numpy as np

from blpsim.arrays import Given, Integers, Places, Tastes, Unknowns
from blpsim.model.layout import Layout


def make_unknowns(layout: Layout, prices: Integers, *, supply: bool) -> Unknowns:
    """Return room for theta, (P,), and for all that kernels derive from it.

    prices  (E,) positions of the X1 columns that depend on prices, none without a supply side
    """
    gamma_given = layout.gamma_given if supply else np.empty(0, np.int64)
    places = Places(
        layout.sigma_rows,
        layout.sigma_cols,
        layout.pi_rows,
        layout.pi_cols,
        layout.rho_moved,
        layout.beta_moved,
        layout.beta_given,
        layout.gamma_moved,
        gamma_given,
        prices,
    )
    sizes = (layout.beta_given.size, gamma_given.size) * 2
    return Unknowns(
        theta=layout.theta0[: layout.known_to_kernels].copy(),
        gradient=np.empty(layout.known_to_kernels),
        places=places,
        tastes=Tastes(layout.sigma0.copy(), layout.pi0.copy(), np.empty(prices.size), layout.links),
        given=Given(*(np.empty(size) for size in sizes)),
        beta=layout.beta0.copy(),
        gamma=layout.gamma0.copy(),
        d_beta=np.zeros(layout.beta0.size),
        d_gamma=np.zeros(layout.gamma0.size),
        rho=layout.rho0.copy(),
        d_rho=np.zeros(layout.rho0.size),
    )
