"""An economy: what is observed, who the consumers are, and the parameters that explain it."""

from __future__ import annotations

from dataclasses import dataclass

from blpsim.arrays import Offsets, Vector
from blpsim.model.conduct import Conduct
from blpsim.model.model import Model
from blpsim.model.panel import Agents, Products, offsets
from blpsim.model.parameters import Parameters


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Economy:
    """Demand and supply with known parameters, at the truth of a scenario or at an estimate."""

    model: Model
    products: Products
    """Their prices and shares are the economy's."""
    agents: Agents
    parameters: Parameters
    """A value for every coefficient."""
    delta: Vector
    """(N,) mean utilities at the products' prices."""
    xi: Vector
    """(N,) unobserved demand characteristics."""
    omega: Vector | None = None
    """(N,) unobserved cost characteristics; None without a supply side."""
    costs: Vector | None = None
    """(N,) marginal costs; None without a supply side."""
    conduct: Conduct = Conduct.BERTRAND
    """How prices are set."""

    @property
    def offsets(self) -> Offsets:
        """Where each market's products, agents and firms stand."""
        return offsets(self.products, self.agents)
