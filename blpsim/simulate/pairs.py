"""What is drawn for each agent and product of a market: distances, say, or what agents can choose."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from blpsim.arrays import Integers, Matrix
from blpsim.checks import check_fields
from blpsim.errors import ConfigurationError
from blpsim.model.columns import PRICES, SHARES
from blpsim.model.panel import Products
from blpsim.simulate.distributions import Distribution, check_distribution

Variables = Mapping[str, NDArray[Any]]


@runtime_checkable
class PairDistribution(Protocol):
    """What is drawn for each pair of an agent and a product, market by market."""

    def draw_pairs(
        self, generator: np.random.Generator, shape: tuple[int, int], agents: Variables, products: Variables
    ) -> NDArray[Any]:
        """Return a market's draws, or what broadcasts to them, (J, I).

        shape     (J, I)
        agents    demographics that were drawn before, (I,) each, or (J, I) where they differ by product
        products  columns of the products, (J, 1) each, but no prices and shares
        """


@dataclass(frozen=True, slots=True)
class PerAgentAndProduct:
    """A draw for each agent and product."""

    distribution: Distribution

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn from."""
        check_distribution("PerAgentAndProduct.distribution", self.distribution)
        check_fields(self)

    def draw_pairs(
        self, generator: np.random.Generator, shape: tuple[int, int], agents: Variables, products: Variables
    ) -> Matrix:
        """Return independent draws, (J, I)."""
        del agents, products
        return self.distribution.draw(generator, shape[0] * shape[1]).reshape(shape)


@dataclass(frozen=True, slots=True)
class Pairs:
    """What a rule says of each pair of an agent and a product, as the distance between their places.

    ``Pairs(lambda agents, products: abs(agents["place"] - products["place"]))``, where agents have a place
    among their demographics, and products among their characteristics.
    """

    rule: Callable[[Variables, Variables], Any]
    """Returns (J, I), or what broadcasts to it, of one market's agents and products: variables of agents are
    (I,), or (J, I) where they differ by product and were drawn before; those of products are (J, 1), without
    prices and shares."""

    def __post_init__(self) -> None:
        """Refuse what is no function."""
        check_fields(self)

    def draw_pairs(
        self, generator: np.random.Generator, shape: tuple[int, int], agents: Variables, products: Variables
    ) -> NDArray[Any]:
        """Return what the rule says."""
        del generator, shape
        return np.asarray(self.rule(agents, products))


class Meeting(NamedTuple):
    """Agents and the products of their markets."""

    offsets: Integers
    """(T+1,) market t has agents ``offsets[t]:offsets[t+1]``."""
    products: Products


def check_pairs(field: str, value: object) -> None:
    """Refuse what draws neither numbers nor pairs, with a ConfigurationError that names the field."""
    if not isinstance(value, PairDistribution):
        check_distribution(field, value)


def draw_pairs(
    field: str,
    distribution: PairDistribution,
    generator: np.random.Generator,
    meeting: Meeting,
    known: Variables,
) -> Matrix:
    """Return draws, (J*, I), zero beyond a market's products.

    field  what is drawn, for errors
    known  variables of agents, (I,) or (J*, I) each

    Raises
    ------
    ConfigurationError
        For draws of another shape, or that are not finite numbers.
    """
    products, offsets = meeting.products, meeting.offsets
    starts = products.market_offsets
    found = np.zeros((int(np.diff(starts).max()), int(offsets[-1])))
    columns = {name: c[:, None] for name, c in products.columns.items() if name not in (PRICES, SHARES)}
    for t in range(products.markets):
        rows, mine = slice(starts[t], starts[t + 1]), slice(offsets[t], offsets[t + 1])
        shape = int(starts[t + 1] - starts[t]), int(offsets[t + 1] - offsets[t])
        agents = {name: v[mine] if v.ndim == 1 else v[: shape[0], mine] for name, v in known.items()}
        offered = {name: column[rows] for name, column in columns.items()}
        values = distribution.draw_pairs(generator, shape, agents, offered)
        found[: shape[0], mine] = _checked(field, values, shape)
    return found


def _checked(field: str, values: NDArray[Any], shape: tuple[int, int]) -> Matrix:
    why = "there is one for each product and agent of a market"
    try:
        numbers = np.broadcast_to(np.asarray(values, np.float64), shape)
    except (TypeError, ValueError) as error:
        got = f"shape {np.shape(values)}"
        raise ConfigurationError(field, got, f"numbers of shape {shape}", why) from error
    if not np.isfinite(numbers).all():
        bad = float(numbers[~np.isfinite(numbers)][0])
        raise ConfigurationError(field, bad, "finite numbers", "utilities are made of them")
    return numbers
