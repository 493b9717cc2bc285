from __future__ import annotations

import functools

import numpy as np
import pytest

from blpsim.errors import ConfigurationError, ParameterError
from blpsim.estimate.estimator import Estimator, Starts
from blpsim.estimate.gmm import GMM, Inversion
from blpsim.estimate.optimizer import Optimizer
from blpsim.model.instruments import Local
from blpsim.model.integration import Integration
from blpsim.model.model import Model
from blpsim.model.parameters import Parameters
from blpsim.simulate.distributions import Choice
from blpsim.simulate.markets import Markets
from blpsim.status import Status
from blpsim.streams import Streams
from tests.simulate.scenarios import scenario

from .refusals import refused

RULE = Integration("product", 5)
NAMES = ("beta[1]", "beta[x]", "beta[prices]", "sigma[x,x]", "gamma[1]", "gamma[x]", "gamma[w]")


@functools.cache
def drawn(replication=0):
    """Return a scenario with enough markets to find an interior optimum, its streams and a dataset."""
    process = scenario(markets=Markets(number=25, firms=Choice(2, 3), products_per_firm=Choice(1, 2, 3)))
    streams = Streams(seed=5, replication=replication, stream_key=process.stream_key)
    return process, streams, process.generate(streams)


def estimate(replication=0, **options):
    _, streams, dataset = drawn(replication)
    return Estimator(**{"integration": RULE, **options}).estimate(dataset, streams)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("number", 0),
        ("number", -1),
        ("around", "zero"),
        ("around", None),
        ("width", 1),
        ("width", -0.1),
        ("width", float("nan")),
    ],
)
def test_starts_that_start_nowhere_are_refused(field, value):
    with refused(ConfigurationError, f"Starts.{field}", value):
        Starts(**{field: value})


def test_starts_are_uniform_around_the_truth_and_keep_its_signs():
    theta = np.array([2.0, -3.0, 0.5])
    draws = Starts(2_000, width=0.4).draw(theta, np.random.default_rng(0))
    ratios = draws / theta
    assert draws.shape == (2_000, 3)
    assert ratios.min() > 0.6
    assert ratios.max() < 1.4
    assert np.abs(ratios.mean(axis=0) - 1).max() < 0.02
    assert np.abs(ratios.std(axis=0) - 0.8 / np.sqrt(12)).max() < 0.02


def test_starts_without_width_are_the_truth():
    theta = np.array([2.0, -3.0])
    assert (Starts(3, width=0).draw(theta, np.random.default_rng(0)) == theta).all()


def test_more_starts_begin_with_the_same_ones():
    theta = np.array([2.0, -3.0])
    few, many = (Starts(n).draw(theta, np.random.default_rng(3)) for n in (2, 5))
    assert np.array_equal(many[:2], few)


def test_an_estimator_names_what_it_estimates():
    process, _, _ = drawn()
    assert Estimator(integration=RULE).names(process) == NAMES
    assert Estimator(integration=RULE, supply=False).names(process) == NAMES[:4]


def test_supply_that_the_model_lacks_is_refused():
    process = scenario()
    unpriced = _Scenario(Model(linear="1 + x + prices", nonlinear="0 + x"), process.truth, process.names)
    with refused(ConfigurationError, "Estimator.supply", True):
        Estimator(integration=RULE).names(unpriced)


class _Scenario:
    def __init__(self, model, truth, names):
        self.model, self.truth, self.names = model, truth, names


def test_random_coefficients_need_an_integration_and_only_they_do():
    with refused(ConfigurationError, "Estimator.integration", None):
        Estimator().names(scenario())
    plain = Model(linear="1 + x + prices", supply="1 + x + w")
    truth = Parameters(beta=[-7, 6, -1], gamma=[2, 1, 0.2])
    with refused(ConfigurationError, "Estimator.integration"):
        Estimator(integration=RULE).names(scenario(model=plain, truth=truth, consumers=None))


def test_the_generators_agents_are_used_when_asked_for_and_have_no_others_to_be_resampled():
    _, streams, dataset = drawn()
    estimator = Estimator(integration="generator", gmm=GMM(optimizer=Optimizer("return")))
    assert estimator.solution(dataset, streams).setting.agents is dataset.economy.agents
    resampling = Estimator(integration="generator", gmm=GMM(resample_agents=3))
    with refused(ConfigurationError, "Estimator.integration"):
        resampling.names(scenario())


def test_an_integration_that_does_not_come_in_the_models_dimensions_is_refused_before_any_data():
    model = Model(linear="1 + x + prices", nonlinear="1 + x + w + prices", supply="1 + x + w")
    truth = Parameters(beta=[-7, 6, -1], sigma=np.eye(4), gamma=[2, 1, 0.2])
    with refused(ConfigurationError, "Integration.size", 50):
        Estimator(integration=Integration("product", 50)).names(scenario(model=model, truth=truth))


def test_bounds_that_nothing_has_are_refused():
    with refused(ParameterError, "GMM.bounds", "sigma[w,w]"):
        estimate(bounds={"sigma[w,w]": (0, 1)})


def test_estimates_are_near_the_truth_and_say_how_near():
    process, _, _ = drawn()
    found = estimate()
    truth = np.array(list(process.truth_by_name().values()))
    assert found.status is Status.CONVERGED
    assert found.values.shape == found.standard_errors.shape == truth.shape
    assert (np.abs(found.values - truth) < 6 * found.standard_errors).all()
    assert np.allclose(np.sqrt(np.diag(found.covariance)), found.standard_errors)


def test_the_start_with_the_lowest_objective_wins():
    found = estimate(starts=Starts(4), gmm=GMM(method="1s"))
    usable = [start for start in found.starts if start.status.is_usable]
    best = min(usable, key=lambda start: start.objective)
    assert len(found.starts) == 4
    assert found.diagnostics["objective"] == best.objective
    assert np.array_equal(found.values, best.estimate)


def test_starts_record_where_they_started_and_nothing_for_what_is_concentrated_out():
    process, streams, _ = drawn()
    found = estimate(starts=Starts(3))
    moved = np.isin(NAMES, ["beta[prices]", "sigma[x,x]"])
    drawn_starts = Starts(3).draw(np.array([3.0, -1.0]), streams.generator("starts"))
    for start, expected in zip(found.starts, drawn_starts, strict=True):
        assert np.isnan(start.value[~moved]).all()
        assert np.array_equal(start.value[moved], expected[::-1])
    assert process.truth_by_name()["sigma[x,x]"] == 3


def test_every_estimator_starts_at_the_same_points():
    one, other = estimate(starts=Starts(2)), estimate(starts=Starts(2), instruments=Local())
    for mine, theirs in zip(one.starts, other.starts, strict=True):
        assert np.array_equal(mine.value, theirs.value, equal_nan=True)
    assert not np.array_equal(one.values, other.values)


def test_an_estimate_is_the_same_whenever_it_is_asked_for():
    process, streams, _ = drawn()
    first = estimate()
    estimate(1)
    dataset = process.generate(streams)
    again = Estimator(integration=RULE).estimate(dataset, streams)
    assert np.array_equal(first.values, again.values)
    assert np.array_equal(first.standard_errors, again.standard_errors)
    assert first.diagnostics == again.diagnostics
    assert not np.array_equal(first.values, estimate(1).values)


def test_the_demand_side_alone_has_no_costs():
    found = estimate(supply=False)
    assert found.values.shape == (4,)
    assert found.diagnostics["clipped_costs"] == 0
    assert found.status.is_usable


def test_an_estimate_at_a_bound_is_flagged():
    found = estimate(bounds={"sigma[x,x]": (0.5, 1)}, gmm=GMM(method="1s"))
    place = NAMES.index("sigma[x,x]")
    assert found.values[place] == 1
    assert found.at_bound.tolist() == [name == "sigma[x,x]" for name in NAMES]
    assert np.isnan(found.standard_errors[place])


@pytest.mark.parametrize(
    ("status", "options"),
    [
        (Status.EVALUATED, {"optimizer": Optimizer("return")}),
        (Status.ITERATION_LIMIT, {"optimizer": Optimizer(max_iterations=1)}),
        (Status.INVERSION_FAILED, {"iteration": Inversion(max_evaluations=1)}),
        (Status.INVERSION_FAILED, {"iteration": Inversion(max_evaluations=2)}),
        (Status.NOT_STATIONARY, {"optimizer": Optimizer(options={"gtol": 1e6})}),
    ],
)
def test_how_an_estimation_ended_is_its_status(status, options):
    found = estimate(starts=Starts(1), gmm=GMM(method="1s", **options))
    assert found.status is status
    assert found.starts[0].status is status


def test_more_moments_than_products_are_a_singular_weighting_matrix():
    process = scenario(markets=Markets(number=1, firms=2, products_per_firm=1))
    streams = Streams(seed=1, replication=0, stream_key=process.stream_key)
    found = Estimator(integration=RULE).estimate(process.generate(streams), streams)
    assert found.status is Status.SINGULAR
    assert np.isnan(found.values).all()
    assert np.isnan(found.standard_errors).all()
    assert {start.status for start in found.starts} == {Status.SINGULAR}


def test_inversions_that_failed_are_counted():
    """One evaluation each is never enough, so every inversion of every market is one of them."""
    fine, hasty = (
        estimate(starts=Starts(1), gmm=GMM(method="1s", iteration=Inversion("simple", max_evaluations=limit)))
        for limit in (1_000, 1)
    )
    assert fine.diagnostics["inversion_failures"] == 0
    markets = hasty.diagnostics["inversion_evaluations"] / hasty.diagnostics["objective_evaluations"]
    assert hasty.diagnostics["inversion_failures"] == markets * hasty.diagnostics["objective_evaluations"]


def test_evaluations_of_all_starts_are_counted():
    one, three = (estimate(starts=Starts(n)) for n in (1, 3))
    for name in ("objective_evaluations", "inversion_evaluations"):
        assert three.diagnostics[name] > one.diagnostics[name] > 0
