"""How firms set prices: which products' profits a price setter has in mind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from blpsim.arrays import Matrix
from blpsim.checks import check, numbers
from blpsim.errors import ConfigurationError

Kappa: TypeAlias = float | ArrayLike | Mapping[tuple[Any, Any], float] | Callable[[Any, Any], float]

_SINGLE = "single"
"""PyBLP's name of single-product firms."""


class Conduct(StrEnum):
    """Who sets the prices of a market, Nash against all others."""

    BERTRAND = "bertrand"
    """Each firm sets the prices of all its products."""
    SINGLE_PRODUCT = "single_product"
    """Each product sets its own price, whoever owns it; ``"single"`` is read as this, too."""
    MONOPOLY = "monopoly"
    """One decision maker sets all prices: a monopoly, or a cartel of all firms."""
    PERFECT_COMPETITION = "perfect_competition"
    """Prices equal marginal costs."""


@dataclass(frozen=True, slots=True)
class Ownership:
    """A rule by which a firm has other firms' profits in mind when it sets its prices.

    Source: the cooperation matrix kappa of PyBLP's ``build_ownership``.
    """

    kappa: Kappa
    """The weight kappa_fg that firm f, setting its prices, puts on the profits of firm g; 1 on its own.

    A number in [0, 1]: the fraction of all others' profits, 0 as Bertrand, 1 as a monopoly. A mapping, as
    ``{("f", "g"): 0.2}`` where f has a minority stake in g: pairs left out have 0, a firm with itself 1. A
    matrix (F, F), whose rows and columns the firm_ids 0, 1, .. count. A function of f and g, as PyBLP's.
    """

    def __post_init__(self) -> None:
        """Refuse weights that are none."""
        object.__setattr__(self, "kappa", _read_kappa(self.kappa))

    def weights(self, firms: NDArray[Any]) -> Matrix:
        """Return kappa of the firms with these names, (F, F).

        Raises
        ------
        ConfigurationError
            For a matrix without some of the firms, and for values of a function that are no weights.
        """
        names, kappa = firms.tolist(), self.kappa
        if isinstance(kappa, tuple):
            return check_weights("Ownership.kappa", _selected(np.array(kappa, np.float64), firms))
        if isinstance(kappa, Mapping):
            found = [[kappa.get((f, g), float(f == g)) for g in names] for f in names]
        elif callable(kappa):
            found = [[kappa(f, g) for g in names] for f in names]
        else:
            found = [[1.0 if f == g else cast(float, kappa) for g in names] for f in names]
        return check_weights("Ownership.kappa", numbers("Ownership.kappa", found))


def read_conduct(field: str, value: object) -> Conduct | Ownership:
    """Return the conduct that a value names or is; anything else is a ConfigurationError of the field."""
    if isinstance(value, Ownership):
        return value
    try:
        name = str(value) if isinstance(value, str) else ""
        return Conduct.SINGLE_PRODUCT if name == _SINGLE else Conduct(name)
    except ValueError as error:
        why = "prices are set in one of these ways"
        expected = f"one of {', '.join(Conduct)}, or an Ownership"
        raise ConfigurationError(field, value, expected, why) from error


def check_weights(field: str, weights: Matrix) -> Matrix:
    """Return the weights of price setters, (F, F), or refuse them when they are none."""
    if not np.isfinite(weights).all():
        got = float(weights[~np.isfinite(weights)][0])
        raise ConfigurationError(field, got, "finite numbers", "they weight profits")
    own = np.diag(weights)
    if (own <= 0).any():
        why = "whoever sets a price has its product's own profits in mind"
        raise ConfigurationError(field, float(own[own <= 0][0]), "positive numbers on the diagonal", why)
    return weights


def _read_kappa(value: object) -> Kappa:
    """Return kappa as it is kept: a number, a mapping, a tuple of rows, or a function."""
    if isinstance(value, Mapping):
        check("Ownership.kappa", value, Mapping[tuple[object, object], float])
        return {(f, g): _finite(number) for (f, g), number in value.items()}
    if callable(value) and not isinstance(value, type):
        return cast(Callable[[Any, Any], float], value)
    expected, why = "a number, a mapping, a function, or a square matrix", "it says what firms have in mind"
    if not isinstance(value, int | float | np.number | np.ndarray | list | tuple):
        raise ConfigurationError("Ownership.kappa", value, expected, why)
    array = numbers("Ownership.kappa", value)
    if array.ndim == 0:
        if not 0 <= array <= 1:
            why = "it is the fraction of others' profits that each firm has in mind"
            raise ConfigurationError("Ownership.kappa", value, "a number in [0, 1]", why)
        return float(array)
    if array.ndim != 2 or array.shape[0] != array.shape[1] or not array.size:
        raise ConfigurationError("Ownership.kappa", f"shape {array.shape}", expected, why)
    return tuple(tuple(row) for row in check_weights("Ownership.kappa", array).tolist())


def _finite(number: float) -> float:
    if not np.isfinite(number):
        raise ConfigurationError("Ownership.kappa", number, "finite numbers", "they weight profits")
    return float(number)


def _selected(kappa: Matrix, firms: NDArray[Any]) -> Matrix:
    """Return the rows and columns of a matrix that firm_ids 0, 1, .. count."""
    whole = firms.dtype.kind in "iuf" and bool((firms == np.floor(firms.astype(np.float64))).all())
    if not whole or firms.min() < 0 or firms.max() >= len(kappa):
        got = f"a matrix for firms 0 to {len(kappa) - 1}, but firm_ids {', '.join(map(str, firms.tolist()))}"
        why = "firm_ids count its rows and columns; a mapping names them"
        raise ConfigurationError("Ownership.kappa", got, "a row and a column for each firm", why)
    places = firms.astype(np.int64)
    return kappa[np.ix_(places, places)]
