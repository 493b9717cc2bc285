"""Micro moments in an objective: their gradient, what is refused, and what has a status."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import blpsim as bs
from blpsim.estimate.solve import first_step
from blpsim.model.panel import ProductSpecific

from .problems import NESTED_SUPPLY, central_difference, distance, posed

SUPPLY = 3
SURVEY = bs.MicroDataset("survey", observations=500)
SECOND = bs.MicroDataset("second", observations=300, weights=bs.Everyone(), second_choices=True)
GRADIENT_TOLERANCE = 1e-8
"""Norm-wise, as of objectives without micro moments."""


def options(posed, moments, **changes):
    optimizer = bs.Optimizer("return")
    return dataclasses.replace(posed.gmm, W=None, micro_moments=moments, optimizer=optimizer, **changes)


def moments():
    first = bs.MicroPart("first", SURVEY, agent="nodes0", first="prices")
    bought = bs.MicroPart("x", SURVEY, first="x")
    second = bs.MicroPart("second", SECOND, agent="nodes0", first="x", second="prices", second_outside=1.0)
    ratio = bs.MicroMoment("ratio", 0.1, parts=(first, bought), function=lambda v: v[0] / (2 + v[1]))
    return [ratio, bs.MicroMoment("second", 0.4, parts=second)]


@pytest.mark.parametrize("seed", [SUPPLY, NESTED_SUPPLY])
def test_the_gradient_is_the_objectives_central_difference(seed):
    given = posed(seed)
    objective = first_step(given.problem.setting, given.layout, options(given, moments()))
    gradient = objective(given.theta)[1]
    differences = central_difference(lambda theta: objective(theta)[0], given.theta)
    assert distance(gradient, differences) < GRADIENT_TOLERANCE


@pytest.mark.parametrize("seed", [SUPPLY, NESTED_SUPPLY])
def test_the_jacobian_of_micro_moments_is_their_central_difference(seed):
    given = posed(seed)
    objective = first_step(given.problem.setting, given.layout, options(given, moments()))
    objective(given.theta)
    found = objective.micro_jacobian()[:, given.layout.theta_positions]

    def moment(theta, m):
        objective(theta)
        return objective.state.moments[m - 2]

    for m in (0, 1):
        differences = central_difference(lambda theta, m=m: moment(theta, m), given.theta)
        assert distance(found[m], differences) < GRADIENT_TOLERANCE


def test_moments_of_products_and_surveys_do_not_vary_together():
    given = posed(SUPPLY)
    result = given.problem.solve(given.parameters, options(given, moments()))
    apart = result.moments_covariances
    assert (apart[-2:, :-2] == 0).all()
    assert apart[-1, -2] == apart[-2, -1] == 0
    assert (np.diag(apart)[-2:] > 0).all()
    larger = dataclasses.replace(SECOND, observations=600)
    parts = dataclasses.replace(moments()[1].parts[0], dataset=larger)
    twice = [moments()[0], bs.MicroMoment("second", 0.4, parts=parts)]
    other = given.problem.solve(given.parameters, options(given, twice))
    assert other.moments_covariances[-1, -1] == pytest.approx(apart[-1, -1] / 2, rel=1e-12)


@pytest.mark.parametrize(
    ("part", "error", "said"),
    [
        (bs.MicroPart("a", SURVEY, agent="wealth"), bs.FormulaError, "there is no 'wealth'"),
        (bs.MicroPart("a", SURVEY, first="colour"), bs.FormulaError, "there is no 'colour'"),
        (
            bs.MicroPart("a", dataclasses.replace(SURVEY, markets=["nowhere"]), first="x"),
            bs.ConfigurationError,
            "'?nowhere'?: expected names of markets",
        ),
        (
            bs.MicroPart("a", dataclasses.replace(SECOND, without="maker"), first="x", second="x"),
            bs.DataError,
            "MicroDataset.without = maker",
        ),
    ],
)
def test_a_survey_that_does_not_fit_the_data_is_refused(part, error, said):
    given = posed(SUPPLY)
    with pytest.raises(error, match=said):
        given.problem.solve(given.parameters, options(given, [bs.MicroMoment("a", 0.1, parts=part)]))


def test_a_value_that_nothing_observes_and_covariances_of_another_shape_are_refused():
    given = posed(SUPPLY)
    unknown = bs.MicroMoment("a", None, parts=bs.MicroPart("x", SURVEY, first="x"))
    with pytest.raises(bs.ConfigurationError, match=r"MicroMoment\('a'\).value = None"):
        given.problem.solve(given.parameters, options(given, [unknown]))
    with pytest.raises(bs.ConfigurationError, match=r"shape \(2, 2\)"):
        options(given, moments(), micro_sample_covariances=np.eye(3))


def test_surveys_of_one_name_that_differ_are_refused():
    given = posed(SUPPLY)
    parts = [
        bs.MicroPart("a", each, first="x") for each in (SURVEY, dataclasses.replace(SURVEY, observations=9))
    ]
    twice = [bs.MicroMoment(str(k), 0.1, parts=part) for k, part in enumerate(parts)]
    with pytest.raises(bs.ConfigurationError, match=r"MicroDataset.name = survey"):
        given.problem.solve(given.parameters, options(given, twice))


@pytest.mark.filterwarnings("error")
def test_a_survey_that_nobody_answers_and_a_function_without_a_value_have_a_status():
    given = posed(SUPPLY)

    def nobody(_, products, agents):
        return np.zeros((agents["weights"].size, products["shares"].size))

    part = bs.MicroPart("a", dataclasses.replace(SURVEY, weights=nobody), first="x")
    for moment in (
        bs.MicroMoment("nobody", 0.1, parts=part),
        bs.MicroMoment("nothing", 0.1, parts=moments()[0].parts, function=lambda v: np.nan * v[0]),
        bs.MicroMoment("log", 0.1, parts=moments()[0].parts, function=lambda v: np.log(-1 - v[1] ** 2)),
    ):
        result = given.problem.solve(given.parameters, options(given, [moment]))
        assert result.status is bs.Status.NON_FINITE


def test_moments_that_vary_together_perfectly_have_a_status():
    given = posed(SUPPLY)
    part = bs.MicroPart("a", SURVEY, first="prices")
    result = given.problem.solve(
        given.parameters, options(given, [bs.MicroMoment(name, 0.1, parts=part) for name in "ab"])
    )
    assert result.status is bs.Status.SINGULAR


def test_what_micro_moments_are_not_combined_with_is_refused():
    given = posed(SUPPLY)
    setting = given.problem.setting
    crossed = dataclasses.replace(setting, covariance_instruments=np.ones((1, setting.number)))
    with pytest.raises(bs.ConfigurationError, match="covariance moments, too"):
        first_step(crossed, given.layout, options(given, moments()))
    agents = setting.agents
    available = ProductSpecific(
        places=np.empty(0, np.int64),
        demographics=np.empty((0, 1, agents.number)),
        availability=np.ones((int(np.diff(setting.products.market_offsets).max()), agents.number)),
    )
    limited = dataclasses.replace(setting, agents=dataclasses.replace(agents, specific=available))
    with pytest.raises(bs.ConfigurationError, match="differ by product"):
        first_step(limited, given.layout, options(given, moments()))
