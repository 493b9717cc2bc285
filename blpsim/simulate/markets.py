"""How many markets, firms and products there are, and the shocks that their products get."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from blpsim.arrays import Integers, Matrix, Vector
from blpsim.checks import check, check_count, check_fields, fits
from blpsim.errors import ConfigurationError
from blpsim.fingerprint import LATER
from blpsim.simulate.distributions import Choice, Distribution


class Structure(NamedTuple):
    """Where each market's and firm's products stand; the letters are those of ``arrays.Offsets``."""

    market_offsets: Integers
    """(T+1,)."""
    firm_offsets: Integers
    """(F+1,)."""
    market_firms: Integers
    """(T+1,)."""
    panel: bool = False
    """Whether all markets have the same products, in the same order."""

    @property
    def products_per_market(self) -> Integers:
        """The number of products of each market, (T,)."""
        return np.diff(self.market_offsets)

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return ``market_ids`` and ``firm_ids``, (N,); firms of different markets share numbers.

        In a panel also ``product_ids``, and ``clustering_ids`` that are the same.
        """
        firms_per_market = np.diff(self.market_firms)
        numbers = np.arange(self.market_firms[-1]) - np.repeat(self.market_firms[:-1], firms_per_market)
        columns = {
            "market_ids": np.repeat(np.arange(firms_per_market.size), self.products_per_market),
            "firm_ids": np.repeat(numbers, np.diff(self.firm_offsets)),
        }
        if self.panel:
            ids = np.tile(np.arange(self.market_offsets[1]), firms_per_market.size)
            columns |= {"product_ids": ids, "clustering_ids": ids.copy()}
        return columns

    def repeated(self, markets: int) -> Structure:
        """Return a panel: a single market's products in each of so many markets."""
        firm, market = self.firm_offsets[1:], self.market_firms[-1]
        starts = np.arange(markets)[:, None] * self.firm_offsets[-1]
        firm_offsets = np.concatenate((np.zeros(1, np.int64), (starts + firm).ravel()))
        market_firms = np.arange(markets + 1) * market
        return Structure(firm_offsets[market_firms], firm_offsets, market_firms, panel=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Markets:
    """The markets of a dataset, drawn anew in every replication."""

    number: int
    """T, the number of markets."""
    firms: int | Distribution = 1
    """Firms in each market."""
    products_per_firm: int | Distribution = 1
    """Products of each firm in each market."""
    panel: bool = field(default=False, metadata=LATER)
    """Whether the same firms sell the same products in all markets, which are consecutive periods then; the
    data have ``product_ids``, and ``clustering_ids`` like them."""
    firms_by: Literal["market", "dataset"] = field(default="market", metadata=LATER)
    """Whether each market has its own number of firms, or all markets of a dataset the same."""

    def __post_init__(self) -> None:
        """Refuse numbers that are not natural."""
        check_count("Markets.number", self.number, "a dataset has at least one market")
        check("Markets.panel", self.panel, bool)
        check("Markets.firms_by", self.firms_by, Literal["market", "dataset"])
        for name in ("firms", "products_per_firm"):
            check_natural(f"Markets.{name}", getattr(self, name), "no market may be empty")

    def draw(self, generator: np.random.Generator) -> Structure:
        """Return how products are divided among firms and markets.

        Raises
        ------
        ConfigurationError
            When a distribution gives numbers that are not natural.
        """
        drawn = 1 if self.panel else int(self.number)
        different = 1 if self.firms_by == "dataset" else drawn
        firms = natural_numbers("Markets.firms", self.firms, generator, different)
        firms = np.repeat(firms, drawn // different)
        each, number = self.products_per_firm, int(firms.sum())
        products = natural_numbers("Markets.products_per_firm", each, generator, number)
        firm_offsets, market_firms = _offsets(products), _offsets(firms)
        structure = Structure(firm_offsets[market_firms], firm_offsets, market_firms)
        return structure.repeated(int(self.number)) if self.panel else structure


@dataclass(frozen=True, slots=True)
class Assign:
    """Nests, to one of which each product, or all of a firm's in a market, is assigned at random."""

    number: int
    """How many nests there are, named 0, 1, .."""
    by: Literal["product", "firm"] = "product"
    """What is assigned as a whole."""

    def __post_init__(self) -> None:
        """Refuse no nests, and what is no unit of assignment."""
        check_count("Assign.number", self.number, "a product is in some nest")
        check_fields(self)

    def draw(self, generator: np.random.Generator, structure: Structure) -> Integers:
        """Return each product's nest, (N,); in a panel it is the same in all markets."""
        if structure.panel:
            first = Structure(
                structure.market_offsets[:2],
                structure.firm_offsets[: structure.market_firms[1] + 1],
                structure.market_firms[:2],
            )
            return np.tile(self.draw(generator, first), structure.market_offsets.size - 1)
        offsets = structure.firm_offsets
        if self.by == "product":
            return generator.integers(0, self.number, int(offsets[-1]))
        return np.repeat(generator.integers(0, self.number, offsets.size - 1), np.diff(offsets))


@dataclass(frozen=True, slots=True, kw_only=True)
class Errors:
    """Unobserved characteristics: xi of demand and omega of costs, bivariate normal with mean zero.

    Variances and the covariance are those of xi and omega whatever a panel's dynamics are, so that
    innovations have the smaller covariance S - phi S phi', and processes start at their stationary
    distribution. PyBLP's ``Simulation`` takes variances of innovations instead.
    """

    xi_variance: float = 1.0
    """Variance of xi."""
    omega_variance: float = 0.0
    """Variance of omega; without supply it plays no role."""
    covariance: float = 0.0
    """Covariance of xi and omega."""
    phi: float | tuple[tuple[float, float], tuple[float, float]] = field(default=0.0, metadata=LATER)
    """Autocorrelation from market to market of a panel, PyBLP's: (xi, omega) = phi (xi, omega) of the market
    before + innovations; one number for both, or a 2 x 2 matrix."""
    product_share: float = field(default=0.0, metadata=LATER)
    """The fraction of the variances that is the product's own and does not change from market to market of
    a panel; phi is that of the rest."""

    def __post_init__(self) -> None:
        """Refuse a matrix that is no covariance matrix, and processes that have none."""
        check_fields(self)
        for name in ("xi_variance", "omega_variance"):
            value = getattr(self, name)
            if not 0 <= value < np.inf:
                raise ConfigurationError(
                    f"Errors.{name}", value, "zero or a positive number", "it is a variance"
                )
        limit = float(np.sqrt(self.xi_variance * self.omega_variance))
        if not abs(self.covariance) <= limit * (1 + 1e-12):
            why = "else the covariance matrix is not positive semidefinite"
            raise ConfigurationError("Errors.covariance", self.covariance, f"in [-{limit:g}, {limit:g}]", why)
        if not 0 <= self.product_share <= 1:
            why = "it is a fraction of a variance"
            raise ConfigurationError("Errors.product_share", self.product_share, "in [0, 1]", why)
        self._check_phi()

    def _check_phi(self) -> None:
        phi = self.matrix
        if not np.isfinite(phi).all() or not np.abs(np.linalg.eigvals(phi)).max() < 1:
            why = "beyond, variances grow without limit"
            raise ConfigurationError("Errors.phi", self.phi, "eigenvalues inside the unit circle", why)
        innovations = self._covariances - phi @ self._covariances @ phi.T
        if np.linalg.eigvalsh(innovations)[0] < -1e-12 * np.trace(self._covariances):
            expected = "phi with which S - phi S phi' is positive semidefinite, S the covariance matrix"
            raise ConfigurationError("Errors.phi", self.phi, expected, "it is that of innovations")

    @property
    def needs_panel(self) -> bool:
        """Whether errors of different markets have something to do with each other."""
        return bool(self.product_share or self.matrix.any())

    @property
    def matrix(self) -> Matrix:
        """Phi as a matrix, (2, 2)."""
        return np.eye(2) * self.phi if isinstance(self.phi, int | float) else np.array(self.phi, np.float64)

    @property
    def _covariances(self) -> Matrix:
        off = self.covariance
        return np.array([[self.xi_variance, off], [off, self.omega_variance]], np.float64)

    def draw_panel(
        self, generator: np.random.Generator, markets: int, products: int
    ) -> tuple[Vector, Vector]:
        """Return xi and omega, (N,) each, of the same products in consecutive markets."""
        phi = self.matrix
        innovated = _root(self._covariances - phi @ self._covariances @ phi.T)
        stationary = _root(self._covariances)
        normal = generator.standard_normal((2, markets, products))
        errors = np.empty_like(normal)
        errors[:, 0] = stationary @ normal[:, 0]
        for t in range(1, markets):
            errors[:, t] = phi @ errors[:, t - 1] + innovated @ normal[:, t]
        own = stationary @ generator.standard_normal((2, products))
        share = self.product_share
        errors = np.sqrt(1 - share) * errors + np.sqrt(share) * own[:, None]
        return errors[0].ravel(), errors[1].ravel()

    def draw(self, generator: np.random.Generator, size: int) -> tuple[Vector, Vector]:
        """Return xi and omega, each (size,)."""
        first, second = generator.standard_normal(size), generator.standard_normal(size)
        deviation = np.sqrt(self.xi_variance)
        slope = self.covariance / deviation if deviation > 0 else 0.0
        rest = np.sqrt(max(self.omega_variance - slope**2, 0.0))
        return deviation * first, slope * first + rest * second


def _root(covariance: Matrix) -> Matrix:
    """Return a lower triangular root, (2, 2), of a matrix that may be singular."""
    deviation = np.sqrt(max(covariance[0, 0], 0.0))
    slope = covariance[1, 0] / deviation if deviation > 0 else 0.0
    rest = np.sqrt(max(covariance[1, 1] - slope**2, 0.0))
    return np.array([[deviation, 0.0], [slope, rest]])


def _is_natural(value: object) -> bool:
    return isinstance(value, int | np.integer) and fits(value, int) and bool(value >= 1)


def _has_unnatural(distribution: object) -> bool:
    return isinstance(distribution, Choice) and not all(
        value >= 1 and value == int(value) for value in distribution.values
    )


def check_natural(field: str, value: object, why: str) -> None:
    """Refuse what is neither a natural number nor a distribution of them, with a ConfigurationError."""
    if not (_is_natural(value) or (fits(value, Distribution) and not _has_unnatural(value))):
        expected = "an integer of 1 or more, or a distribution of them as Choice(2, 5, 10)"
        raise ConfigurationError(field, value, expected, why)


def natural_numbers(
    field: str, given: int | Distribution, generator: np.random.Generator, size: int
) -> Integers:
    """Return natural numbers, (size,): all the same, or drawn.

    Raises
    ------
    ConfigurationError
        When a distribution gives numbers that are not natural.
    """
    if isinstance(given, int | np.integer):
        return np.full(size, given, np.int64)
    drawn = given.draw(generator, size)
    counts = np.rint(drawn).astype(np.int64)
    if not np.array_equal(counts, drawn) or (counts < 1).any():
        bad = drawn[(counts != drawn) | (counts < 1)][0]
        raise ConfigurationError(field, bad, "integers of 1 or more", "it was drawn from it")
    return counts


def _offsets(counts: Integers) -> Integers:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
