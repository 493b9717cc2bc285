from __future__ import annotations

import numpy as np
import pytest

from blpsim.kernels import adjoint

from . import entrance, logit

VARIES = pytest.mark.parametrize("varies", [False, True])


class Firm:
    """All products of a market, with multipliers m and markups eta that are held fixed."""

    def __init__(self, varies, agents=40):
        rng = np.random.default_rng(6)
        self.market = logit.market(6, agents)
        self.varies, self.weights = varies, self.market.weights
        self.m, self.eta = rng.normal(size=6), rng.uniform(0.5, 1.5, 6)
        slopes = -rng.uniform(0.5, 1.5, (6 if varies else 1, agents))
        self.slopes = np.broadcast_to(slopes, (6, agents)).copy()
        self.utilities = self.market.delta[:, None] + self.market.x2 @ self.market.coefficients

    def gamma(self, p, slopes):
        return (self.weights * slopes * p) @ p.T

    def own(self, p, slopes):
        return (slopes * p) @ self.weights

    def psi(self, p, slopes):
        """Return m' Delta eta."""
        gamma, own = self.gamma(p, slopes), self.own(p, slopes)
        return self.m @ (gamma - np.diag(own)) @ self.eta

    @property
    def rows(self):
        return self.slopes if self.varies else self.slopes[:1]

    def sums(self, call=entrance.fill_firm_sums):
        agents = self.weights.size
        sums, total = np.full((2, agents + 2), np.nan), np.ones(agents)
        p = self.market.probabilities
        call(sums, total, p, np.ascontiguousarray(self.rows), int(self.varies), self.m, self.eta)
        return sums, total

    def products(self, call=entrance.fill_supply_product):
        """Return v and Q, (J, I) each, without what works through delta."""
        sums, total = self.sums()
        common = -self.weights * (total - 1)
        agents, rows = self.weights.size, self.market.probabilities
        values, sum_of_q = np.full((6, 2, agents), np.nan), []
        for j in range(6):
            scalars = (0.0, self.m[j], self.eta[j])
            sum_of_q.append(call(values[j], rows[j], common, self.weights, sums, self.slopes[j], scalars))
        assert np.allclose(sum_of_q, values[:, 1].sum(axis=1), rtol=0, atol=1e-14)
        return values[:, 0], values[:, 1]


def central(function, point, step=1e-5):
    """Return the gradient of a function of a matrix."""
    gradient = np.empty_like(point)
    for index in np.ndindex(point.shape):
        up, down = point.copy(), point.copy()
        up[index] += step
        down[index] -= step
        gradient[index] = (function(up) - function(down)) / (2 * step)
    return gradient


@VARIES
def test_firm_sums_are_sums_over_the_firms_products(varies):
    firm = Firm(varies)
    sums, total = firm.sums()
    p, slopes = firm.market.probabilities, firm.slopes
    markup, multiplier = firm.eta @ p, firm.m @ (slopes * p)
    assert np.allclose(sums[:, :40], [markup, multiplier], rtol=1e-12, atol=1e-15)
    both = 2 * markup * multiplier - (firm.m * firm.eta) @ (slopes * p)
    assert np.allclose(total, 1 + both, rtol=1e-12)


@VARIES
def test_v_is_the_derivative_of_the_markup_equation_by_utilities(varies):
    firm = Firm(varies, agents=5)
    expected = central(lambda v: firm.psi(logit.probabilities(v), firm.slopes), firm.utilities)
    assert np.abs(firm.products()[0] - expected).max() < 1e-9 * np.abs(expected).max()


@VARIES
def test_q_is_the_derivative_of_the_markup_equation_by_slopes(varies):
    firm = Firm(varies, agents=5)
    expected = central(lambda a: firm.psi(firm.market.probabilities, a), firm.slopes)
    assert np.abs(firm.products()[1] - expected).max() < 1e-9 * np.abs(expected).max()


@VARIES
def test_supply_seeds_less_what_all_products_share_are_the_derivative_by_delta(varies):
    firm = Firm(varies)
    p = firm.market.probabilities
    gamma, own = firm.gamma(p, firm.slopes), firm.own(p, firm.slopes)
    right = np.ones(6)
    entrance.supply_seeds(right, firm.m, firm.eta, np.ascontiguousarray(gamma), own)
    m, eta = firm.m, firm.eta
    assert np.allclose(right, 1 + m * (gamma @ eta) + eta * (gamma.T @ m) - m * eta * own, rtol=1e-12)
    change = central(
        lambda d: firm.psi(logit.probabilities(firm.utilities + d), firm.slopes), np.zeros((6, 1))
    )
    _, total = firm.sums()
    assert np.allclose(right - 1 - p @ (firm.weights * (total - 1)), change[:, 0], rtol=0, atol=1e-9)


def test_without_supply_v_is_the_derivative_of_shares_times_a_multiplier():
    firm = Firm(False, agents=5)
    p, w, multiplier = firm.market.probabilities, firm.weights, firm.m
    v = np.full((6, 5), np.nan)
    for j in range(6):
        entrance.fill_demand_product(v[j], p[j], w * (multiplier @ p), w, multiplier[j])
    expected = central(lambda u: -multiplier @ logit.probabilities(u) @ w, firm.utilities)
    assert np.abs(v - expected).max() < 1e-9 * np.abs(expected).max()


def test_loadings_collect_derivatives_times_the_markets_own_draws():
    rng = np.random.default_rng(7)
    derivatives, draws = rng.normal(size=(2, 8)), rng.normal(size=(3, 20))
    derivatives[:, 6:], draws[:, [4, 11]] = np.nan, np.nan
    found = np.ones((2, 3))
    entrance.add_loadings(found, derivatives, draws, 5, 11)
    assert np.allclose(found, 1 + derivatives[:, :6] @ draws[:, 5:11].T, rtol=1e-12)


@VARIES
def test_compiled_and_interpreted_kernels_agree(varies):
    firm = Firm(varies, agents=5)
    plain = firm.sums(entrance.interpreted(adjoint.fill_firm_sums))
    for ours, theirs in zip(firm.sums(), plain, strict=True):
        assert np.allclose(ours, theirs, rtol=1e-12, equal_nan=True)
    plain = firm.products(entrance.interpreted(adjoint.fill_supply_product))
    for ours, theirs in zip(firm.products(), plain, strict=True):
        assert np.allclose(ours, theirs, rtol=0, atol=1e-14)
