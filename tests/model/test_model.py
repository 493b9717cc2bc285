"""Models: what they refuse, and what their formulas need."""

import dataclasses
import pickle
import re

import numpy as np
import pytest

from blpsim.errors import BlpsimError, ConfigurationError, FormulaError
from blpsim.model.model import Model


@pytest.mark.parametrize(
    ("parts", "error", "message"),
    [
        ({"linear": "1 + prices", "costs": "cubic"}, ConfigurationError, "Model.costs = cubic: expected 'li"),
        (
            {"linear": "1 + prices", "demographics": "0 + income"},
            ConfigurationError,
            "Model.demographics = 0 + income: expected None without Model.nonlinear",
        ),
        (
            {"linear": "1 + prices", "rc_types": ("log",)},
            ConfigurationError,
            "Model.rc_types = ('log',): expected None without Model.nonlinear",
        ),
        (
            {"linear": "1 + prices", "nonlinear": "1", "rc_types": ("lognormal",)},
            ConfigurationError,
            "Model.rc_types[0] = lognormal: expected 'linear' or 'log' or 'logit'",
        ),
        (
            {"linear": "1 + prices", "nonlinear": "1", "rc_types": "log"},
            ConfigurationError,
            "Model.rc_types = log: expected a tuple",
        ),
        (
            {"linear": "1 + prices", "absorb_supply": "C(a)"},
            ConfigurationError,
            "Model.absorb_supply = C(a): expected None without Model.supply",
        ),
        (
            {"linear": "1 + prices", "supply": "1 + prices"},
            FormulaError,
            "Model.supply = 1 + prices: expected a formula without prices",
        ),
        ({"linear": "1 + shares"}, FormulaError, "Model.linear = 1 + shares: expected a formula without"),
        (
            {"linear": "1 + prices", "nonlinear": "1 + shares"},
            FormulaError,
            "Model.nonlinear = 1 + shares: expected a formula without shares",
        ),
        ({"linear": "1 + x"}, FormulaError, "Model.linear = 1 + x: expected prices here or in Model.non"),
        (
            {"linear": "1 + prices", "absorb_demand": "log(x)"},
            FormulaError,
            "Model.absorb_demand = log(x): expected terms such as C(product_ids)",
        ),
        ({"linear": "log(prices"}, FormulaError, "Model.linear = log(prices: expected a formula such as"),
    ],
)
def test_a_model_that_contradicts_itself_is_refused_when_it_is_made(parts, error, message):
    with pytest.raises(error) as caught:
        Model(**parts)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_every_refusal_is_an_error_of_blpsim():
    assert issubclass(FormulaError, BlpsimError)
    assert issubclass(ConfigurationError, BlpsimError)


def test_prices_may_stand_in_the_nonlinear_part_alone():
    assert Model(linear="1 + x", nonlinear="1 + prices").nonlinear_formula.variables == {"prices"}


def test_absorbing_fixed_effects_drops_the_intercept():
    model = Model(linear="1 + prices", absorb_demand="C(a)")
    assert model.bind({"prices": np.ones(3)}).x1.names == ("prices",)


def test_a_model_without_parts_has_empty_columns():
    data = {"prices": np.ones(3)}
    columns = Model(linear="0 + prices").bind(data)
    assert columns.names == (("prices",), (), (), (), ())
    assert columns.x3.values(data).shape == (3, 0)


def test_columns_are_bound_once_for_all_data_without_categories():
    model = Model(linear="1 + x + prices", nonlinear="0 + x")
    first = model.bind({"x": np.ones(3), "prices": np.ones(3)})
    assert model.bind({"x": np.zeros(5), "prices": np.ones(5)}) == first


def test_models_are_compared_by_content_and_travel():
    model = Model(linear="1 + prices")
    assert pickle.loads(pickle.dumps(model)) == model
    assert hash(model) == hash(Model(linear="1 + prices"))


def test_each_column_of_x2_has_its_type_linear_unless_said_otherwise():
    data = {"prices": np.ones(3), "x": np.ones(3)}
    mixed = Model(linear="1 + x", nonlinear="1 + x + I(-prices)", rc_types=["linear", "logit", "log"])
    assert mixed.bind(data).links.tolist() == [0, 2, 1]
    assert hash(mixed) == hash(dataclasses.replace(mixed, rc_types=("linear", "logit", "log")))
    assert Model(linear="1 + prices", nonlinear="1 + x").bind(data).rc_types == ("linear", "linear")
    assert Model(linear="1 + prices").bind(data).links.shape == (0,)


@pytest.mark.parametrize("rc_types", [(), ("log",), ("log", "log", "log")])
def test_more_or_fewer_types_than_columns_of_x2_are_refused(rc_types):
    data = {"prices": np.ones(3), "x": np.ones(3)}
    expected = re.escape("expected 2 types, one for each of 1, x")
    with pytest.raises(ConfigurationError, match=expected):
        Model(linear="1 + prices", nonlinear="1 + x", rc_types=rc_types).bind(data)


def test_labels_of_demographics_need_agents_only_when_they_are_categorical():
    data = {"prices": np.ones(3)}
    numeric = Model(linear="1 + prices", nonlinear="1", demographics="0 + income")
    assert numeric.bind(data).demographics == ("income",)
    model = Model(linear="1 + prices", nonlinear="1", demographics="0 + C(region)")
    agents = model.bind_demographics({"region": np.array(["n", "s"])})
    assert model.bind(data, agents).demographics == ("region['n']", "region['s']")
    assert model.bind(data, agents.names).names.demographics == ("region['n']", "region['s']")
    with pytest.raises(FormulaError, match="levels of 'region' are known only from data"):
        model.bind(data)
