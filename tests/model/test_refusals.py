"""Values of a wrong kind in every field of what describes an economy."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import blpsim as bs
from blpsim.model.model import ModelNames
from tests.wrong_values import refused_values

PARTS = {"linear": "1 + prices + x", "nonlinear": "0 + x", "demographics": "0 + a", "supply": "0 + w"}
NAMES = ModelNames(("1", "prices", "x"), ("x",), ("w", "z"), ("a", "b"))
FULL = {"beta": [1, -1, 1], "sigma": [[1]], "pi": [[1, 0]], "gamma": [1, 2]}
ANY = ("abc", None)
MODEL = {"linear": (), "nonlinear": ANY, "demographics": ANY, "supply": ANY, "costs": (), "rc_types": (None,)}
MODEL["epsilon_scale"] = (2.5,)
SQUARES = (-1, 2.5, (1,), pd.DataFrame({"a": [1]}))
ARRAYS = {"beta": (None,), "sigma": SQUARES, "pi": (), "gamma": (None, np.array([1.0, 2.0]))}
ARRAYS["phi"] = (None, *SQUARES, np.array([1.0, 2.0]))


@pytest.mark.parametrize(("field", "right"), [*MODEL.items(), ("absorb_demand", ANY), ("absorb_supply", ANY)])
def test_a_model_refuses_wrong_values(field, right):
    parts = {"linear": "1 + prices"} if field == "nonlinear" else PARTS
    refused_values(lambda **changes: bs.Model(**{**parts, **changes}), field, right)


@pytest.mark.parametrize(("field", "right"), [*ARRAYS.items(), ("free", (None,))])
def test_parameters_refuse_wrong_values(field, right):
    def bound(**changes: object) -> None:
        parameters = bs.Parameters(**{**FULL, **changes})
        parameters.estimated(NAMES, parameters.blocks(NAMES))

    refused_values(bound, field, right)


@pytest.mark.parametrize(("field", "right"), [("specification", ()), ("size", ()), ("seed", (None,))])
def test_an_integration_refuses_wrong_values(field, right):
    refused_values(
        lambda **changes: bs.Integration(**{"specification": "halton", "size": 3, **changes}), field, right
    )
