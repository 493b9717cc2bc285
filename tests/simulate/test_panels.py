"""Panels: the same products in all markets, with errors that remember."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import scipy.linalg

import blpsim as bs
from blpsim.simulate.markets import Assign, Errors, Markets

from .scenarios import PARTS, scenario

PANEL = Markets(number=5, firms=bs.Choice(2, 3), products_per_firm=bs.Choice(1, 2, 3), panel=True)
STREAMS = bs.Streams(seed=1, replication=0, stream_key="a key")
COVARIANCE = np.array([[0.2, 0.05], [0.05, 0.3]])
PHI = ((0.7, 0.1), (-0.2, 0.4))


def errors(**changes):
    given = {"xi_variance": 0.2, "omega_variance": 0.3, "covariance": 0.05}
    return Errors(**{**given, **changes})


def test_a_panel_has_the_same_products_of_the_same_firms_in_all_markets():
    products = scenario(markets=PANEL).generate(STREAMS).economy.products
    columns, each = products.columns, products.number // 5
    assert np.diff(products.market_offsets).tolist() == [each] * 5
    for name in ("firm_ids", "product_ids", "clustering_ids"):
        by_market = columns[name].reshape(5, each)
        assert (by_market == by_market[0]).all()
    assert columns["product_ids"][:each].tolist() == list(range(each))
    frame = products.frame()
    again = bs.Problem(
        PARTS["model"],
        frame.assign(demand_instruments0=np.random.default_rng(0).normal(size=len(frame))),
        integration=bs.Integration("product", 3),
    ).setting.products
    for name in ("market_offsets", "firm_offsets", "market_firms"):
        assert np.array_equal(getattr(products, name), getattr(again, name))
    assert not np.array_equal(columns["x"][:each], columns["x"][each : 2 * each])


def test_characteristics_of_a_product_may_stay():
    made = scenario(
        markets=PANEL, characteristics={**PARTS["characteristics"], "x": bs.PerProduct(bs.Uniform())}
    )
    x = made.generate(STREAMS).economy.products.columns["x"].reshape(5, -1)
    assert (x == x[0]).all()
    assert np.unique(x[0]).size == x.shape[1]


def test_characteristics_of_products_are_refused_where_markets_differ():
    made = scenario(
        markets=Markets(number=5, firms=bs.Choice(2, 3)), characteristics={**PARTS["characteristics"]}
    )
    with pytest.raises(
        bs.ConfigurationError, match=r"PerProduct = .*: expected equal numbers in all markets"
    ):
        dataclasses.replace(
            made, characteristics={**PARTS["characteristics"], "x": bs.PerProduct(bs.Uniform())}
        ).generate(STREAMS)


@pytest.mark.parametrize("by", ["product", "firm"])
def test_a_product_stays_in_its_nest(by):
    structure = Markets(number=4, firms=3, products_per_firm=5, panel=True).draw(np.random.default_rng(0))
    nests = Assign(3, by=by).draw(np.random.default_rng(1), structure).reshape(4, 15)
    assert (nests == nests[0]).all()
    assert (np.ptp(nests[0].reshape(3, 5), axis=1) == 0).all() == (by == "firm")


@pytest.mark.parametrize("phi", [0.6, PHI], ids=["number", "matrix"])
def test_errors_are_stationary_with_the_autocovariances_of_their_process(phi):
    """Over 200,000 products, moments have errors near 0.3 / sqrt(200,000) = 7e-4."""
    drawn = np.array(errors(phi=phi).draw_panel(np.random.default_rng(0), 4, 200_000)).reshape(2, 4, -1)
    matrix = np.eye(2) * phi if isinstance(phi, float) else np.array(phi)
    for t in range(4):
        np.testing.assert_allclose(np.cov(drawn[:, t]), COVARIANCE, atol=4e-3)
        expected = np.linalg.matrix_power(matrix, t) @ COVARIANCE
        found = drawn[:, t] @ drawn[:, 0].T / drawn.shape[2]
        np.testing.assert_allclose(found, expected, atol=4e-3)


def test_innovations_have_the_covariance_that_pyblps_process_is_stationary_with():
    """PyBLP starts at the solution of Lyapunov's equation, given the covariance of innovations."""
    matrix = np.array(PHI)
    innovations = COVARIANCE - matrix @ COVARIANCE @ matrix.T
    np.testing.assert_allclose(
        scipy.linalg.solve_discrete_lyapunov(matrix, innovations), COVARIANCE, rtol=1e-12
    )
    drawn = np.array(errors(phi=PHI).draw_panel(np.random.default_rng(0), 3, 200_000)).reshape(2, 3, -1)
    found = drawn[:, 2] - matrix @ drawn[:, 1]
    np.testing.assert_allclose(np.cov(found), innovations, atol=4e-3)
    assert np.abs(found @ drawn[:, 0].T / drawn.shape[2]).max() < 4e-3


@pytest.mark.parametrize("phi", [0.0, 0.5])
def test_a_part_of_the_errors_is_the_products_own(phi):
    drawn = np.array(errors(phi=phi, product_share=0.4).draw_panel(np.random.default_rng(0), 3, 200_000))
    drawn = drawn.reshape(2, 3, -1)
    for t in range(3):
        found = drawn[:, t] @ drawn[:, 0].T / drawn.shape[2]
        np.testing.assert_allclose(found, (0.4 + 0.6 * phi**t) * COVARIANCE, atol=4e-3)


def test_errors_that_are_wholly_the_products_own_stay_in_all_markets():
    xi, omega = errors(product_share=1.0).draw_panel(np.random.default_rng(0), 3, 7)
    assert (xi.reshape(3, 7) == xi[:7]).all()
    assert (omega.reshape(3, 7) == omega[:7]).all()


def test_a_panel_without_dynamics_has_the_errors_of_markets_without_a_panel():
    flat = Markets(number=5, firms=2, products_per_firm=3)
    plain, panel = (
        scenario(markets=dataclasses.replace(flat, panel=which)).generate(STREAMS).economy
        for which in (False, True)
    )
    assert np.array_equal(plain.xi, panel.xi)
    assert np.array_equal(plain.products.prices, panel.products.prices)
    assert (
        scenario(markets=flat, errors=errors(phi=0.0)).stream_key
        == scenario(markets=flat, errors=errors()).stream_key
    )


def test_a_datasets_errors_are_those_of_the_process():
    """A regression of xi on that of the market before, with 40 x 90 products: an error of 0.013."""
    made = scenario(
        markets=Markets(number=90, firms=8, products_per_firm=5, panel=True),
        errors=bs.Errors(xi_variance=0.2, omega_variance=0.2, covariance=0.1, phi=0.6),
        model=bs.Model(linear="1 + x + prices", supply="1 + x + w"),
        truth=bs.Parameters(beta=[-7, 6, -1], gamma=[2, 1, 0.2]),
        consumers=None,
    )
    for errors_of in ("xi", "omega"):
        drawn = getattr(made.generate(STREAMS).economy, errors_of).reshape(90, 40)
        slope = (drawn[1:] * drawn[:-1]).sum() / (drawn[:-1] ** 2).sum()
        assert slope == pytest.approx(0.6, abs=0.07)


def test_product_effects_may_stand_in_formulas_of_a_panel():
    made = scenario(
        markets=Markets(number=5, firms=2, products_per_firm=2, panel=True),
        model=bs.Model(linear="0 + C(product_ids) + prices", nonlinear="0 + x", supply="1 + x + w"),
        truth=bs.Parameters(beta=[-3, -2, -3, -2, -1], sigma=[[1.0]], gamma=[2, 1, 0.2]),
    )
    economy = made.generate(STREAMS).economy
    delta = economy.delta + economy.products.prices - economy.xi
    np.testing.assert_allclose(delta.reshape(5, 4), [[-3, -2, -3, -2]] * 5, rtol=1e-12)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: errors(phi=1.0), "Errors.phi = 1.0: expected eigenvalues inside the unit circle"),
        (lambda: errors(phi=((0.5, 3.0), (0.4, 0.5))), "Errors.phi = .*: expected eigenvalues inside"),
        (lambda: errors(phi=((0.0, 0.9), (0.9, 0.0))), "Errors.phi = .*: expected phi with which S"),
        (lambda: errors(product_share=1.5), r"Errors.product_share = 1.5: expected in \[0, 1\]"),
        (
            lambda: scenario(errors=errors(phi=0.5)),
            "Scenario.errors.phi = 0.5: expected 0 without Markets.pa",
        ),
        (
            lambda: scenario(errors=errors(product_share=0.5)),
            "Scenario.errors.product_share = 0.5: expected 0 without Markets.panel",
        ),
        (
            lambda: scenario(
                markets=PANEL, characteristics={**PARTS["characteristics"], "product_ids": bs.Uniform()}
            ),
            "Scenario.characteristics = product_ids: expected another name",
        ),
    ],
)
def test_processes_that_do_not_exist_are_refused(make, message):
    with pytest.raises(bs.ConfigurationError, match=message):
        make()


def test_phi_varies_in_a_design():
    made = scenario(markets=PANEL, errors=errors(phi=0.1))
    varied = bs.vary(made, {"errors.phi": (0.0, 0.5)})
    xi = [each.generate(dataclasses.replace(STREAMS, stream_key="")).economy.xi for each in varied.values()]
    each = xi[0].size // 5
    assert not np.array_equal(xi[0], xi[1])
    assert xi[0].size == 5 * each
