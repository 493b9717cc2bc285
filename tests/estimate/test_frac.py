"""Starting values by FRAC against the truth where its expansion is exact, and in estimation."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest

import blpsim as bs
from blpsim.estimate.frac import frac_start
from blpsim.model.layout import layout
from blpsim.status import Status
from tests.simulate.scenarios import PARTS, scenario

SIGMA = np.array([[1.0, 0.0], [0.5, 0.8]])
FULL = bs.Parameters(sigma=np.tril(np.ones((2, 2))))
STREAMS = bs.Streams(seed=1, replication=0, stream_key="a key")


@functools.cache
def data(size, scale=1.0):
    """Return products without xi, whose random coefficients are of this size, with good instruments."""
    made = scenario(
        model=bs.Model(
            linear="1 + x + y + prices", nonlinear="0 + x + y", supply="1 + x + w", epsilon_scale=scale
        ),
        truth=bs.Parameters(
            beta=scale * np.array([-2, 2, 1, -1]), sigma=scale * size * SIGMA, gamma=[2, 1, 1]
        ),
        characteristics={"x": bs.Uniform(0, 2), "y": bs.Uniform(0, 2), "w": bs.Uniform(0, 1)},
        markets=bs.Markets(number=60, firms=bs.Choice(2, 4), products_per_firm=bs.Choice(2, 3)),
        errors=bs.Errors(xi_variance=0.0, omega_variance=0.2),
        consumers=bs.Integration("product", 9),
    )
    products = made.generate(STREAMS).products
    means = products.groupby("market_ids")[["x", "y"]].transform("mean")
    columns = [products["w"] ** n for n in (1, 2)] + [products["x"] * products["w"]]
    columns += [products[a] * products[b] for a, b in (("x", "x"), ("y", "y"), ("x", "y"))]
    columns += [means[a] * products[b] for a in "xy" for b in "xy"] + [means["x"], means["y"]]
    return products.assign(**{f"demand_instruments{k}": column for k, column in enumerate(columns)})


def frac_of(products, parameters=FULL, **model):
    made = bs.Model(**{"linear": "1 + x + y + prices", "nonlinear": "0 + x + y", **model})
    return bs.Problem(made, products, integration=bs.Integration("product", 3)).frac(parameters)


def covariances(found):
    return np.array(found.sigma) @ np.array(found.sigma).T


def test_the_expansion_is_of_second_order_so_that_errors_of_covariances_are_of_fourth():
    """Twice the coefficients make sixteen times the error, but for terms of sixth order."""
    errors = [covariances(frac_of(data(size))) - size**2 * SIGMA @ SIGMA.T for size in (0.2, 0.4)]
    assert (np.abs(errors[0]) < 0.2**4).all()
    ratio = errors[1] / errors[0]
    assert ((ratio > 12) & (ratio < 25)).all()


def test_uncorrelated_coefficients_have_deviations_of_their_own():
    found = frac_of(data(0.2), bs.Parameters(sigma=np.eye(2)))
    sigma = np.array(found.sigma)
    assert sigma[1, 0] == 0
    assert (np.diag(sigma) > 0.1).all()
    assert not np.allclose(np.diag(sigma), np.sqrt(np.diag(covariances(frac_of(data(0.2))))))


def test_coefficients_on_prices_start_where_the_regression_has_them():
    """Without xi they are wrong by the expansion alone: 0.4 ** 4 = 0.03, times the terms' size."""
    found = frac_of(data(0.4), dataclasses.replace(FULL, beta={"prices": -5.0}))
    assert np.array(found.beta)[3] == pytest.approx(-1, abs=0.03)
    assert np.isnan(np.array(found.beta)[:3]).all()


def test_values_that_are_given_do_not_matter():
    one, other = (
        frac_of(data(0.4), bs.Parameters(sigma=size * np.tril(np.ones((2, 2))))) for size in (1.0, 7.0)
    )
    assert np.array_equal(one.sigma, other.sigma)


def test_an_idiosyncratic_scale_scales_what_is_found():
    plain = frac_of(data(0.4), dataclasses.replace(FULL, beta={"prices": -1.0}))
    scaled = frac_of(data(0.4, 0.5), dataclasses.replace(FULL, beta={"prices": -1.0}), epsilon_scale=0.5)
    np.testing.assert_allclose(scaled.sigma, 0.5 * np.array(plain.sigma), rtol=1e-6)
    assert np.array(scaled.beta)[3] == pytest.approx(0.5 * np.array(plain.beta)[3], rel=1e-6)


def test_fixed_effects_are_absorbed_as_dummies_are():
    products = data(0.4).assign(brand=np.arange(len(data(0.4))) % 3)
    absorbed = frac_of(products, linear="0 + x + y + prices", absorb_demand="C(brand)")
    dummies = frac_of(products, linear="0 + C(brand) + x + y + prices")
    np.testing.assert_allclose(absorbed.sigma, dummies.sigma, rtol=1e-7)


def test_elements_of_pi_follow_from_means_of_demographics_that_vary():
    """To first order: the spread of incomes adds a term of second order, a hundredth of a coefficient."""
    made = scenario(
        model=bs.Model(linear="1 + x + prices", nonlinear="0 + x", demographics="0 + income", supply="1 + w"),
        truth=bs.Parameters(beta=[-2, 2, -1], sigma=[[0.2]], pi=[[0.5]], gamma=[2, 1]),
        demographics={"income": bs.OneOf(*(bs.Normal(mean, 0.2) for mean in (0.0, 1.0, 2.0)))},
        markets=bs.Markets(number=60, firms=bs.Choice(2, 4), products_per_firm=bs.Choice(2, 3)),
        errors=bs.Errors(xi_variance=0.0, omega_variance=0.2),
        consumers=bs.Integration("monte_carlo", 2_000),
    )
    dataset = made.generate(STREAMS)
    products = dataset.products
    means = dataset.agents.groupby("market_ids")["income"].mean().to_numpy()
    x, w = products["x"], products["w"]
    income = means[products["market_ids"]]
    columns = (w, x**2, x * income, income, x * products.groupby("market_ids")["x"].transform("mean"))
    products = products.assign(**{f"demand_instruments{k}": column for k, column in enumerate(columns)})
    agents = dataset.agents
    problem = bs.Problem(dataclasses.replace(made.model, supply=None), products, agents)
    found = problem.frac(bs.Parameters(sigma=[[1.0]], pi=[[9.0]]))
    assert np.array(found.pi)[0, 0] == pytest.approx(0.5, abs=0.05)
    alike = agents.assign(income=1.0)
    problem = bs.Problem(dataclasses.replace(made.model, supply=None), products, alike)
    assert np.array(problem.frac(bs.Parameters(sigma=[[1.0]], pi=[[9.0]])).pi)[0, 0] == 9.0


def test_a_variance_that_is_estimated_below_zero_starts_away_from_zero():
    products = data(0.2)
    rng = np.random.default_rng(3)
    noise = rng.normal(size=len(products)) * 3
    shares = np.exp(noise) / (1 + np.bincount(products["market_ids"], np.exp(noise)))[products["market_ids"]]
    sigma = np.array(frac_of(products.assign(shares=shares)).sigma)
    sizes = np.sqrt((products[["x", "y"]] ** 2).mean().to_numpy())
    smallest = np.linalg.eigvalsh(np.outer(sizes, sizes) * (sigma @ sigma.T))[0]
    assert smallest == pytest.approx(0.1**2, rel=1e-8)


def test_what_instruments_do_not_identify_stays():
    names = [f"demand_instruments{k}" for k in range(1, 12)]
    few = data(0.4).drop(columns=names)
    found = frac_of(few, bs.Parameters(sigma=3 * np.eye(2)))
    assert np.array_equal(found.sigma, 3 * np.eye(2))


def estimator(**starts):
    return bs.Estimator(
        integration=bs.Integration("product", 9),
        starts=bs.Starts(**{"number": 1, "around": "frac", **starts}),
        gmm=bs.GMM(method="1s", optimizer=bs.Optimizer(gtol=1e-8)),
    )


LARGE = {"markets": bs.Markets(number=40, firms=bs.Choice(2, 5), products_per_firm=bs.Choice(3, 4))}


def test_an_estimator_that_starts_at_frac_comes_to_the_same_minimum():
    dataset = scenario(**LARGE).generate(STREAMS)
    frac, truth = (estimator(around=around).estimate(dataset, STREAMS) for around in ("frac", "truth"))
    assert frac.status.is_usable
    np.testing.assert_allclose(frac.values, truth.values, rtol=1e-4)
    assert frac.starts[0].value[3] != truth.starts[0].value[3]


def test_the_first_start_is_fracs_estimate_and_others_lie_around_it():
    dataset = scenario(**LARGE).generate(STREAMS)
    made = estimator(number=4, width=0.2)
    solution = made.solution(dataset, STREAMS)
    center = frac_start(solution.setting, solution.layout)
    assert np.array_equal(solution.starts[0], center)
    ratios = solution.starts[1:] / center
    assert ((ratios > 0.8) & (ratios < 1.2) & (ratios != 1)).all()


def test_frac_does_not_know_the_truth():
    """Only data move it: the same data with another stated truth give the same start."""
    dataset = scenario(**LARGE).generate(STREAMS)
    false = dataclasses.replace(PARTS["truth"], sigma=[[1.0]], beta=[0, 0, -3])
    stated = dataclasses.replace(dataset, economy=dataclasses.replace(dataset.economy, parameters=false))
    starts = [estimator().solution(each, STREAMS).starts[0] for each in (dataset, stated)]
    assert np.array_equal(*starts)


def test_logit_starts_at_two_stage_least_squares():
    case = scenario(
        **LARGE,
        model=bs.Model(linear="1 + x + prices", supply="1 + x + w"),
        truth=bs.Parameters(beta=[-2, 2, -1], gamma=[2, 1, 0.2]),
        consumers=None,
    )
    dataset = case.generate(STREAMS)
    made = dataclasses.replace(estimator(), integration=None)
    solution = made.solution(dataset, STREAMS)
    z, x = solution.setting.demand_instruments, solution.setting.x1
    projected = x @ z.T @ np.linalg.inv(z @ z.T) @ z
    expected = np.linalg.solve(projected @ x.T, projected @ solution.setting.start_delta)
    assert solution.starts[0][0] == pytest.approx(expected[2], rel=1e-8)
    assert solution.results[0].status is Status.CONVERGED


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"nests": "market_ids"}, "frac: expected other starts for a model with nests"),
        ({"rc_types": ("log", "linear")}, "frac: expected other starts for rc_types"),
    ],
)
def test_models_that_frac_is_not_of_are_refused(model, message):
    rho = {"rho": 0.5} if "nests" in model else {}
    with pytest.raises(bs.ConfigurationError, match=message):
        frac_of(data(0.4), dataclasses.replace(FULL, **rho), **model)


def test_an_estimator_refuses_frac_for_a_scenario_with_lognormal_coefficients():
    made = scenario(model=dataclasses.replace(PARTS["model"], rc_types=("log",)))
    with pytest.raises(bs.ConfigurationError, match=r"Estimator.starts.around = frac"):
        estimator().names(made)


def test_a_layout_without_random_coefficients_has_no_artificial_regressors():
    products = data(0.4)
    problem = bs.Problem(bs.Model(linear="1 + x + prices"), products)
    bound = layout(bs.Parameters(), problem.setting.columns, False)
    assert frac_start(problem.setting, bound).size == 0
