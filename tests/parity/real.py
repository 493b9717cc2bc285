"""The two data sets that every reader of the literature knows: Nevo's cereal and BLP's automobiles."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyblp

from .case import Case, Columns


def _columns(location: str) -> Columns:
    return {str(name): column.to_numpy() for name, column in pd.read_csv(location).items()}


def nevo(optimizer: str = "return") -> Case:
    """Return Nevo's (2000) fake cereal: demand only, product fixed effects, four demographics."""
    pi = [
        [5.4819, 0, 0.2037, 0],
        [15.8935, -1.2000, 0, 2.6342],
        [-0.2506, 0, 0.0511, 0],
        [1.2650, 0, -0.8091, 0],
    ]
    return Case(
        name="Nevo",
        model={
            "linear": "0 + prices",
            "nonlinear": "1 + prices + sugar + mushy",
            "demographics": "0 + income + income_squared + age + child",
            "absorb_demand": "C(product_ids)",
        },
        products=_columns(pyblp.data.NEVO_PRODUCTS_LOCATION),
        agents=_columns(pyblp.data.NEVO_AGENTS_LOCATION),
        parameters={"sigma": np.diag([0.3302, 2.4526, 0.0163, 0.2441]), "pi": np.array(pi)},
        options={"method": "1s"},
        optimizer=optimizer,
        gtol=1e-5,
    )


def blp(optimizer: str = "return", method: str = "1s") -> Case:
    """Return BLP's (1995) automobiles: supply with log costs, clustered moments.

    The two-step estimate first updates the weights at the start and bounds costs from below; with
    ``method="1s"`` it is the plain one-step objective that the reference numbers are quoted for.
    """
    pi = np.zeros((6, 1))
    pi[1] = -43.501
    options: dict[str, object] = {"method": method, "W_type": "clustered", "se_type": "clustered"}
    options |= {"costs_bounds": (0.001, None)}
    if method == "2s":
        options["initial_update"] = True
    return Case(
        name="BLP",
        model={
            "linear": "1 + hpwt + air + mpd + space",
            "nonlinear": "1 + prices + hpwt + air + mpd + space",
            "supply": "1 + log(hpwt) + air + log(mpg) + log(space) + trend",
            "demographics": "0 + I(1 / income)",
            "costs": "log",
        },
        products=_columns(pyblp.data.BLP_PRODUCTS_LOCATION),
        agents=_columns(pyblp.data.BLP_AGENTS_LOCATION),
        parameters={"sigma": np.diag([3.612, 0, 4.628, 1.818, 1.050, 2.056]), "pi": pi},
        options=options,
        optimizer=optimizer,
        gtol=1e-8,
    )
