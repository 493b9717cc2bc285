from __future__ import annotations

import numpy as np
import pytest

from blpsim.errors import ConfigurationError
from blpsim.simulate.distributions import Choice, Uniform
from blpsim.simulate.markets import Errors, Markets


def test_every_market_has_as_many_firms_and_products_as_were_drawn():
    structure = Markets(number=300, firms=Choice(2, 5), products_per_firm=Choice(1, 3)).draw(
        np.random.default_rng(0)
    )
    firms, products = np.diff(structure.market_firms), np.diff(structure.firm_offsets)
    assert firms.size == 300
    assert set(firms) == {2, 5}
    assert set(products) == {1, 3}
    assert structure.market_offsets[-1] == products.sum()
    np.testing.assert_array_equal(structure.market_offsets, structure.firm_offsets[structure.market_firms])


def test_all_markets_of_a_dataset_have_as_many_firms_if_asked_for():
    markets = Markets(number=20, firms=Choice(2, 5), products_per_firm=Choice(1, 3), firms_by="dataset")
    drawn = [markets.draw(np.random.default_rng(seed)) for seed in range(10)]
    firms = [np.diff(structure.market_firms) for structure in drawn]
    assert all(found.size == 20 and np.ptp(found) == 0 for found in firms)
    assert {int(found[0]) for found in firms} == {2, 5}
    # Products are drawn for each firm of each market as before.
    assert all(set(np.diff(structure.firm_offsets)) == {1, 3} for structure in drawn)


def test_firms_are_numbered_within_their_market():
    columns = Markets(number=2, firms=2, products_per_firm=2).draw(np.random.default_rng(0)).columns()
    np.testing.assert_array_equal(columns["market_ids"], [0, 0, 0, 0, 1, 1, 1, 1])
    np.testing.assert_array_equal(columns["firm_ids"], [0, 0, 1, 1, 0, 0, 1, 1])


def test_errors_have_the_covariance_asked_for():
    drawn = Errors(xi_variance=0.2, omega_variance=0.3, covariance=-0.1).draw(
        np.random.default_rng(0), 100_000
    )
    np.testing.assert_allclose(np.cov(drawn), [[0.2, -0.1], [-0.1, 0.3]], atol=0.005)


def test_errors_of_variance_zero_are_zero():
    xi, omega = Errors(xi_variance=0.0, omega_variance=0.0).draw(np.random.default_rng(0), 5)
    np.testing.assert_array_equal(xi, 0)
    np.testing.assert_array_equal(omega, 0)


def test_perfectly_correlated_errors_are_allowed():
    xi, omega = Errors(xi_variance=0.2, omega_variance=0.2, covariance=0.2).draw(np.random.default_rng(0), 9)
    np.testing.assert_allclose(xi, omega, rtol=1e-7)


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: Markets(number=0), "Markets.number"),
        (lambda: Markets(number=2.5), "Markets.number"),
        (lambda: Markets(number=1, firms=0), "Markets.firms"),
        (lambda: Markets(number=1, products_per_firm=Choice(0, 1)), "Markets.products_per_firm"),
        (lambda: Markets(number=1, firms="two"), "Markets.firms"),
        (lambda: Markets(number=1, firms_by="firm"), "Markets.firms_by"),
        (lambda: Markets(number=1, firms=Uniform()).draw(np.random.default_rng(0)), "Markets.firms"),
        (lambda: Errors(xi_variance=-1), "Errors.xi_variance"),
        (lambda: Errors(xi_variance=np.nan), "Errors.xi_variance"),
        (lambda: Errors(xi_variance=1, omega_variance=1, covariance=1.1), "Errors.covariance"),
        (lambda: Errors(xi_variance=1, covariance=0.1), "Errors.covariance"),
    ],
)
def test_what_cannot_be_is_refused_by_name(make, field):
    with pytest.raises(ConfigurationError, match=field):
        make()
