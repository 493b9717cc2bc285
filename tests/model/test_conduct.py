from __future__ import annotations

import pickle

import numpy as np
import pytest

import blpsim as bs
from blpsim.fingerprint import fingerprint
from blpsim.model.conduct import Conduct, read_conduct
from tests.wrong_values import refused_values

FIRMS = np.array([0, 1, 3])
NAMES = np.array(["a", "b"])


def test_a_fraction_is_of_all_others_profits():
    weights = bs.Ownership(0.25).weights(FIRMS)
    np.testing.assert_array_equal(weights, 0.25 + 0.75 * np.eye(3))


def test_a_mapping_names_who_has_whose_profits_in_mind():
    stakes = bs.Ownership({("a", "b"): 0.2})
    np.testing.assert_array_equal(stakes.weights(NAMES), [[1, 0.2], [0, 1]])


def test_a_matrix_is_counted_by_firm_ids():
    kappa = np.arange(16.0).reshape(4, 4) / 20 + np.eye(4)
    np.testing.assert_array_equal(bs.Ownership(kappa).weights(FIRMS), kappa[np.ix_(FIRMS, FIRMS)])


def test_a_function_takes_the_price_setters_name_first():
    kappa = bs.Ownership(lambda f, g: 1.0 if f == g else f / 10)
    np.testing.assert_array_equal(kappa.weights(FIRMS), [[1, 0, 0], [0.1, 1, 0.1], [0.3, 0.3, 1]])


@pytest.mark.parametrize("firms", [NAMES, np.array([0, 2]), np.array([-1, 0]), np.array([0.5])])
def test_a_matrix_without_a_row_for_a_firm_is_refused(firms):
    with pytest.raises(bs.ConfigurationError, match=r"^Ownership\.kappa = a matrix for firms 0 to 1, but"):
        bs.Ownership(np.eye(2)).weights(firms)


@pytest.mark.parametrize("value", [np.nan, np.inf, "abc"])
def test_a_function_whose_values_are_no_weights_is_refused(value):
    with pytest.raises(bs.ConfigurationError, match=r"^Ownership\.kappa = .*(finite )?numbers"):
        bs.Ownership(lambda f, g: 1.0 if f == g else value).weights(FIRMS)


@pytest.mark.parametrize("own", [0.0, -1.0])
def test_whoever_sets_a_price_has_its_product_in_mind(own):
    for kappa in ([[own, 0.1], [0.1, 1.0]], {(0, 0): own}):
        with pytest.raises(bs.ConfigurationError, match="positive numbers on the diagonal"):
            bs.Ownership(kappa).weights(np.arange(2))


def test_weights_of_a_wrong_kind_are_refused():
    refused_values(bs.Ownership, "kappa")
    for kappa in (-0.1, 1.1, np.ones((2, 3)), {("a", "b"): np.inf}, {"ab": 1.0}, {("a", "b", "c"): 1.0}):
        with pytest.raises(bs.ConfigurationError, match=r"^Ownership\.kappa"):
            bs.Ownership(kappa)


@pytest.mark.parametrize("kappa", [0.3, {("a", "b"): 0.2}, [[1.0, 0.2], [0.0, 1.0]]])
def test_a_rule_is_a_value(kappa):
    rule = bs.Ownership(kappa)
    assert rule == bs.Ownership(kappa) == pickle.loads(pickle.dumps(rule))
    assert fingerprint(rule) == fingerprint(bs.Ownership(kappa)) != fingerprint(bs.Ownership(0.5))


def test_pyblps_name_of_single_product_firms_is_read():
    assert read_conduct("conduct", "single") is Conduct.SINGLE_PRODUCT
