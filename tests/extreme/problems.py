"""Problems at the edge of what numbers hold: each a pure function of its seed."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import blpsim as bs

Array = NDArray[Any]


class Extreme(NamedTuple):
    """A problem, parameters far from anything sensible, and what is extreme about them."""

    model: bs.Model
    products: dict[str, Array]
    agents: dict[str, Array] | None
    parameters: bs.Parameters
    gmm: bs.GMM
    features: tuple[str, ...]


class Size(NamedTuple):
    """How much of everything there is."""

    markets: int
    products: int
    """Of a market."""
    consumers: int
    coefficients: int

    @property
    def number(self) -> int:
        """N."""
        return self.markets * self.products


def extreme(seed: int) -> Extreme:
    """Return the problem of this seed."""
    generator = np.random.default_rng([2026, seed])
    size = Size(
        *(int(generator.choice(sizes)) for sizes in ((1, 2, 5), (1, 2, 10, 40), (1, 2, 50), (0, 1, 2, 3)))
    )
    nested, supply = bool(generator.uniform() < 0.4), bool(generator.uniform() < 0.6)
    columns = _columns(size, generator)
    types = tuple(
        str(t) for t in generator.choice(["linear", "log", "logit"], size.coefficients, p=[0.6, 0.2, 0.2])
    )
    names = ["prices", "x", "y"][: size.coefficients]
    rich = size.number > 12
    model = bs.Model(
        linear="1 + x + prices" if rich else "0 + prices",
        nonlinear=f"0 + {' + '.join(names)}" if names else None,
        supply=("1 + w" if rich else "1") if supply else None,
        costs="log" if supply and generator.uniform() < 0.4 else "linear",
        nests="nesting_ids" if nested else None,
        rc_types=types if names and generator.uniform() < 0.4 else None,
    )
    rho = float(generator.choice([0.0, 1e-9, 0.5, 0.9, 0.99]))
    price = -float(10 ** generator.uniform(-3, 2))
    parameters = bs.Parameters(
        beta=[np.nan, np.nan, price] if rich else [price],
        sigma=_sigma(size, generator) if names else None,
        rho=rho if nested else None,
        gamma=np.full(2 if rich else 1, np.nan) if supply else None,
        free=["sigma"] if names else None,
    )
    gmm = bs.GMM(
        method="1s",
        hessian=False,
        costs_bounds=(1e-3, None) if model.costs == "log" else None,
        optimizer=bs.Optimizer("l-bfgs-b", max_iterations=3),
    )
    features = (
        f"T={size.markets}",
        f"J={size.products}",
        f"I={size.consumers}",
        f"K2={size.coefficients}",
        *([f"rho={rho:g}"] if nested else []),
        *(["supply"] if supply else []),
    )
    return Extreme(model, columns, _agents(size, generator) if names else None, parameters, gmm, features)


def _columns(size: Size, generator: np.random.Generator) -> dict[str, Array]:
    number = size.number
    firms = generator.integers(0, int(generator.choice([1, 3, 40])), number)
    columns: dict[str, Array] = {
        "market_ids": np.repeat(np.arange(size.markets), size.products),
        "firm_ids": firms,
        "nesting_ids": generator.integers(0, int(generator.choice([1, 2, 40])), number),
        "shares": _shares(size, generator),
        "prices": generator.uniform(0.5, 1.5, number) * 10 ** generator.uniform(-3, 4),
    }
    columns |= {
        name: generator.normal(size=number) * 10 ** generator.uniform(-2, 2) for name in ("x", "y", "w")
    }
    instruments = 6 if number > 12 else 1
    columns |= {f"demand_instruments{k}": generator.normal(size=number) for k in range(instruments)}
    return columns | {f"supply_instruments{k}": generator.normal(size=number) for k in range(instruments - 1)}


def _shares(size: Size, generator: np.random.Generator) -> Array:
    """Return shares down to 1e-12, of markets whose outside shares go down to 1e-6."""
    outside = 10 ** -generator.uniform(0.05, 6, (size.markets, 1))
    raw = np.exp(generator.normal(size=(size.markets, size.products)) * generator.choice([0.1, 2, 12]))
    inside = np.maximum(raw / raw.sum(axis=1, keepdims=True), 1e-11)
    inside /= inside.sum(axis=1, keepdims=True)
    shares: Array = np.maximum(inside * (1 - outside), 1e-12).ravel()
    return shares


def _sigma(size: Size, generator: np.random.Generator) -> Array:
    sigma = np.tril(generator.normal(size=(size.coefficients, size.coefficients)))
    return np.asarray(sigma * 10 ** generator.uniform(-6, 3, (size.coefficients, 1)))


def _agents(size: Size, generator: np.random.Generator) -> dict[str, Array]:
    weights = generator.uniform(0.1, 1, (size.markets, size.consumers))
    if size.consumers > 2 and generator.uniform() < 0.15:
        weights[:, 0] *= -0.2
    weights /= weights.sum(axis=1, keepdims=True)
    agents = {"market_ids": np.repeat(np.arange(size.markets), size.consumers), "weights": weights.ravel()}
    nodes = generator.standard_t(3, size=(size.coefficients, size.markets * size.consumers))
    return agents | {f"nodes{k}": row for k, row in enumerate(nodes)}
