from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from blpsim.kernels import links
from blpsim.kernels.links import LINEAR, LOG, LOGIT

from . import entrance

CODES = np.array([LINEAR, LOG, LOGIT, LOG], np.int64)
AGENTS, FIRST = 37, 5


def random_z(scale=2.0):
    z = scale * np.random.default_rng(4).normal(size=(4, AGENTS + 3))
    z[:, AGENTS:] = np.nan
    return z


def linked(z, call=entrance.apply_links):
    coefficients = z.copy()
    call(coefficients, CODES, AGENTS)
    return coefficients


def slopes_at(coefficients, call=entrance.fill_link_slopes):
    slopes = np.full((4, 60), np.nan)
    call(slopes, coefficients, CODES, FIRST, FIRST + AGENTS)
    return slopes


def test_coefficients_are_z_itself_its_exponential_or_its_inverse_logit():
    z = random_z()
    found = linked(z)[:, :AGENTS]
    assert np.array_equal(found[0], z[0, :AGENTS])
    assert np.allclose(found[[1, 3]], np.exp(z[[1, 3], :AGENTS]), rtol=1e-15)
    assert np.allclose(found[2], expit(z[2, :AGENTS]), rtol=1e-15)


def test_nothing_beyond_the_markets_agents_is_touched():
    z = random_z()
    z[:, AGENTS:] = 0.25
    assert (linked(z)[:, AGENTS:] == 0.25).all()


def test_without_loadings_a_lognormal_coefficient_is_one_and_a_logit_one_half():
    assert linked(np.zeros((4, AGENTS)))[:, 0].tolist() == [0.0, 1.0, 0.5, 1.0]


@pytest.mark.parametrize("z", [-1e3, -40.0, 40.0, 700.0])
def test_a_logit_coefficient_stays_in_the_unit_interval(z):
    coefficient = linked(np.full((4, AGENTS), z))[2, 0]
    assert 0 <= coefficient <= 1
    assert coefficient == pytest.approx(expit(z), abs=1e-16)


def test_slopes_are_the_central_differences_of_coefficients():
    z, step = random_z(scale=1.0), 1e-3
    near, far = (linked(z + h) - linked(z - h) for h in (step, 2 * step))
    differences = (8 * near - far) / (12 * step)
    found = slopes_at(linked(z))
    # The fifth derivative times h^4 / 30, and rounding over h.
    assert np.allclose(found[:, FIRST : FIRST + AGENTS], differences[:, :AGENTS], rtol=1e-11, atol=1e-11)
    assert np.isnan(found[:, :FIRST]).all()
    assert np.isnan(found[:, FIRST + AGENTS :]).all()


def test_derivatives_are_multiplied_by_the_markets_own_slopes():
    slopes, derivatives = slopes_at(linked(random_z())), np.random.default_rng(5).normal(size=(4, AGENTS))
    found = derivatives.copy()
    entrance.multiply_by_link_slopes(found, slopes, FIRST, FIRST + AGENTS)
    assert np.allclose(found, derivatives * slopes[:, FIRST : FIRST + AGENTS], rtol=1e-15)


def test_where_all_links_are_linear_no_slopes_are_needed():
    none, derivatives = np.empty((0, 60)), np.ones((4, AGENTS))
    entrance.fill_link_slopes(none, derivatives, np.zeros(4, np.int64), 0, AGENTS)
    entrance.multiply_by_link_slopes(derivatives, none, 0, AGENTS)
    assert (derivatives == 1).all()


def test_compiled_and_interpreted_kernels_agree():
    z = random_z()
    coefficients = linked(z)
    assert np.allclose(
        coefficients, linked(z, entrance.interpreted(links.apply_links)), rtol=1e-15, equal_nan=True
    )
    plain = slopes_at(coefficients, entrance.interpreted(links.fill_link_slopes))
    assert np.allclose(slopes_at(coefficients), plain, rtol=1e-15, equal_nan=True)
