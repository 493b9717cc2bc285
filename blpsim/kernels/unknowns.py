"""Theta taken apart for the kernels, and the objective's derivatives put together again."""

from __future__ import annotations

from blpsim.arrays import State, Unknowns
from blpsim.kernels.choice import fill, is_finite
from blpsim.kernels.compile import inner_kernel


@inner_kernel
def take_apart(unknowns: Unknowns) -> bool:
    """Fill tastes and given coefficients from theta; return whether theta is finite."""
    theta, places, tastes, given = unknowns.theta, unknowns.places, unknowns.tastes, unknowns.given
    n = 0
    for k in range(places.sigma_rows.size):
        tastes.sigma[places.sigma_rows[k], places.sigma_columns[k]] = theta[n]
        n += 1
    for k in range(places.pi_rows.size):
        tastes.pi[places.pi_rows[k], places.pi_columns[k]] = theta[n]
        n += 1
    for k in range(places.rho_moved.size):
        unknowns.rho[places.rho_moved[k]] = theta[n]
        n += 1
    for k in range(places.beta_moved.size):
        unknowns.beta[places.beta_moved[k]] = theta[n]
        n += 1
    for k in range(places.gamma_moved.size):
        unknowns.gamma[places.gamma_moved[k]] = theta[n]
        n += 1
    for k in range(given.beta.size):
        given.beta[k] = unknowns.beta[places.beta_given[k]]
    for k in range(given.gamma.size):
        given.gamma[k] = unknowns.gamma[places.gamma_given[k]]
    for e in range(tastes.alpha.size):
        tastes.alpha[e] = unknowns.beta[places.prices[e]]
    total = 0.0
    for k in range(theta.size):
        total += theta[k]
    return is_finite(total)


@inner_kernel
def put_together(unknowns: Unknowns, state: State) -> bool:
    """Fill the gradient from the state's derivatives and of what is given; return if it is finite."""
    gradient, places, given = unknowns.gradient, unknowns.places, unknowns.given
    fill(unknowns.d_beta, 0.0)
    for k in range(given.d_beta.size):
        unknowns.d_beta[places.beta_given[k]] = given.d_beta[k]
    for e in range(places.prices.size):
        unknowns.d_beta[places.prices[e]] += state.d_alpha[e]
    for k in range(given.d_gamma.size):
        unknowns.d_gamma[places.gamma_given[k]] = given.d_gamma[k]
    n = 0
    for k in range(places.sigma_rows.size):
        gradient[n] = state.d_sigma[places.sigma_rows[k], places.sigma_columns[k]]
        n += 1
    for k in range(places.pi_rows.size):
        gradient[n] = state.d_pi[places.pi_rows[k], places.pi_columns[k]]
        n += 1
    for k in range(places.rho_moved.size):
        gradient[n] = unknowns.d_rho[places.rho_moved[k]]
        n += 1
    for k in range(places.beta_moved.size):
        gradient[n] = unknowns.d_beta[places.beta_moved[k]]
        n += 1
    for k in range(places.gamma_moved.size):
        gradient[n] = unknowns.d_gamma[places.gamma_moved[k]]
        n += 1
    total = 0.0
    for k in range(gradient.size):
        total += gradient[k]
    return is_finite(total)
