from __future__ import annotations

import numpy as np
import pytest

from blpsim.errors import ConfigurationError, ParameterError
from blpsim.estimate.gmm import GMM, Inversion
from blpsim.kernels.inversion import ANDERSON, CONTRACTION, OUTSIDE_CORRECTED, SIMPLE, SQUAREM

from .problems import CURVED, SUPPLY, posed
from .refusals import refused


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("method", "broyden1"),
        ("method", None),
        ("mapping", "delta"),
        ("mapping", 1),
        ("tolerance", 1e-3),
        ("tolerance", 0.0),
        ("tolerance", -1e-13),
        ("tolerance", float("nan")),
        ("max_evaluations", 0),
        ("max_evaluations", -5),
    ],
)
def test_an_inversion_that_certifies_nothing_is_refused(field, value):
    with refused(ConfigurationError, f"Inversion.{field}", value):
        Inversion(**{field: value})


@pytest.mark.parametrize(
    ("method", "code"), [("anderson", ANDERSON), ("squarem", SQUAREM), ("simple", SIMPLE)]
)
@pytest.mark.parametrize(
    ("mapping", "number"), [("contraction", CONTRACTION), ("outside_corrected", OUTSIDE_CORRECTED)]
)
def test_kernels_read_the_inversion_that_was_configured(method, code, mapping, number):
    assert Inversion(method, mapping, 1e-9, 7).rule == (code, number, 1e-9, 7)


def test_kernels_certify_what_a_root_finder_found_in_one_evaluation():
    assert Inversion("lm", "contraction", 1e-9, 7).rule == (SIMPLE, CONTRACTION, 1e-9, 1)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("method", "3s"),
        ("method", 1),
        ("W_type", "white"),
        ("se_type", None),
        ("costs_bounds", (2, 1)),
        ("costs_bounds", (1, 1)),
    ],
)
def test_a_gmm_that_is_not_defined_is_refused(field, value):
    with refused(ConfigurationError, f"GMM.{field}", value):
        GMM(**{field: value})


@pytest.mark.parametrize(
    ("given", "bounds"),
    [
        (None, (-np.inf, np.inf)),
        ((None, None), (-np.inf, np.inf)),
        ((1, None), (1, np.inf)),
        ((None, 2.5), (-np.inf, 2.5)),
    ],
)
def test_costs_have_no_bound_where_none_is_given(given, bounds):
    assert GMM(costs_bounds=given).cost_bounds == bounds


def test_by_default_only_the_diagonal_of_sigma_has_bounds():
    problem = posed(15)
    lower, upper = GMM().theta_bounds(problem.layout)
    diagonal = [name in ("sigma[y,y]", "sigma[prices*x,prices*x]") for name in problem.layout.theta_names]
    assert sum(diagonal) == 2
    assert np.array_equal(lower, np.where(diagonal, 0.0, -np.inf))
    assert np.isposinf(upper).all()


def test_bounds_by_name_replace_the_default():
    layout = posed(SUPPLY).layout
    bounds = {"sigma[y,y]": (-1, 2), "beta[prices]": (-np.inf, -0.1)}
    lower, upper = GMM(bounds=bounds).theta_bounds(layout)
    assert dict(zip(layout.theta_names, zip(lower, upper, strict=True), strict=True)) == {
        "sigma[prices,prices]": (0, np.inf),
        "sigma[y,y]": (-1, 2),
        "beta[prices]": (-np.inf, -0.1),
    }


def test_bounds_by_block_are_arrays_or_numbers():
    layout = posed(CURVED).layout
    lower, upper = GMM(bounds={"sigma": (-np.ones((3, 3)), 4 * np.eye(3)), "beta": (-9, 0)}).theta_bounds(
        layout
    )
    assert layout.theta_names[-1] == "gamma[y]"
    assert lower.tolist() == [-1, -1, -1, -9, -np.inf]
    assert upper.tolist() == [4, 4, 4, 0, np.inf]


@pytest.mark.parametrize("name", ["sigma[x,x]", "beta[x]", "delta", ""])
def test_a_bound_of_what_the_optimizer_does_not_move_is_refused(name):
    with refused(ParameterError, "GMM.bounds") as found:
        GMM(bounds={name: (0, 1)}).theta_bounds(posed(SUPPLY).layout)
    assert "sigma[y,y]" in found.error.expected


def test_bounds_that_cross_are_refused():
    with refused(ParameterError, "GMM.bounds", "sigma[y,y]"):
        GMM(bounds={"sigma[y,y]": (2, 1)}).theta_bounds(posed(SUPPLY).layout)
