"""What an economy is, as formulas: demand, supply, and which fixed effects are absorbed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, cast

import numpy as np

from blpsim.arrays import Integers
from blpsim.checks import check_fields
from blpsim.errors import ConfigurationError, FormulaError
from blpsim.fingerprint import LATER
from blpsim.kernels.links import LINEAR, LOG, LOGIT
from blpsim.model.absorption import compile_absorption
from blpsim.model.columns import NO_COLUMNS, PRICES, SHARES, Columns
from blpsim.model.expressions import Data
from blpsim.model.formula import Formula, compile_formula
from blpsim.model.tables import group_codes

Costs = Literal["linear", "log"]
RcType = Literal["linear", "log", "logit"]

_LINKS: Mapping[str, int] = {"linear": LINEAR, "log": LOG, "logit": LOGIT}


class ModelNames(NamedTuple):
    """Labels of the columns that parameters belong to."""

    x1: tuple[str, ...]
    x2: tuple[str, ...]
    x3: tuple[str, ...]
    demographics: tuple[str, ...]
    nests: tuple[str, ...] = ()


class ModelColumns(NamedTuple):
    """The compiled columns of a model; parts that a model lacks have none."""

    x1: Columns
    x2: Columns
    x3: Columns
    demographics: tuple[str, ...]
    """Labels of the agents' demographics, whose data are not the products'."""
    rc_types: tuple[RcType, ...]
    """(K2,) types of the random coefficients."""
    nests: tuple[str, ...] = ()
    """Labels of the nests, sorted."""

    @property
    def names(self) -> ModelNames:
        """The labels of all columns."""
        return ModelNames(self.x1.names, self.x2.names, self.x3.names, self.demographics, self.nests)

    @property
    def links(self) -> Integers:
        """The codes of the random coefficients' types, (K2,), as kernels read them."""
        return np.array([_LINKS[rc_type] for rc_type in self.rc_types], np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """Random-coefficients logit demand, with or without a supply side."""

    linear: str
    """X1, characteristics with the same coefficient for everybody."""
    nonlinear: str | None = None
    """X2, characteristics with random coefficients; None for logit."""
    demographics: str | None = None
    """Agents' characteristics that interact with X2; their variables may differ by product, as a distance."""
    rc_types: tuple[RcType, ...] | None = field(default=None, metadata=LATER)
    """One type a column of X2, as PyBLP's: ``"linear"``; ``"log"``, whose coefficient is exp(z), z = sigma nu
    + pi d; or ``"logit"``, 1 / (1 + exp(-z)). None: all linear.

    A mean of z, as of a lognormal coefficient's log, is the element of pi of a constant demographic.
    A coefficient on ``I(-prices)`` of the type ``"log"`` makes everybody's demand slope down.
    """
    supply: str | None = None
    """X3, characteristics that make costs; None without a supply side.

    Shares make marginal costs depend on quantities, as ``"1 + w + shares"`` or with ``log(shares)``; such
    columns are endogenous and need excluded instruments. Where costs fall steeply, first-order conditions may
    hold at a minimum of profits, which is no equilibrium.
    """
    costs: Costs = "linear"
    """Whether costs or their logs are linear in X3."""
    epsilon_scale: float = field(default=1.0, metadata=LATER)
    """What multiplies the idiosyncratic part of utility, PyBLP's: choices are those at V / epsilon_scale.

    As it goes to zero, the model becomes the pure characteristics model of Berry and Pakes (2007). With nests
    the whole of that part is scaled, which PyBLP does not have.
    """
    nests: str | None = field(default=None, metadata=LATER)
    """The column that says which nest a product is in, as ``"nesting_ids"``; None without nests."""
    absorb_demand: str | None = None
    """Demand-side fixed effects, as ``"C(product_ids) + C(market_ids)"``."""
    absorb_supply: str | None = None
    """Supply-side fixed effects."""

    def __post_init__(self) -> None:
        """Read every formula, and refuse parts that contradict each other."""
        check_fields(self)
        self._need("demographics", "nonlinear", "demographics shift the coefficients of X2")
        self._need("rc_types", "nonlinear", "they are types of the coefficients of X2")
        if self.rc_types is not None:
            object.__setattr__(self, "rc_types", tuple(self.rc_types))
        self._need("absorb_supply", "supply", "there are no costs to take fixed effects from")
        if not 0 < self.epsilon_scale < np.inf:
            why = "without idiosyncratic tastes, shares do not determine mean utilities smoothly"
            raise ConfigurationError("Model.epsilon_scale", self.epsilon_scale, "a positive number", why)
        self._refuse("linear", self.linear_formula, SHARES, "shares are what demand explains")
        self._refuse("nonlinear", self.nonlinear_formula, SHARES, "shares are what demand explains")
        self._refuse("supply", self.supply_formula, PRICES, "prices are what costs and markups explain")
        if self.supply_formula is not None and SHARES in self.supply_formula.marked:
            why = "costs are differentiated with respect to shares"
            raise FormulaError("Model.supply", self.supply, "shares that are not categorical", why)
        self._check_prices()
        for formula in ("demographics_formula", "demand_absorption", "supply_absorption"):
            getattr(self, formula)

    @property
    def linear_formula(self) -> Formula:
        """The compiled formula of X1."""
        return compile_formula(self.linear, "Model.linear", self.absorb_demand is not None)

    @property
    def nonlinear_formula(self) -> Formula | None:
        """The compiled formula of X2."""
        return None if self.nonlinear is None else compile_formula(self.nonlinear, "Model.nonlinear")

    @property
    def demographics_formula(self) -> Formula | None:
        """The compiled formula of demographics."""
        return None if self.demographics is None else compile_formula(self.demographics, "Model.demographics")

    @property
    def supply_formula(self) -> Formula | None:
        """The compiled formula of X3."""
        absorbed = self.absorb_supply is not None
        return None if self.supply is None else compile_formula(self.supply, "Model.supply", absorbed)

    @property
    def demand_absorption(self) -> Formula | None:
        """The compiled formula of demand-side fixed effects."""
        source = self.absorb_demand
        return None if source is None else compile_absorption(source, "Model.absorb_demand")

    @property
    def supply_absorption(self) -> Formula | None:
        """The compiled formula of supply-side fixed effects."""
        source = self.absorb_supply
        return None if source is None else compile_absorption(source, "Model.absorb_supply")

    def bind(self, products: Data, demographics: Columns | tuple[str, ...] | None = None) -> ModelColumns:
        """Return the model's columns, with the levels that categorical variables have in the products' data.

        demographics  the agents', or their labels; needed only when some are categorical

        Raises
        ------
        FormulaError
            When a column does not exist, or arithmetic is asked of one that is not numeric.
        ConfigurationError
            When there are not as many ``rc_types`` as columns of X2.
        """
        x2 = _bound(self.nonlinear_formula, products)
        return ModelColumns(
            self.linear_formula.bind(products),
            x2,
            _bound(self.supply_formula, products),
            self._demographic_names(demographics),
            self._types(x2.names),
            self._nest_names(products),
        )

    def nest_codes(self, products: Data) -> Integers:
        """Return each product's nest, (N,), as its place among the labels of ``ModelColumns.nests``."""
        return group_codes(np.asarray(products[cast(str, self.nests)]))[0]

    def _nest_names(self, products: Data) -> tuple[str, ...]:
        if self.nests is None:
            return ()
        if self.nests not in products:
            why = f"there are {', '.join(products)}"
            raise FormulaError("Model.nests", self.nests, "a column of the products", why)
        return tuple(str(name) for name in group_codes(np.asarray(products[self.nests]))[1])

    def _types(self, names: tuple[str, ...]) -> tuple[RcType, ...]:
        linear: RcType = "linear"
        types = (linear,) * len(names) if self.rc_types is None else self.rc_types
        if len(types) != len(names):
            expected = f"{len(names)} types, one for each of {', '.join(names)}"
            raise ConfigurationError("Model.rc_types", types, expected, "X2 has these columns")
        return types

    def _demographic_names(self, demographics: Columns | tuple[str, ...] | None) -> tuple[str, ...]:
        if isinstance(demographics, Columns):
            return demographics.names
        formula = self.demographics_formula
        return formula.numeric_names if demographics is None and formula is not None else demographics or ()

    def bind_demographics(self, agents: Data) -> Columns:
        """Return the columns of demographics, none when the model has none."""
        return _bound(self.demographics_formula, agents)

    def _need(self, field: str, other: str, why: str) -> None:
        value = getattr(self, field)
        if value is not None and getattr(self, other) is None:
            raise ConfigurationError(f"Model.{field}", value, f"None without Model.{other}", why)

    def _refuse(self, field: str, formula: Formula | None, variable: str, why: str) -> None:
        if formula is not None and variable in formula.variables:
            raise FormulaError(f"Model.{field}", formula.source, f"a formula without {variable}", why)

    def _check_prices(self) -> None:
        formulas: Iterable[Formula | None] = (self.linear_formula, self.nonlinear_formula)
        if not any(formula is not None and PRICES in formula.variables for formula in formulas):
            why = "without prices nobody's choice depends on them"
            raise FormulaError("Model.linear", self.linear, "prices here or in Model.nonlinear", why)


def _bound(formula: Formula | None, data: Data) -> Columns:
    return NO_COLUMNS if formula is None else formula.bind(data)
