"""Parameters as users write them: arrays as in PyBLP, or values by name."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from blpsim.arrays import Vector
from blpsim.checks import check, numbers
from blpsim.errors import ParameterError
from blpsim.fingerprint import LATER
from blpsim.model.blocks import (
    CONCENTRATED,
    RHO,
    Block,
    Blocks,
    Position,
    block_names,
    fill_block,
    full_name,
    names_given,
)
from blpsim.model.model import ModelNames

_MATRIX = 2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Parameters:
    """True values, starting values or estimates of a model's parameters.

    Each block is an array as in PyBLP, or a mapping from names, as ``{"prices": -1}`` or
    ``{"beta[prices]": -1}``, to values; ``"x"`` in sigma stands for ``sigma[x,x]``.
    """

    beta: Block = None
    """(K1,) coefficients of X1; NaN, None and names left out are concentrated out."""
    sigma: Block = None
    """(K2, K2) root of the covariance of tastes; only its lower triangle counts, as in PyBLP."""
    pi: Block = None
    """(K2, D) interactions of X2 with demographics."""
    rho: Block = field(default=None, metadata=LATER)
    """Correlations within nests: one for all, named ``rho``, or (H,) one a nest, named ``rho[a]``."""
    gamma: Block = None
    """(K3,) coefficients of X3; NaN, None and names left out are concentrated out."""
    phi: Block = field(default=None, metadata=LATER)
    """Autocorrelations of errors, PyBLP's without cross terms: that of xi, named ``phi[xi]``, or those of xi
    and omega, named ``phi[omega]``, also as a diagonal matrix; for moments in innovations."""
    free: Iterable[str] | Mapping[str, bool] | None = None
    """Names of zeros that are estimated all the same, a block or a pattern with ``*`` included; or,
    by name, whether an element is estimated. Without it zeros are fixed, as in PyBLP."""

    def __post_init__(self) -> None:
        """Copy what users may change later, and refuse what is no number."""
        for block in CONCENTRATED:
            value = getattr(self, block)
            if value is not None:
                object.__setattr__(self, block, _copied(value, block))
        if self.free is not None:
            object.__setattr__(self, "free", _as_mapping(self.free))

    def blocks(self, names: ModelNames) -> Blocks:
        """Return every element of every block, for the model whose labels these are.

        Raises
        ------
        ParameterError
            For names that do not exist, wrong shapes, values that are not finite, and blocks that the
            model needs or does not have.
        """
        positions = self.elements(names)
        k1, k2, k3, d, _ = (len(labels) for labels in names)
        phi = self.phi if isinstance(self.phi, Mapping) else _diagonal(self.phi)
        sigma = fill_block(self.sigma, "sigma", positions["sigma"], (k2, k2))
        return Blocks(
            fill_block(self.beta, "beta", positions["beta"], (k1,)),
            np.tril(sigma),
            fill_block(self.pi, "pi", positions["pi"], (k2, d)),
            _checked_rho(fill_block(self.rho, "rho", positions["rho"], (len(positions["rho"]),))),
            fill_block(self.gamma, "gamma", positions["gamma"], (k3,)),
            fill_block(phi, "phi", positions["phi"], (len(positions["phi"]),)),
        )

    def elements(self, names: ModelNames) -> Mapping[str, Mapping[str, Position]]:
        """Return each block's element names with their positions, for the model whose labels these are."""
        errors = min(_count(self.phi), 2 if names.x3 else 1)
        return block_names(names, common_rho=self.has_common_rho, errors=errors)

    @property
    def has_common_rho(self) -> bool:
        """Whether there is one rho for all nests."""
        if isinstance(self.rho, Mapping):
            return set(self.rho) == {RHO}
        return self.rho is not None and np.size(self.rho) == 1

    def estimated(self, names: ModelNames, blocks: Blocks | None = None) -> dict[str, bool]:
        """Return, for each element with a value, whether it is estimated; by default zeros are not.

        Raises
        ------
        ParameterError
            When ``free`` names what does not exist, or what is concentrated out; and as ``blocks``.
        """
        blocks = blocks or self.blocks(names)
        values = {
            name: getattr(blocks, block)[position]
            for block, elements in self.elements(names).items()
            for name, position in elements.items()
        }
        estimated = {name: bool(value != 0) for name, value in values.items() if not np.isnan(value)}
        for pattern, is_free in cast(Mapping[str, bool], self.free or {}).items():
            matching = _matching(pattern)
            found = [name for name in estimated if matching(name)]
            if not found and not any(matching(name) for name in values):
                expected = f"names or patterns of {', '.join(values)}"
                raise ParameterError("Parameters.free", pattern, expected, "nothing has this name")
            estimated.update(dict.fromkeys(found, is_free))
        return estimated

    def by_name(self, names: ModelNames, *, zeros: bool = False) -> dict[str, float]:
        """Return the elements that have a value, in the order beta, sigma, pi, rho, gamma, phi.

        zeros  whether to list zeros that nobody frees or names, too

        Raises
        ------
        ParameterError
            As ``blocks``.
        """
        blocks = self.blocks(names)
        estimated = self.estimated(names, blocks)
        values: dict[str, float] = {}
        for block, elements in self.elements(names).items():
            named = names_given(getattr(self, block), block)
            for name, position in elements.items():
                if zeros or estimated.get(name, False) or name in named:
                    values[name] = float(getattr(blocks, block)[position])
        return {name: value for name, value in values.items() if not np.isnan(value)}

    def replaced(self, values: Mapping[str, float], names: ModelNames) -> Parameters:
        """Return the parameters with the elements of these names, as ``gamma[w]``, changed.

        Raises
        ------
        ParameterError
            When a name does not exist; and as ``blocks``.
        """
        positions = self.elements(names)
        blocks = self.blocks(names)._asdict()
        for name, value in values.items():
            block = name.partition("[")[0]
            if name not in positions.get(block, {}):
                expected = f"one of {', '.join(name for elements in positions.values() for name in elements)}"
                raise ParameterError("Parameters", name, expected, "nothing has this name")
            blocks[block][positions[block][name]] = value
        return replace(self, **{block: array if array.size else None for block, array in blocks.items()})


def _copied(value: ArrayLike | Mapping[str, float], block: str) -> NDArray[np.float64] | dict[str, float]:
    if isinstance(value, np.ndarray) and value.dtype == np.float64:
        return value.copy()
    field = f"Parameters.{block}"
    if not isinstance(value, Mapping):
        return numbers(field, value, ParameterError)
    check(field, value, Mapping[str, object], ParameterError)
    named = {name: numbers(f"{field}[{name!r}]", number, ParameterError) for name, number in value.items()}
    for name, number in named.items():
        check(f"{field}[{name!r}]", number.shape, tuple[()], ParameterError)
    return {name: float(number) for name, number in named.items()}


def _count(phi: Block) -> int:
    """Return how many errors are autocorrelated."""
    if isinstance(phi, Mapping):
        return 2 if any(full_name(name, "phi") == "phi[omega]" for name in phi) else 1
    return 0 if phi is None else len(np.atleast_1d(np.asarray(phi)))


def _diagonal(phi: Block) -> Vector | None:
    """Return the diagonal of a matrix, (2,), or a vector as it is."""
    if phi is None:
        return None
    array = np.atleast_1d(np.asarray(phi, np.float64))
    if array.ndim != _MATRIX or array.shape[0] != array.shape[1]:
        return array
    if (array != np.diag(np.diag(array))).any():
        why = "xi and omega are regressed on their own lags"
        raise ParameterError("Parameters.phi", array.tolist(), "a diagonal matrix", why)
    return np.diag(array).copy()


def _as_mapping(free: Iterable[str] | Mapping[str, bool]) -> dict[str, bool]:
    if type(free) is dict and all(type(n) is str and type(m) is bool for n, m in free.items()):
        return free.copy()
    check("Parameters.free", free, Mapping[str, bool] | Iterable[str] | str, ParameterError)
    if isinstance(free, Mapping):
        return {name: bool(is_free) for name, is_free in free.items()}
    names = (free,) if isinstance(free, str) else tuple(free)
    check("Parameters.free", names, tuple[str, ...], ParameterError)
    return dict.fromkeys(names, True)


def _matching(pattern: str) -> Callable[[str], bool]:
    if pattern in CONCENTRATED:
        compiled = re.compile(rf"{pattern}(\[.*\])?")
    else:
        compiled = re.compile(re.escape(pattern).replace(r"\*", ".*"))
    return lambda name: compiled.fullmatch(name) is not None


def _checked_rho(rho: Vector) -> Vector:
    if ((rho < 0) | (rho >= 1)).any():
        got = float(rho[(rho < 0) | (rho >= 1)][0])
        raise ParameterError("Parameters.rho", got, "in [0, 1)", "at 1 choice within a nest is deterministic")
    return rho
