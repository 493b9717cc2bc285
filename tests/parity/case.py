"""One estimation problem, stated once in plain values for both packages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Columns = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Case:
    """Data, model, parameters and options that PyBLP and blpsim read the same way."""

    name: str
    model: Mapping[str, Any]
    """Keyword arguments of ``bs.Model``."""
    products: Columns
    ownership: NDArray[np.float64] | None = None
    """Stacked ownership matrices, a row for each of the products'; None: firms own their products."""
    agents: Columns | None = None
    nodes: int | None = None
    """Level of a quadrature rule; None: the agents' own nodes."""
    rule: str = "product"
    """The quadrature rule, by PyBLP's name."""
    candidates: Columns | None = None
    """Of whom the agents are sampled at the parameters, when these are as good as an estimate."""
    parameters: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    """Arrays named beta, sigma, pi, gamma, phi; NaN in beta or gamma is concentrated out."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Keyword arguments of ``bs.GMM`` that mean the same in PyBLP (method, W_type, center_moments, ...)."""
    bounds: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]] = field(default_factory=dict)
    """Lower and upper arrays for beta, sigma, pi, gamma; what is left out keeps its default."""
    optimizer: str = "return"
    gtol: float = 1e-5
    features: tuple[str, ...] = ()
    """What the case exercises, for tables by feature."""

    @property
    def has_supply(self) -> bool:
        """Return whether costs are estimated too."""
        return "supply" in self.model
