"""Where an estimator starts and how far it may go, relative to a scenario's truth."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from blpsim.arrays import Matrix, Vector
from blpsim.checks import check_count, check_fields
from blpsim.errors import ConfigurationError
from blpsim.fingerprint import LATER
from blpsim.model.layout import Layout


@dataclass(frozen=True, slots=True)
class Starts:
    """Where the optimizer starts: uniform draws around the truth, the same for every estimator."""

    number: int = 3
    """How many starts; the lowest objective wins."""
    around: Literal["truth"] = "truth"
    width: float = 0.5
    """Starts lie within this fraction of the truth."""

    def __post_init__(self) -> None:
        """Refuse no starts, and widths that could change signs."""
        check_count("Starts.number", self.number, "something must start")
        check_fields(self)
        if not 0 <= self.width < 1:
            why = "a width of 1 starts at zero, where the gradient of sigma vanishes"
            raise ConfigurationError("Starts.width", self.width, "in [0, 1)", why)

    def draw(self, theta: Vector, generator: np.random.Generator) -> Matrix:
        """Return starts, (S, P)."""
        draws = generator.uniform(1 - self.width, 1 + self.width, (self.number, theta.size))
        return np.asarray(theta * draws, np.float64)


@dataclass(frozen=True, slots=True)
class Bounds:
    """A box around the truth, as Conlon and Gortmaker (2020) use it."""

    width: float = 10.0
    """Every parameter lies within this multiple of its true size; sigma's diagonal is not negative."""
    around: Literal["truth"] = "truth"
    highest_price_coefficient: float | None = -0.001
    """With a supply side, what coefficients on prices must not exceed; None for no such bound."""
    highest_rho: float = field(default=0.95, metadata=LATER)
    """What correlations within nests must not exceed."""

    def __post_init__(self) -> None:
        """Refuse a box that does not hold the truth inside."""
        check_fields(self)
        if not self.width > 0:
            raise ConfigurationError(
                "Bounds.width", self.width, "a positive number", "the box would be empty"
            )
        if not 0 < self.highest_rho < 1:
            why = "at 1 choice within a nest is deterministic"
            raise ConfigurationError("Bounds.highest_rho", self.highest_rho, "in (0, 1)", why)

    def by_name(self, layout: Layout, price_coefficients: Collection[str]) -> dict[str, tuple[float, float]]:
        """Return lower and upper bounds of what the optimizer moves, when the layout starts at the truth."""
        bounds = {}
        floors, _ = layout.default_bounds()
        for name, value, floor in zip(layout.theta_names, layout.theta0, floors, strict=True):
            size = self.width * abs(value) if value else self.width
            lower, upper = max(value - size, floor), value + size
            if name in price_coefficients and self.highest_price_coefficient is not None:
                upper = min(upper, self.highest_price_coefficient)
            if name.startswith("rho"):
                upper = max(value, self.highest_rho)
            bounds[name] = (float(lower), float(upper))
        return bounds
