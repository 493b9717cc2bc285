"""Everything about an estimation that does not depend on parameters, as arrays."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from blpsim.arrays import Integers, Matrix, Panel, Slopes, Vector
from blpsim.errors import ConfigurationError, DataError
from blpsim.model.absorption import Absorber, fixed_effects
from blpsim.model.conduct import Conduct
from blpsim.model.formula import Formula
from blpsim.model.layout import Layout
from blpsim.model.model import Model, ModelColumns
from blpsim.model.ownership import PriceSetters, PriceSetting, price_setters
from blpsim.model.panel import Agents, Products, offsets
from blpsim.model.resampling import Resampled

_COLLINEAR = 1e-10
_ROUNDING = 1e-14


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Setting:
    """Data, instruments and absorbed fixed effects of one estimation."""

    model: Model
    columns: ModelColumns
    products: Products
    agents: Agents
    supply: bool
    """Whether the supply side is estimated."""
    x1: Matrix = field(repr=False)
    """(K1, N) after absorption."""
    x2: Matrix = field(repr=False)
    """(N, K2) in units of ``Model.epsilon_scale``, as slopes are."""
    slopes: Slopes = field(repr=False)
    x3: Matrix = field(repr=False)
    """(K3, N) after absorption, K3 = 0 without supply."""
    demand_instruments: Matrix = field(repr=False)
    """(MD, N) after absorption."""
    supply_instruments: Matrix = field(repr=False)
    """(MS, N) after absorption, MS = 0 without supply."""
    demand_absorber: Absorber | None
    supply_absorber: Absorber | None
    start_delta: Vector = field(repr=False)
    """(N,) mean utilities of plain logit, in units of ``Model.epsilon_scale``."""
    conduct: PriceSetting
    """How prices are taken to be set."""
    setters: PriceSetters = field(repr=False)
    """Who sets them; without a supply side it plays no role."""
    covariance_instruments: Matrix = field(default_factory=lambda: np.empty((0, 0)), repr=False)
    """(MC, N) instruments Z_C of covariance moments E[xi omega Z_C], MC = 0 without any."""
    resampled: Resampled | None = None
    """Returns other agents for 0, 1, ..., then None; None where simulation error is not accounted for."""

    @property
    def number(self) -> int:
        """N."""
        return self.products.number

    @property
    def moments(self) -> int:
        """M, the number of moments: of demand, supply and covariances."""
        groups = (self.demand_instruments, self.supply_instruments, self.covariance_instruments)
        return sum(len(group) for group in groups)

    @property
    def price_columns(self) -> Integers:
        """(E,) positions of the X1 columns that depend on prices."""
        return np.flatnonzero(self.columns.x1.depends_on_prices)

    @property
    def constant_costs(self) -> bool:
        """Whether marginal costs do not depend on quantities."""
        return not self.columns.x3.depends_on_shares.any()

    def panel(self, layout: Layout) -> Panel:
        """Return the data as kernels read them, utilities in units of the idiosyncratic part's scale."""
        products, agents = self.products, self.agents
        consumers = agents.consumers(layout.sigma_used if self.columns.x2.names else None)
        totals = np.add.reduceat(agents.weights, agents.market_offsets[:-1])
        outside = totals - np.add.reduceat(products.shares, products.market_offsets[:-1])
        return Panel(
            self.setters.within(offsets(products, agents)),
            consumers,
            self.x2,
            self.slopes._replace(varies=self.slopes.varies or agents.differ_by_product),
            np.ascontiguousarray(products.prices, np.float64) if self.supply else np.empty(0),
            products.shares,
            np.log(products.shares),
            np.log(outside),
            bool(np.all(agents.weights > 0)),
        )


def make_setting(
    model: Model,
    products: Products,
    agents: Agents,
    instruments: tuple[Matrix, Matrix],
    supply: bool,
    conduct: PriceSetting = Conduct.BERTRAND,
) -> Setting:
    """Return the setting of an estimation.

    instruments  (N, MD') and (N, MS') excluded instruments; exogenous columns of X1 and X3 join them
    conduct      how prices are taken to be set
    """
    data = products.columns
    columns = model.bind(data, agents.demographic_names)
    demand_absorber = _absorber(model.demand_absorption, products)
    supply_absorber = _absorber(model.supply_absorption, products) if supply else None
    x1 = columns.x1.values(data)
    exogenous = x1[:, ~columns.x1.depends_on_prices]
    demand = np.hstack((instruments[0], exogenous))
    x3 = columns.x3.values(data) if supply else np.empty((products.number, 0))
    shifters = x3[:, ~columns.x3.depends_on_shares] if supply else x3
    other = np.hstack((instruments[1], shifters)) if supply else np.empty((products.number, 0))
    setters = price_setters(conduct if supply else Conduct.BERTRAND, products)
    rows = _rows(demand, demand_absorber), _rows(other, supply_absorber)
    if setters.are_price_takers:
        rows = _independent(rows[0], exogenous.shape[1]), _independent(rows[1], shifters.shape[1])
    return Setting(
        model=model,
        columns=columns,
        products=products,
        agents=agents,
        supply=supply,
        x1=_rows(x1, demand_absorber),
        x2=np.ascontiguousarray(columns.x2.values(data)) / model.epsilon_scale,
        slopes=_slopes(columns, products, model.epsilon_scale) if supply else _no_slopes(columns, products),
        x3=_rows(x3, supply_absorber),
        demand_instruments=rows[0],
        supply_instruments=rows[1],
        demand_absorber=demand_absorber,
        supply_absorber=supply_absorber,
        start_delta=logit_delta(products),
        conduct=conduct,
        setters=setters,
    )


def with_covariances(setting: Setting, instruments: Matrix) -> Setting:
    """Return the setting with instruments, (N, MC), of covariance moments, none of them with MC = 0.

    Fixed effects are not absorbed from them, as in PyBLP.

    Raises
    ------
    ConfigurationError
        Without a supply side.
    """
    if not instruments.shape[1]:
        return setting
    if not setting.supply:
        why = "covariance moments are those of xi and omega, which a supply side has"
        raise ConfigurationError("covariance_instruments", "no supply side", "Model.supply", why)
    return replace(setting, covariance_instruments=np.ascontiguousarray(instruments.T, np.float64))


def moved_setting(setting: Setting, prices: Vector, shares: Vector) -> Setting:
    """Return the setting at other prices and shares, (N,) each, for derivatives of xi and omega alone.

    Fixed effects, which these lack, are not absorbed, and the only instruments are what is instrumented.
    """
    products, columns = setting.products.replaced(prices=prices, shares=shares), setting.columns
    data, priced, unit = products.columns, columns.x1.depends_on_prices, setting.model.epsilon_scale
    x1 = columns.x1.values(data)
    x3 = columns.x3.values(data) if setting.supply else np.empty((products.number, 0))
    return replace(
        setting,
        products=products,
        x1=_rows(x1, None),
        x2=np.ascontiguousarray(columns.x2.values(data)) / unit,
        slopes=_slopes(columns, products, unit) if setting.supply else _no_slopes(columns, products),
        x3=_rows(x3, None),
        demand_instruments=_rows(np.hstack((x1[:, priced], x1[:, ~priced])), None),
        supply_instruments=_rows(x3, None),
        demand_absorber=None,
        supply_absorber=None,
        start_delta=logit_delta(products),
        covariance_instruments=np.empty((0, 0)),
        resampled=None,
    )


def has_logs(products: Products) -> bool:
    """Return whether every share, the outside good's included, is positive by more than rounding."""
    totals = np.add.reduceat(products.shares, products.market_offsets[:-1])
    return bool((products.shares > 0).all() and (totals < 1 - _ROUNDING).all())


def logit_delta(products: Products) -> Vector:
    """Return log S_j - log S_0, (N,): the mean utilities of plain logit."""
    totals = np.add.reduceat(products.shares, products.market_offsets[:-1])
    delta: Vector = np.log(products.shares) - np.repeat(np.log(1 - totals), np.diff(products.market_offsets))
    return delta


def _slopes(columns: ModelColumns, products: Products, unit: float) -> Slopes:
    data, depends = products.columns, columns.x1.depends_on_prices
    d_x1 = np.ascontiguousarray(columns.x1.price_derivative(data)[:, depends]) / unit
    d_x2 = np.ascontiguousarray(columns.x2.price_derivative(data)) / unit
    varies = bool((d_x1 != d_x1[:1]).any() or (d_x2 != d_x2[:1]).any())
    return Slopes(d_x1, d_x2, varies)


def _no_slopes(columns: ModelColumns, products: Products) -> Slopes:
    return Slopes(np.empty((products.number, 0)), np.empty((products.number, len(columns.x2.names))), False)


def _absorber(formula: Formula | None, products: Products) -> Absorber | None:
    return None if formula is None else Absorber(groups=fixed_effects(formula, products.columns))


def _rows(matrix: Matrix, absorber: Absorber | None) -> Matrix:
    if absorber is not None and matrix.shape[1]:
        matrix = absorber.residualize(matrix)
    return np.ascontiguousarray(matrix.T)


def _independent(rows: Matrix, exogenous: int) -> Matrix:
    """Return instruments, (M, N), zero where they follow from the last ones, the exogenous, and those before.

    Where prices equal costs that are linear, those that are expected follow from what shifts costs.
    """
    order = np.roll(np.arange(len(rows)), exogenous)
    diagonal = np.abs(np.diag(np.linalg.qr(rows[order].T, mode="r")))
    scales = np.sqrt((rows**2).sum(axis=1))[order]
    dependent = order[: diagonal.size][diagonal <= _COLLINEAR * scales[: diagonal.size]]
    kept = np.ones(len(rows), np.bool_)
    kept[dependent] = False
    return np.where(kept[:, None], rows, 0.0)


def check_setting(setting: Setting, names: tuple[tuple[str, ...], tuple[str, ...]]) -> None:
    """Refuse collinear characteristics and instruments.

    names  labels of the demand and supply instruments

    Raises
    ------
    DataError
        Naming the column that others explain.
    """
    columns = setting.columns
    _check_rank("X1", setting.x1, columns.x1.names)
    _check_rank("demand instruments", setting.demand_instruments, names[0])
    if setting.supply:
        _check_rank("X3", setting.x3, columns.x3.names)
        _check_rank("supply instruments", setting.supply_instruments, names[1])
    if len(setting.covariance_instruments):
        others = tuple(f"covariance_instruments{k}" for k in range(len(setting.covariance_instruments)))
        _check_rank("covariance instruments", setting.covariance_instruments, others)


def _check_rank(what: str, rows: Matrix, names: tuple[str, ...]) -> None:
    if rows.shape[0] > rows.shape[1]:
        why = "there are more columns than products"
        raise DataError(what, f"{rows.shape[0]} columns", f"at most {rows.shape[1]}", why)
    diagonal = np.abs(np.diag(np.linalg.qr(rows.T, mode="r")))
    scales = np.sqrt((rows**2).sum(axis=1))
    bad = np.flatnonzero(diagonal <= _COLLINEAR + _COLLINEAR * scales)
    if bad.size:
        why = "it is a linear combination of the columns before it, after absorbing fixed effects"
        raise DataError(what, names[bad[0]], "linearly independent columns", why)
