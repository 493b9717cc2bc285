from __future__ import annotations

import itertools

import numpy as np
import pytest

from blpsim.arrays import Consumers, Offsets, Slopes, Tastes
from blpsim.kernels.pricing import Equilibrium, solve_equilibrium
from blpsim.kernels.zeta import PricedUtilities, pricing_bench

FIRM_SIZES = ([3, 1, 2], [1], [2, 4])


def economy(*, alpha=-1.0, sigma=1.5, sigma_price=0.0, level=1.0, seed=0, price_slopes=False, agents=11):
    """Return utilities, offsets and costs of three markets of unlike size."""
    rng = np.random.default_rng(seed)
    sizes = np.array([size for market in FIRM_SIZES for size in market])
    firm_products = np.append(0, np.cumsum(sizes))
    firms = np.append(0, np.cumsum([len(market) for market in FIRM_SIZES]))
    agent_ends = np.append(0, np.cumsum([agents, agents + 3, agents]))
    products, people = int(firm_products[-1]), int(agent_ends[-1])
    weights = rng.uniform(0.5, 1.5, people)
    for first, last in itertools.pairwise(agent_ends):
        weights[first:last] /= weights[first:last].sum()
    d_x1 = rng.uniform(0.5, 1.5, (products, 1)) if price_slopes else np.ones((products, 1))
    x2 = np.column_stack([rng.uniform(size=products), np.zeros(products)])
    d_x2 = np.zeros((products, 2))
    if sigma_price:
        d_x2[:, 1] = d_x1[:, 0]
    links = np.zeros(2, np.int64)
    utilities = PricedUtilities(
        level + rng.normal(size=products),
        x2,
        Slopes(d_x1, d_x2, price_slopes),
        Tastes(np.diag([sigma, sigma_price]), np.array([[0.3], [0.0]]), np.array([alpha]), links),
        Consumers(rng.normal(size=(2, people)), rng.normal(size=(1, people)), weights),
    )
    offsets = Offsets(firm_products[firms], agent_ends, firms, firm_products)
    return utilities, offsets, rng.uniform(1, 3, products)


def solve(utilities, offsets, costs, limits=(100, 5_000), start=0.0):
    markets, products = offsets.products.size - 1, costs.size
    equilibrium = Equilibrium(
        np.full(products, start), np.empty(products), np.empty(markets), np.zeros(markets, np.int64)
    )
    solve_equilibrium(equilibrium, utilities, offsets, costs, 1e-12, limits, pricing_bench(offsets, 2))
    return equilibrium


def probabilities(utilities, offsets, prices):
    """Return a list of (J, I) choice probabilities, a market each, written without any care for speed."""
    tastes, consumers, slopes = utilities.tastes, utilities.consumers, utilities.slopes
    coefficients = tastes.sigma @ consumers.nodes + tastes.pi @ consumers.demographics
    found = []
    for t in range(offsets.products.size - 1):
        j = slice(*offsets.products[t : t + 2])
        i = slice(*offsets.agents[t : t + 2])
        a = (slopes.x1[j] @ tastes.alpha)[:, None] + slopes.x2[j] @ coefficients[:, i]
        v = utilities.delta[j, None] + utilities.x2[j] @ coefficients[:, i] + a * prices[j, None]
        largest = np.maximum(v.max(axis=0), 0)
        odds = np.exp(v - largest)
        found.append(odds / (np.exp(-largest) + odds.sum(axis=0)))
    return found


def shares_of(utilities, offsets, prices):
    found = probabilities(utilities, offsets, prices)
    ends = offsets.agents
    weights = [utilities.consumers.weights[a:b] for a, b in itertools.pairwise(ends)]
    return np.concatenate([p @ w for p, w in zip(found, weights, strict=True)])


def profit_derivatives(utilities, offsets, costs, prices, step=1e-5):
    """Return the central difference of each product's firm's profit in the product's price."""
    firm = np.repeat(np.arange(offsets.firm_products.size - 1), np.diff(offsets.firm_products))

    def profit(j, change):
        moved = prices.copy()
        moved[j] += change
        own = firm == firm[j]
        return ((moved - costs) * shares_of(utilities, offsets, moved))[own].sum()

    return np.array([(profit(j, step) - profit(j, -step)) / (2 * step) for j in range(costs.size)])


CASES = {
    "agents share slopes": {},
    "agents differ in slopes": {"sigma_price": 0.2, "alpha": -2.0},
    "products differ in slopes": {"price_slopes": True},
    "both differ in slopes": {"price_slopes": True, "sigma_price": 0.2, "alpha": -2.0},
    "inside goods take nearly all": {"level": 12.0},
    "many agents": {"agents": 300, "sigma_price": 0.1, "alpha": -2.0},
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_no_firm_gains_by_changing_a_price(case):
    utilities, offsets, costs = economy(**case)
    equilibrium = solve(utilities, offsets, costs)
    prices = costs + equilibrium.markups
    assert np.all(equilibrium.residuals < 1e-12)
    assert np.all(equilibrium.markups > 0)
    np.testing.assert_allclose(equilibrium.shares, shares_of(utilities, offsets, prices), rtol=1e-12)
    np.testing.assert_allclose(profit_derivatives(utilities, offsets, costs, prices), 0, atol=1e-9)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_acceleration_and_the_plain_iteration_find_the_same_prices(case):
    accelerated, plain = solve(*economy(**case)), solve(*economy(**case), limits=(0, 5_000))
    np.testing.assert_allclose(accelerated.markups, plain.markups, rtol=1e-7)
    assert np.all(accelerated.evaluations[[0, 2]] < plain.evaluations[[0, 2]])


def test_the_plain_iteration_takes_over_where_the_acceleration_is_cut_short():
    full, cut = solve(*economy()), solve(*economy(), limits=(3, 5_000))
    assert np.all(cut.residuals < 1e-12)
    np.testing.assert_allclose(cut.markups, full.markups, rtol=1e-8)


def test_one_plain_step_puts_zeta_in_the_place_of_markups():
    utilities, offsets, costs = economy(sigma_price=0.2, alpha=-2.0)
    start = 0.7
    step = solve(utilities, offsets, costs, limits=(0, 1), start=start)
    coefficients = utilities.tastes.sigma @ utilities.consumers.nodes
    coefficients = coefficients + utilities.tastes.pi @ utilities.consumers.demographics
    p = probabilities(utilities, offsets, costs + start)[0]
    w = utilities.consumers.weights[: offsets.agents[1]]
    a = -2.0 + coefficients[1, : offsets.agents[1]]
    own = np.kron(np.diag([1, 0, 0]), np.ones((3, 3)))
    own = np.zeros((6, 6))
    for first, last in ((0, 3), (3, 4), (4, 6)):
        own[first:last, first:last] = 1
    capital, gamma = p @ (w * a), (p * (w * a)) @ p.T
    zeta = ((own * gamma) @ np.full(6, start) - p @ w) / capital
    np.testing.assert_allclose(step.markups[:6], zeta, rtol=1e-12)


@pytest.mark.parametrize(
    "case",
    [
        {"alpha": 0.0},
        {"alpha": 1.0},
        {"level": np.inf},
        {"level": np.nan},
        {"sigma_price": 50.0},
    ],
    ids=str,
)
def test_an_economy_without_equilibrium_leaves_a_residual_above_the_tolerance(case):
    assert not np.any(solve(*economy(**case)).residuals < 1e-12)


@pytest.mark.parametrize("level", [-650.0, -100.0, 100.0, 650.0])
def test_utilities_of_any_size_neither_overflow_nor_give_up(level):
    utilities, offsets, costs = economy(level=level)
    equilibrium = solve(utilities, offsets, costs)
    assert np.all(equilibrium.residuals < 1e-12)
    assert np.all(equilibrium.shares > 0)
    expected = shares_of(utilities, offsets, costs + equilibrium.markups)
    np.testing.assert_allclose(equilibrium.shares, expected, rtol=1e-9)


def test_small_shares_get_their_markups_too():
    utilities, offsets, costs = economy(level=-40.0)
    markups = solve(utilities, offsets, costs).markups
    np.testing.assert_allclose(markups, 1.0, rtol=1e-8)


def test_one_failing_market_leaves_the_others_alone():
    utilities, offsets, costs = economy()
    fine = solve(utilities, offsets, costs)
    utilities.delta[offsets.products[1]] = np.nan
    hurt = solve(utilities, offsets, costs)
    np.testing.assert_array_equal(np.isfinite(hurt.residuals), [True, False, True])
    np.testing.assert_array_equal(hurt.markups[:6], fine.markups[:6])
    np.testing.assert_array_equal(hurt.markups[7:], fine.markups[7:])
