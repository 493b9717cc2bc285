"""Every method of inversion, on either mapping, with nests or without, finds the root or says it did not."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import blpsim as bs
from blpsim.estimate.gmm import GMM, Inversion
from blpsim.kernels.general.newton import equations_at, invert_by_newton
from blpsim.status import Status
from tests.estimate.problems import CURVED, DEMAND, NESTED_SUPPLY, SUPPLY, central_difference, posed
from tests.kernels.entrance import interpreted

FIXED_POINTS, ROOTS = ("anderson", "squarem", "simple"), ("newton", "hybr", "lm", "df-sane", "krylov")
MAPPINGS = ("outside_corrected", "contraction")
EVERY = list(itertools.product((*FIXED_POINTS, *ROOTS), MAPPINGS))
MIXED = 56
"""The seed of a problem whose nests have a correlation each, demand alone."""


def inverted(seed: int, method: str, mapping: str, away: Any = 0.0, **options: Any) -> Any:
    """Return an objective after an evaluation from a start that is so far from the logit's."""
    case = posed(seed)
    options = {"max_evaluations": 20_000, **options}
    objective = case.objective(GMM(iteration=Inversion(method, mapping, **options)))
    objective.start_delta = objective.start_delta + away
    with np.errstate(all="ignore"):
        objective(case.theta)
    return objective


def expected(seed: int) -> Any:
    return inverted(seed, "simple", "contraction").state.delta


@pytest.mark.parametrize("rule", EVERY)
@pytest.mark.parametrize("seed", [DEMAND, SUPPLY, CURVED, NESTED_SUPPLY, MIXED])
def test_every_method_finds_the_same_root(seed, rule):
    """The residual of 1e-13 moves delta by that over one less the modulus of the contraction, below 0.99."""
    objective = inverted(seed, *rule)
    assert objective.state.residuals.max() < 1e-13
    assert objective.inversion_failures == 0
    assert np.abs(objective.state.delta - expected(seed)).max() < 1e-11


@pytest.mark.parametrize("method", ["anderson", "squarem", "newton"])
@pytest.mark.parametrize("away", [-300.0, -30.0, 30.0, 300.0])
@pytest.mark.parametrize("seed", [DEMAND, NESTED_SUPPLY])
def test_a_start_far_away_leads_to_the_same_root(seed, away, method):
    number = posed(seed).problem.setting.number
    objective = inverted(seed, method, "outside_corrected", away * np.linspace(0.5, 1, number))
    assert objective.inversion_failures == 0
    assert np.abs(objective.state.delta - expected(seed)).max() < 1e-11


@pytest.mark.parametrize("seed", [DEMAND, NESTED_SUPPLY])
def test_where_newtons_steps_lead_nowhere_those_of_the_mapping_lead_on(seed):
    """Alone they end without numbers from here."""
    spread = 30.0 * np.where(np.arange(posed(seed).problem.setting.number) % 2, 1.0, -1.0)
    objective = inverted(seed, "newton", "contraction", spread)
    assert objective.inversion_failures == 0
    assert np.abs(objective.state.delta - expected(seed)).max() < 1e-11


@pytest.mark.parametrize("method", ROOTS)
@pytest.mark.parametrize("away", [-1e4, 1e4, np.inf, np.nan])
def test_a_start_without_numbers_ends_in_a_failure_and_no_exception(method, away):
    number = posed(SUPPLY).problem.setting.number
    spread = away * np.where(np.arange(number) % 2, 1.0, -1.0)
    objective = inverted(SUPPLY, method, "contraction", spread, max_evaluations=30)
    found = objective.state.residuals.max() < 1e-13
    assert found == (objective.status is Status.EVALUATED and objective.inversion_failures == 0)
    assert not found or np.abs(objective.state.delta - expected(SUPPLY)).max() < 1e-11


@pytest.mark.parametrize("seed", [DEMAND, NESTED_SUPPLY])
def test_the_derivative_takes_fewer_evaluations(seed):
    used = {method: inverted(seed, method, "contraction") for method in ("simple", "squarem", "lm", "newton")}
    counts = {method: objective.inversion_evaluations for method, objective in used.items()}
    assert counts["newton"] <= counts["lm"] < counts["squarem"] < counts["simple"]


def test_newtons_first_step_is_the_last_where_agents_are_alike():
    case = posed(174)
    objective = inverted(
        174, "newton", "outside_corrected", 5.0 * np.sin(np.arange(case.problem.setting.number))
    )
    markets = case.problem.setting.panel(case.layout).log_outside.size
    assert objective.inversion_failures == 0
    assert objective.inversion_evaluations == 2 * markets


@pytest.mark.parametrize("mapping", MAPPINGS)
@pytest.mark.parametrize("seed", [SUPPLY, NESTED_SUPPLY, MIXED])
def test_newtons_matrix_is_minus_the_derivative_of_the_mapping(seed, mapping):
    roots = inverted(seed, "newton", mapping)._roots
    first, last = roots.panel.offsets.products[1:3]
    delta = roots.worked[1].delta[first:last] + np.sin(np.arange(last - first))

    def step(point, matrix):
        filled = np.empty(point.size)
        equations_at(1, roots.panel, roots.unknowns, roots.worked, roots.rule, (point.copy(), filled, matrix))
        return filled

    matrix = np.full((delta.size, delta.size), np.nan)
    step(delta, matrix)
    derivative = central_difference(lambda point: -step(point, np.empty((0, 0))), delta)
    # 1e-10 is what fourth-order differences leave of the largest element.
    assert np.abs(matrix.T - derivative).max() < 1e-9 * np.abs(derivative).max()


@pytest.mark.parametrize("seed", [SUPPLY, NESTED_SUPPLY])
def test_compiled_and_interpreted_newton_agree(seed):
    compiled, source = (inverted(seed, "newton", "contraction", 9.0) for _ in range(2))
    roots = source._roots
    source.state.delta[:] = source.start_delta
    evaluations = interpreted(invert_by_newton)(roots.panel, roots.unknowns, *roots.worked, roots.rule)
    assert abs(evaluations - compiled.inversion_evaluations) <= source.state.residuals.size
    assert np.abs(source.state.delta - compiled.state.delta).max() < 1e-11


@pytest.mark.parametrize("method", [*FIXED_POINTS[1:], *ROOTS])
@pytest.mark.parametrize("seed", [DEMAND, NESTED_SUPPLY])
def test_a_limit_that_is_too_low_is_kept_and_its_failures_are_counted(seed, method):
    objective = inverted(seed, method, "contraction", 1.0, max_evaluations=2)
    markets = objective.state.residuals.size
    assert objective.inversion_evaluations == 2 * markets
    assert objective.inversion_failures == markets
    assert (objective.state.residuals > 1e-13).all()


@pytest.mark.parametrize("method", ["newton", "lm", "df-sane"])
def test_an_estimate_whose_inversion_failed_has_that_status(method):
    case = posed(DEMAND)
    result = case.problem.solve(
        case.parameters, bs.GMM(method="1s", hessian=False, iteration=bs.Inversion(method, max_evaluations=2))
    )
    assert result.status is Status.INVERSION_FAILED


@pytest.mark.parametrize("method", ["newton", "lm"])
def test_parameters_that_are_no_numbers_are_not_evaluated(method):
    case = posed(DEMAND)
    objective = case.objective(GMM(iteration=Inversion(method)))
    objective(np.full(case.theta.size, np.nan))
    assert objective.status is Status.NON_FINITE
    assert objective.evaluations == objective.inversion_evaluations == 0


def test_an_error_that_scipy_raises_is_a_failure(monkeypatch):
    import scipy.optimize

    def root(value, start, **_: Any) -> SimpleNamespace:
        value(start)
        raise ValueError("Jacobian inversion yielded zero vector")

    monkeypatch.setattr(scipy.optimize, "root", root)
    objective = inverted(DEMAND, "krylov", "contraction", 1.0)
    assert objective.inversion_failures == objective.state.residuals.size


@pytest.mark.parametrize("method", ROOTS)
def test_estimates_are_those_of_the_usual_inversion(method):
    case = posed(SUPPLY)
    usual, other = (
        case.problem.solve(
            case.parameters,
            bs.GMM(
                method="1s", hessian=False, optimizer=bs.Optimizer(gtol=1e-7), iteration=bs.Inversion(name)
            ),
        )
        for name in ("anderson", method)
    )
    assert other.status is usual.status is Status.CONVERGED
    assert np.allclose(other.values, usual.values, rtol=1e-6)
