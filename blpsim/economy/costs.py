"""Marginal costs that depend on quantities: what they are at other shares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blpsim.arrays import Vector
from blpsim.errors import ConfigurationError
from blpsim.model.columns import SHARES, Columns
from blpsim.model.model import Costs


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CostCurve:
    """Marginal costs as a function of shares, everything else fixed.

    First-order conditions are those of constant costs, at the marginal costs of the shares.
    """

    x3: Columns
    data: Mapping[str, NDArray[Any]]
    """Columns of products; their shares play no role."""
    gamma: Vector
    """(K3,) coefficients of the columns that depend on shares, zero elsewhere."""
    rest: Vector
    """(N,) what of costs, or of their logs, does not depend on shares."""
    kind: Costs

    def at(self, shares: Vector) -> Vector:
        """Return marginal costs, (N,), at shares (N,)."""
        with np.errstate(all="ignore"):
            values = self.rest + self.x3.values({**self.data, SHARES: shares}) @ self.gamma
            return np.exp(values) if self.kind == "log" else values

    def slopes(self, costs: Vector, shares: Vector) -> Vector:
        """Return the derivative of each product's marginal costs, (N,) now, by its share, (N,)."""
        slopes: Vector = self.x3.share_derivative({**self.data, SHARES: shares}) @ self.gamma
        return slopes * costs if self.kind == "log" else slopes


def cost_curve(
    x3: Columns, data: Mapping[str, NDArray[Any]], gamma: Vector, rest: Vector, kind: Costs
) -> CostCurve:
    """Return the curve of costs of which (N,) do not depend on shares.

    Raises
    ------
    ConfigurationError
        When the coefficient of a column that depends on shares is not known.
    """
    unknown = x3.depends_on_shares & np.isnan(gamma)
    if unknown.any():
        name = x3.names[int(np.argmax(unknown))]
        why = "marginal costs move with quantities: estimate the supply side, or leave shares out"
        raise ConfigurationError("Economy.parameters.gamma", f"no {name}", f"a value of {name}", why)
    return CostCurve(x3=x3, data=data, gamma=np.where(x3.depends_on_shares, gamma, 0.0), rest=rest, kind=kind)


def cost_curve_through(
    x3: Columns, data: Mapping[str, NDArray[Any]], gamma: Vector, costs: Vector, kind: Costs
) -> CostCurve:
    """Return the curve of marginal costs that are (N,) at the data's shares; raises as ``cost_curve``."""
    with np.errstate(all="ignore"):
        level = np.log(costs) if kind == "log" else costs
    curve = cost_curve(x3, data, gamma, level, kind)
    return cost_curve(x3, data, gamma, level - x3.values(data) @ curve.gamma, kind)
