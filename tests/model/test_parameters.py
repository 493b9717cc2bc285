"""Parameters: by array or by name, and what is refused."""

import numpy as np
import pytest

from blpsim.errors import ParameterError
from blpsim.model.model import ModelNames
from blpsim.model.parameters import Parameters

NAMES = ModelNames(("1", "x", "prices"), ("1", "x"), ("1", "w"), ("income",))


def complete(**changes):
    blocks = {"sigma": np.eye(2), "pi": [[0.5], [0.0]]}
    return Parameters(**(blocks | changes))


def test_arrays_and_names_make_the_same_blocks():
    arrays = Parameters(beta=[np.nan, 6, -1], sigma=[[1, 0], [0.2, 3]], pi=[0.5, 0], gamma=[2, np.nan])
    named = Parameters(
        beta={"x": 6, "beta[prices]": -1},
        sigma={"1": 1, "sigma[x,1]": 0.2, "x, x": 3},
        pi={"1,income": 0.5},
        gamma={"gamma[1]": 2},
    )
    for left, right in zip(arrays.blocks(NAMES), named.blocks(NAMES), strict=True):
        np.testing.assert_array_equal(left, right)


def test_the_upper_triangle_of_sigma_does_not_count():
    np.testing.assert_array_equal(complete(sigma=np.ones((2, 2))).blocks(NAMES).sigma, [[1, 0], [1, 1]])


def test_a_scalar_is_a_sigma_of_one_column():
    names = ModelNames(("prices",), ("x",), (), ())
    assert Parameters(sigma=3).blocks(names).sigma.tolist() == [[3]]


def test_values_by_name_leave_out_fixed_zeros_unless_asked_or_named():
    assert complete(beta={"x": 1}).by_name(NAMES) == {
        "beta[x]": 1,
        "sigma[1,1]": 1,
        "sigma[x,x]": 1,
        "pi[1,income]": 0.5,
    }
    assert complete().by_name(NAMES, zeros=True)["sigma[x,1]"] == 0
    assert complete(pi={"x,income": 0}).by_name(NAMES)["pi[x,income]"] == 0
    assert complete(free=["pi"]).by_name(NAMES)["pi[x,income]"] == 0


def test_zeros_are_estimated_only_when_freed():
    assert not complete().estimated(NAMES)["sigma[x,1]"]
    assert complete(free=["sigma[x,1]"]).estimated(NAMES)["sigma[x,1]"]
    assert complete(free=["sigma[*"]).estimated(NAMES)["sigma[x,1]"]
    assert not complete(free={"sigma[x,x]": False}).estimated(NAMES)["sigma[x,x]"]


def test_one_element_can_be_replaced_by_its_name():
    changed = complete(gamma=[2, 0.2]).replaced({"gamma[w]": 0.4, "sigma[x,1]": 1.5}, NAMES)
    assert changed.blocks(NAMES).gamma.tolist() == [2, 0.4]
    assert changed.blocks(NAMES).sigma.tolist() == [[1, 0], [1.5, 1]]
    with pytest.raises(ParameterError, match=r"gamma\[z\]: expected one of"):
        complete().replaced({"gamma[z]": 1}, NAMES)


def test_parameters_do_not_change_with_the_arrays_they_were_made_of():
    beta = np.array([1.0, 2.0, 3.0])
    parameters = complete(beta=beta)
    beta[0] = 99
    assert parameters.blocks(NAMES).beta[0] == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"beta": [1, 2]}, r"Parameters.beta = shape \(2,\): expected shape \(3,\); .*"),
        ({"sigma": np.eye(3)}, r"Parameters.sigma = shape \(3, 3\): expected shape \(2, 2\); .*"),
        ({"sigma": None}, r"Parameters.sigma = None: expected an array \(2, 2\) or values by name; .*"),
        ({"pi": [[1, 2], [3, 4]]}, r"Parameters.pi = shape \(2, 2\): expected shape \(2, 1\); .*"),
        ({"pi": None}, r"Parameters.pi = None: expected an array .*"),
        ({"beta": {"sugar": 1}}, r"Parameters.beta = sugar: expected one of beta\[1\], beta\[x\], .*"),
        ({"sigma": {"1,x": 1}}, r"Parameters.sigma = 1,x: expected one of .*; only the lower triangle .*"),
        ({"sigma": [[np.nan, 0], [0, 1]]}, r"Parameters.sigma = nan: expected finite numbers; .*"),
        ({"beta": [np.inf, 1, 1]}, r"Parameters.beta = inf: expected finite numbers, or NaN .*"),
        ({"beta": ["a", 1, 1]}, r"Parameters.beta = .*: expected numbers; .*"),
        ({"free": ["sigma[z,z]"]}, r"Parameters.free = sigma\[z,z\]: expected names or patterns of .*"),
    ],
)
def test_a_wrong_shape_name_or_value_is_one_line_that_names_it(changes, message):
    with pytest.raises(ParameterError, match=f"^{message}$"):
        complete(**changes).estimated(NAMES)


@pytest.mark.parametrize(
    ("block", "part"), [("sigma", "nonlinear"), ("pi", "demographics"), ("gamma", "supply")]
)
def test_a_block_that_the_model_does_not_have_is_refused(block, part):
    message = f"^Parameters.{block} = .*: expected None; Model.{part} has no columns"
    with pytest.raises(ParameterError, match=message):
        Parameters(**{block: [[1.0]]}).blocks(ModelNames(("prices",), (), (), ()))
