"""A scenario that tests change in one respect each."""

from __future__ import annotations

from typing import Any

from blpsim.model.integration import Integration
from blpsim.model.model import Model
from blpsim.model.parameters import Parameters
from blpsim.simulate.distributions import Choice, Uniform
from blpsim.simulate.markets import Errors, Markets
from blpsim.simulate.scenario import Scenario

PARTS: dict[str, Any] = {
    "model": Model(linear="1 + x + prices", nonlinear="0 + x", supply="1 + x + w"),
    "truth": Parameters(beta=[-7, 6, -1], sigma=[[3.0]], gamma=[2, 1, 0.2]),
    "markets": Markets(number=6, firms=Choice(2, 3), products_per_firm=Choice(1, 2, 3)),
    "characteristics": {"x": Uniform(0, 1), "w": Uniform(0, 1)},
    "errors": Errors(xi_variance=0.2, omega_variance=0.2, covariance=0.1),
    "consumers": Integration("monte_carlo", 50),
}


def scenario(**changes: Any) -> Scenario:
    return Scenario(**{**PARTS, **changes})
