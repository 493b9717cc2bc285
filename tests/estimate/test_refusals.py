"""Values of a wrong kind in every field of what says how to estimate."""

from __future__ import annotations

import numpy as np
import pytest

import blpsim as bs
from blpsim.errors import ParameterError
from tests.estimate.problems import DEMAND, posed
from tests.estimate.refusals import refused
from tests.simulate.scenarios import scenario
from tests.wrong_values import Stranger, refused_values

NONE = (None,)
FIELDS = [
    (bs.Optimizer, {"method": (), "gtol": (2.5,), "max_iterations": (), "options": ({"a": None},)}),
    (bs.Inversion, {"method": (), "mapping": (), "tolerance": (), "max_evaluations": ()}),
    (bs.Starts, {"number": (), "around": (), "width": ()}),
    (bs.Bounds, {"width": (2.5,), "around": (), "highest_price_coefficient": (None, -1, 2.5)}),
    (
        bs.GMM,
        {
            "method": (),
            "W_type": (),
            "se_type": (),
            "demand_moment_types": (),
            "bounds": NONE,
            "costs_bounds": NONE,
        },
    ),
    (bs.GMM, dict.fromkeys(["center_moments", "initial_update", "scale_objective", "hessian"], (True,))),
    (bs.GMM, {"optimizer": (), "iteration": (), "resample_agents": (None, Stranger)}),
    (bs.Estimator, {"instruments": (), "integration": NONE, "supply": (True,), "starts": (), "gmm": ()}),
    (bs.Estimator, {"bounds": NONE, "model": NONE, "conduct": NONE}),
]
CASES = [(make, field, right) for make, fields in FIELDS for field, right in fields.items()]


@pytest.mark.parametrize(("make", "field", "right"), CASES)
def test_a_configuration_refuses_wrong_values(make, field, right):
    refused_values(make, field, right)


def test_starting_values_of_a_wrong_kind_are_refused():
    model = scenario().model
    refused_values(lambda parameters: bs.Estimator(model=model, parameters=parameters), "parameters", NONE)


def test_instruments_of_a_class_and_optimal_ones_without_an_estimator_are_refused():
    with refused(bs.ConfigurationError, "Estimator.instruments"):
        bs.Estimator(instruments=bs.instruments.Sums)
    refused_values(lambda first: bs.Estimator(instruments=bs.instruments.Optimal(first=first)), "first")


@pytest.mark.parametrize("weights", [[[1.0, np.nan], [0, 1]], "abc", [["a"]], {"a": 1}, True])
def test_a_weighting_matrix_that_is_none_is_refused_before_any_problem(weights):
    with refused(bs.ConfigurationError, "GMM.W"):
        bs.GMM(W=weights)


@pytest.mark.parametrize("pair", [None, 1, (1,), (0, 1, 2), (None, 1), ("a", 1), (np.nan, 1), "ab"])
def test_a_bound_that_is_no_pair_of_numbers_is_refused_before_any_problem(pair):
    for make in (bs.GMM, bs.Estimator):
        with refused(ParameterError, "GMM.bounds['sigma']"):
            make(bounds={"sigma": pair})


@pytest.mark.parametrize("name", ["sigma", "sigma[x,x]"])
def test_a_bound_of_another_shape_is_refused_when_the_problem_is_known(name):
    case = posed(DEMAND)
    name = name if name == "sigma" else case.layout.theta_names[0]
    with refused(ParameterError, f"GMM.bounds[{name!r}]"):
        bs.GMM(bounds={name: (np.zeros((5, 7)), np.ones((5, 7)))}).theta_bounds(case.layout)


@pytest.mark.parametrize(
    ("field", "right"),
    [("model", ()), ("products", ()), ("integration", NONE), ("ownership", NONE), ("conduct", NONE)],
)
def test_a_problem_refuses_wrong_values(field, right):
    dataset = scenario().generate(bs.Streams(seed=1, replication=0))
    products = dataset.products.assign(demand_instruments0=np.arange(len(dataset.products)) ** 2.0)
    products = products.assign(supply_instruments0=np.arange(len(dataset.products)) ** 3.0)
    products = products.assign(demand_instruments1=np.sqrt(np.arange(len(dataset.products))))
    parts = {"model": scenario().model, "products": products, "agents": dataset.agents}
    refused_values(lambda **changes: bs.Problem(**{**parts, **changes}), field, right)


@pytest.mark.parametrize("method", ["solve", "evaluate"])
def test_a_problem_is_solved_and_evaluated_at_parameters_only(method):
    case = posed(DEMAND)
    given = {"parameters": case.parameters, "gmm": bs.GMM(method="1s", optimizer=bs.Optimizer("return"))}
    for field, right in (("parameters", ()), ("gmm", NONE)):
        refused_values(lambda **changes: getattr(case.problem, method)(**{**given, **changes}), field, right)


def test_an_estimator_refuses_what_is_no_scenario_dataset_or_stream():
    estimator, streams = (
        bs.Estimator(integration=bs.Integration("product", 3)),
        bs.Streams(seed=1, replication=0),
    )
    dataset = scenario().generate(streams)
    refused_values(estimator.names, "scenario")
    refused_values(lambda dataset: estimator.estimate(dataset, streams), "dataset")
    refused_values(lambda streams: estimator.estimate(dataset, streams), "streams")
