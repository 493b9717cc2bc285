from __future__ import annotations

import pickle

import numpy as np
import pytest

import blpsim as bs
from blpsim.fingerprint import fingerprint
from blpsim.model.survey_terms import term_values
from tests.wrong_values import refused_values

SURVEY = bs.MicroDataset("survey", observations=100)
SECOND = bs.MicroDataset("second", observations=100, second_choices=True)
PART = bs.MicroPart("part", SURVEY, agent="income")
DATA = {"x": np.array([1.0, 2.0, 4.0]), "name": np.array(["a", "b", "c"])}


def test_a_term_is_arithmetic_on_columns_or_a_column_by_its_whole_name_or_a_function():
    assert term_values("x * log(x)", DATA, 3, "field") == pytest.approx(DATA["x"] * np.log(DATA["x"]))
    assert (term_values("1/x", {**DATA, "1/x": DATA["x"]}, 3, "field") == DATA["x"]).all()
    assert (term_values(lambda data: data["x"] > 1.5, DATA, 3, "field") == [0, 1, 1]).all()
    assert (term_values("1", DATA, 3, "field") == 1).all()


@pytest.mark.parametrize(
    ("term", "error", "said"),
    [
        ("y", bs.FormulaError, "there is no 'y'"),
        ("2 * name", bs.FormulaError, "'name' is not numeric"),
        ("log(x - 1)", bs.DataError, "finite values"),
        (lambda data: data["x"][:2], bs.DataError, r"shape \(3,\)"),
    ],
)
def test_a_term_that_the_data_cannot_fill_is_refused(term, error, said):
    with pytest.raises(error, match=said), np.errstate(divide="ignore"):
        term_values(term, DATA, 3, "field")


def test_a_product_of_products_multiplies_terms_and_values_outside():
    both = bs.Product(agent="x", first="x", first_outside=3.0) * bs.Product(agent="x", second="x")
    assert both.outside == (3.0, 0.0)
    assert (term_values(both.agent, DATA, 3, "field") == DATA["x"] ** 2).all()
    assert both.first == "x"
    assert both.second == "x"


def test_constants_are_one_at_the_outside_option_and_columns_are_zero():
    assert bs.Product().outside == (1.0, 1.0)
    assert bs.Product(first="x", second="x").outside == (0.0, 0.0)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: bs.MicroPart("a", SURVEY, second="x"), "asks for first choices alone"),
        (lambda: bs.MicroPart("a", SURVEY, first="x", values=[bs.Product()]), "beside no other term"),
        (lambda: bs.MicroPart("a", SURVEY, values=[]), "beside no other term"),
        (lambda: bs.MicroPart("a", SURVEY, agent="income +"), "arithmetic on columns"),
        (lambda: bs.MicroMoment("a", 1.0, parts=[]), "0 parts"),
        (lambda: bs.MicroMoment("a", 1.0, parts=[PART, PART]), "a function of several"),
        (lambda: bs.MicroMoment("a", np.inf, parts=PART), "a finite number"),
        (lambda: bs.MicroMoment("a", 1.0, parts=PART, gradient=lambda v: v), "None without a function"),
        (lambda: bs.MicroDataset("a", observations=1, without="brand"), "only second choices"),
        (lambda: bs.MicroDataset("a", observations=1, markets=[1, 1]), "each once"),
        (lambda: bs.MicroDataset("a", observations=0), "1 or larger"),
    ],
)
def test_contradictions_are_refused(make, said):
    with pytest.raises(bs.BlpsimError, match=said):
        make()


def test_wrong_types_are_refused():
    numbers = [-1, 2.5]
    refused_values(lambda value: bs.MicroMoment("a", value, parts=PART), "value", [None, *numbers])
    refused_values(lambda observations: bs.MicroDataset("a", observations=observations), "observations")
    refused_values(
        lambda second_choices: bs.MicroDataset("a", observations=1, second_choices=second_choices),
        "second_choices",
        [True],
    )


def test_a_function_is_differenced_to_nine_digits():
    moment = bs.MicroMoment("a", 1.0, parts=[PART, PART], function=lambda v: np.exp(v[0]) / v[1])
    at = np.array([0.3, 2.0])
    exact = [np.exp(0.3) / 2, -np.exp(0.3) / 4]
    # Fourth-order differences with steps of 1e-3 leave 1e-12; rounding over the step as much.
    assert moment.gradient_at(at) == pytest.approx(exact, rel=1e-9)


def test_a_gradient_or_value_of_a_wrong_length_is_refused():
    given = bs.MicroMoment("a", 1.0, parts=[PART, PART], function=lambda v: v[0], gradient=lambda v: v[:1])
    with pytest.raises(bs.ConfigurationError, match="2 derivatives"):
        given.gradient_at(np.ones(2))
    with pytest.raises(bs.ConfigurationError, match="a number"):
        bs.MicroMoment("a", 1.0, parts=PART, function=lambda v: v[[0, 0]]).at(np.ones(1))


READY = {
    "mean": (bs.mean_moment(SURVEY, "income"), [3.0, 2.0], 1.5),
    "probability": (bs.probability_moment(SURVEY, "young", first="small"), [1.0, 4.0], 0.25),
    "covariance": (
        bs.covariance_moment(SURVEY, bs.Product(agent="income"), bs.Product(first="x")),
        [5, 2, 2],
        1,
    ),
    "correlation": (
        bs.correlation_moment(SURVEY, bs.Product(agent="income"), bs.Product(first="x")),
        [5, 2, 2, 5, 8],
        0.5,
    ),
    "regression": (
        bs.regression_moment(SURVEY, bs.Product(agent="income"), bs.Product(first="x")),
        [5, 2, 2, 8],
        0.25,
    ),
}


@pytest.mark.parametrize("kind", READY)
def test_ready_made_moments_are_what_they_say_and_known_by_their_content(kind):
    moment, parts, value = READY[kind]
    assert moment.at(np.array(parts, float)) == pytest.approx(value)
    differenced = bs.MicroMoment("a", None, parts=moment.parts, function=moment.function)
    at = np.array(parts, float)
    assert moment.gradient_at(at) == pytest.approx(differenced.gradient_at(at), abs=1e-8)
    assert pickle.loads(pickle.dumps(moment)) == moment
    assert len({fingerprint(each) for each, _, _ in READY.values()}) == len(READY)


def test_options_without_micro_moments_keep_their_hash():
    assert fingerprint(bs.GMM()) == fingerprint(bs.GMM(micro_moments=[]))
    assert fingerprint(bs.GMM()) != fingerprint(bs.GMM(micro_moments=[READY["mean"][0]]))
