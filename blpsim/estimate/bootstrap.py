"""A parametric bootstrap: economies whose parameters are drawn from the estimates' normal distribution."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from blpsim.arrays import Matrix, Vector
from blpsim.economy.economy import Economy
from blpsim.estimate.gmm import GMM
from blpsim.model.layout import Layout


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Distribution:
    """A function of the economy across bootstrap draws."""

    draws: NDArray[np.float64] = field(repr=False)
    """(R, ...) its values; NaN for draws without an equilibrium."""
    failed: int
    """How many draws have no equilibrium; what follows leaves them out."""

    @property
    def standard_error(self) -> NDArray[np.float64]:
        """The standard deviation across draws, in the function's shape."""
        return np.asarray(self._usable().std(axis=0, ddof=1), np.float64)

    def percentiles(self, q: ArrayLike = (2.5, 97.5)) -> NDArray[np.float64]:
        """Return percentiles, (len(q), ...), of a 95 % interval by default."""
        return np.asarray(np.percentile(self._usable(), np.asarray(q, np.float64), axis=0), np.float64)

    def _usable(self) -> NDArray[np.float64]:
        lost = np.isnan(self.draws.reshape(len(self.draws), -1)).all(axis=1)
        return self.draws[~lost] if self.failed else self.draws


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bootstrap:
    """Draws from the asymptotic distribution of estimates, and the economies that have them.

    Economies are made when they are asked for, one at a time.
    """

    values: Matrix = field(repr=False)
    """(R, P) parameters, within the bounds of the estimation; those at a bound stay there."""
    economy: Economy = field(repr=False)
    """The economy at the estimates."""
    layout: Layout = field(repr=False)
    equilibrium: bool
    """Whether prices are those of each draw's equilibrium, or stay as observed."""

    def economies(self) -> Iterator[Economy | None]:
        """Yield the economy of each draw: xi and omega as estimated, prices and shares as they follow.

        None where there is no equilibrium.
        """
        return (drawn_economy(self.economy, self.layout, row, self.equilibrium) for row in self.values)

    def distribution(self, function: Callable[[Economy], ArrayLike]) -> Distribution:
        """Return a function's values, numbers or arrays of one shape, at the economy of each draw."""
        found = [None if e is None else np.asarray(function(e), np.float64) for e in self.economies()]
        shape = next((value.shape for value in found if value is not None), ())
        draws = np.array([np.full(shape, np.nan) if value is None else value for value in found])
        return Distribution(draws=draws, failed=sum(value is None for value in found))


def drawn_values(estimates: tuple[Vector, Matrix], layout: Layout, gmm: GMM, draws: int, seed: int) -> Matrix:
    """Return draws, (R, P), of parameters from their asymptotic distribution, clipped to their bounds.

    estimates  (P,) and their covariance (P, P); those whose variance is NaN stay where they are
    """
    values, covariance = estimates
    kept = np.flatnonzero(np.isfinite(np.diag(covariance)))
    generator = np.random.Generator(np.random.PCG64DXSM(seed))
    drawn = np.tile(values, (draws, 1))
    within = covariance[np.ix_(kept, kept)]
    drawn[:, kept] = generator.multivariate_normal(values[kept], within, draws, method="eigh")
    places = layout.theta_positions
    drawn[:, places] = np.clip(drawn[:, places], *gmm.respected_bounds(layout))
    return drawn


def drawn_economy(economy: Economy, layout: Layout, values: Vector, equilibrium: bool) -> Economy | None:
    """Return an economy with other parameters; None without an equilibrium.

    values  (P,) of all that is estimated

    Mean utilities and transformed costs move with the linear coefficients, xi and omega stay. Source:
    PyBLP's ``bootstrap``.
    """
    products, parameters = economy.products, layout.unfolded(values, fixed=True)
    columns = economy.model.bind(products.columns, economy.agents.demographic_names)
    old, new = (_linear(each.beta) for each in (economy.parameters, parameters))
    delta = economy.delta + products.restored(columns.x1.values(products.columns) @ (new - old))
    drawn = replace(economy, parameters=parameters, delta=delta)
    if economy.costs is not None and parameters.gamma is not None:
        shift = _linear(parameters.gamma) - _linear(economy.parameters.gamma)
        moved = products.restored(columns.x3.values(products.columns) @ shift)
        logs = economy.model.costs == "log"
        drawn = replace(drawn, costs=economy.costs * np.exp(moved) if logs else economy.costs + moved)
    if not equilibrium:
        return drawn.at(products.restored(products.prices), drawn.shares())
    found = drawn.equilibrium()
    return drawn.at(found.prices, found.shares) if found.status.is_usable else None


def _linear(block: object) -> Vector:
    return np.asarray(block, np.float64)
