"""Values of a wrong kind in every field of what is drawn from."""

from __future__ import annotations

import pytest

import blpsim as bs
from tests.simulate.scenarios import PARTS, scenario
from tests.wrong_values import refused_values

NUMBERS = (-1, 2.5)
DISTRIBUTIONS = [
    (bs.Constant, "value", NUMBERS),
    (bs.Uniform, "low", (-1,)),
    (bs.Uniform, "high", (2.5,)),
    (bs.Normal, "mean", NUMBERS),
    (bs.Normal, "standard_deviation", (2.5,)),
    (bs.Lognormal, "mean", NUMBERS),
    (bs.Lognormal, "standard_deviation", (2.5,)),
    (bs.Exponential, "mean", (2.5,)),
    (bs.Bernoulli, "probability", ()),
    (bs.PerMarket, "distribution", ()),
    (bs.PerProduct, "distribution", ()),
]


@pytest.mark.parametrize(("make", "field", "right"), DISTRIBUTIONS)
def test_a_distribution_refuses_wrong_values(make, field, right):
    refused_values(make, field, right, "Uniform" if make is bs.Uniform else "")


def test_a_choice_refuses_values_and_probabilities_of_a_wrong_kind():
    refused_values(lambda values: bs.Choice(1, values), "values", NUMBERS)
    refused_values(lambda **given: bs.Choice(1, 2, **given), "probabilities", (None,))


def test_one_of_some_distributions_refuses_what_is_none():
    refused_values(lambda distributions: bs.OneOf(bs.Uniform(), distributions), "distributions")


@pytest.mark.parametrize(
    ("field", "right"), [("number", ()), ("firms", ()), ("products_per_firm", ()), ("panel", (True,))]
)
def test_markets_refuse_wrong_values(field, right):
    refused_values(lambda **changes: bs.Markets(**{"number": 2, **changes}), field, right)


@pytest.mark.parametrize(
    ("field", "right"),
    [
        ("xi_variance", (2.5,)),
        ("omega_variance", (2.5,)),
        ("covariance", (-1,)),
        ("phi", ()),
        ("product_share", ()),
    ],
)
def test_errors_refuse_wrong_values(field, right):
    refused_values(lambda **changes: bs.Errors(**{"omega_variance": 1.0, **changes}), field, right)


@pytest.mark.parametrize("field", [*PARTS, "demographics", "conduct", "prices", "stream_key"])
def test_a_scenario_refuses_wrong_values(field):
    right = {"demographics": (None,), "stream_key": ("abc",)}.get(field, ())
    refused_values(scenario, field, right)


def test_a_dataset_is_drawn_from_streams_only():
    refused_values(scenario().generate, "streams")
