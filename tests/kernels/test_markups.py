from __future__ import annotations

import itertools

import numpy as np
import pytest

from blpsim.kernels import markups

from . import entrance, logit

FIRMS = np.array([0, 3, 4, 8])


def slopes_of(market, varies, seed=5):
    """Return dV/dp, (J, I), negative; the same in all rows unless it varies by product."""
    rng = np.random.default_rng(seed)
    common = -rng.uniform(0.5, 1.5, market.weights.size)
    rows = rng.uniform(0.5, 1.5, market.delta.size) if varies else np.ones(market.delta.size)
    return rows[:, None] * common


def firm_block(p, a, weights, varies, call=entrance.fill_firm_block):
    size, agents = p.shape
    gamma, own = np.full((size, size + 2), np.nan), np.full(size, np.nan)
    rows = a if varies else a[:1]
    call(gamma, own, p, np.ascontiguousarray(rows), int(varies), weights, np.full(agents, np.nan))
    return gamma, own


def markups_of(market, a, varies):
    """Return eta, (J,), and whether every firm's system is regular."""
    p, shares, eta = market.probabilities, market.shares, np.full(market.delta.size, np.nan)
    regular = []
    for start, stop in itertools.pairwise(FIRMS):
        gamma, own = firm_block(p[start:stop], a[start:stop], market.weights, varies)
        factors, pivots = np.full_like(gamma, np.nan), np.zeros(stop - start, np.int64)
        regular.append(
            entrance.solve_firm_markups(eta[start:stop], factors, pivots, gamma, own, shares[start:stop])
        )
    return eta, all(regular)


def share_derivatives(market, a, step=1e-5):
    """Return the central difference ds_k/dp_j, (J, J)."""
    base = market.delta[:, None] + market.x2 @ market.coefficients
    rows = []
    for j in range(market.delta.size):
        change = np.zeros_like(base)
        change[j] = step * a[j]
        up, down = (logit.probabilities(base + s * change) @ market.weights for s in (1, -1))
        rows.append((up - down) / (2 * step))
    return np.array(rows)


def negative(weights):
    return np.concatenate(([-0.2], weights[1:] * 1.2 / weights[1:].sum()))


@pytest.mark.parametrize("weights", [None, negative])
@pytest.mark.parametrize("varies", [False, True])
def test_markups_satisfy_the_first_order_conditions_of_differenced_demand(varies, weights):
    market = logit.market(weights=weights, sigma=1.0)
    a = slopes_of(market, varies)
    eta, regular = markups_of(market, a, varies)
    firm = np.searchsorted(FIRMS, np.arange(8), side="right")
    owned = firm[:, None] == firm
    assert regular
    assert np.abs(market.shares + (owned * share_derivatives(market, a)) @ eta).max() < 1e-9
    assert (eta > 0).all()


def test_the_markup_of_one_product_in_plain_logit_is_known():
    market = logit.market(1, 1, sigma=0.0)
    gamma, own = firm_block(market.probabilities, np.array([[-2.0]]), market.weights, False)
    eta, factors = np.empty(1), np.empty_like(gamma)
    assert entrance.solve_firm_markups(eta, factors, np.zeros(1, np.int64), gamma, own, market.shares)
    assert eta[0] == pytest.approx(1 / (2 * (1 - market.shares[0])), rel=1e-14)


@pytest.mark.parametrize("varies", [False, True])
def test_gamma_and_lambda_are_their_weighted_sums(varies):
    market = logit.market(7, 70)
    a, p = slopes_of(market, varies), market.probabilities
    gamma, own = firm_block(p, a, market.weights, varies)
    assert np.allclose(own, (a * p) @ market.weights, rtol=1e-12)
    assert np.allclose(gamma[:, :7], (market.weights * a * p) @ p.T, rtol=1e-12)
    assert np.isnan(gamma[:, 7:]).all()
    assert np.allclose(gamma[:, :7], gamma[:, :7].T, rtol=1e-12) == (not varies)


def test_a_price_coefficient_of_zero_has_no_markups():
    market = logit.market()
    assert not markups_of(market, np.zeros((8, 12)), False)[1]


def test_compiled_and_interpreted_kernels_agree():
    market = logit.market(4, 6)
    a, p = slopes_of(market, True), market.probabilities
    compiled = firm_block(p, a, market.weights, True)
    source = firm_block(p, a, market.weights, True, entrance.interpreted(markups.fill_firm_block))
    for ours, theirs in zip(compiled, source, strict=True):
        assert np.allclose(ours, theirs, rtol=1e-13, equal_nan=True)
    etas = np.full((2, 4), np.nan)
    for eta, call in zip(
        etas, (entrance.solve_firm_markups, entrance.interpreted(markups.solve_firm_markups)), strict=True
    ):
        assert call(eta, np.empty((4, 6)), np.zeros(4, np.int64), *compiled, market.shares)
    assert np.allclose(*etas, rtol=1e-12)


@pytest.mark.parametrize("varies", [False, True])
@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_a_firm_block_has_the_same_bits_wherever_arrays_lie(varies, order):
    market = logit.market(seed=3, agents=21)
    arrays = [market.probabilities, slopes_of(market, varies), market.weights, np.empty(21)]
    buffer, places, end = np.empty(sum(array.size for array in arrays)), [np.empty(0)] * 4, 0
    for k in order:
        places[k] = buffer[end : end + arrays[k].size].reshape(arrays[k].shape)
        places[k][...] = arrays[k]
        end += arrays[k].size
    blocks = []
    for p, a, weights, scratch in (arrays, places):
        gamma, own = np.empty((8, 8)), np.empty(8)
        entrance.fill_firm_block(gamma, own, p, a if varies else a[:1], int(varies), weights, scratch)
        blocks.append((gamma, own))
    assert all(np.array_equal(apart, together) for apart, together in zip(*blocks, strict=True))
