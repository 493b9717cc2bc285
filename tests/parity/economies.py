"""Data of a random problem: characteristics, consumers, and the equilibrium they lead to (by PyBLP)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyblp
from numpy.typing import NDArray

from .features import Features
from .peer import formulations, stacked

Array = NDArray[Any]

RULE_LEVELS = {
    "product": (7, 5, 3),
    "nested_product": (9, 4, 3),
    "grid": (7, 6, 5),
    "nested_grid": (9, 6, 5),
}
"""Levels of quadrature rules in one, two and three dimensions."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Truth:
    """Coefficients of the economy, in the order of the formulas."""

    beta: Array
    sigma: Array | None
    pi: Array | None
    gamma: Array
    rho: Array | None
    shares: float
    """The coefficient of a column of X3 with shares, the last one if there is any."""

    @property
    def costs(self) -> Array:
        """Coefficients of X3."""
        return np.append(self.gamma, self.shares) if self.shares else self.gamma


def draw_products(features: Features, generator: np.random.Generator) -> dict[str, Array]:
    """Return identifiers and exogenous characteristics of products in markets of different sizes."""
    markets, firms = _identifiers(generator)
    number = markets.size
    slots = np.concatenate([generator.permutation(size) for size in np.bincount(markets)])
    products: dict[str, Array] = {
        "market_ids": markets,
        "firm_ids": firms,
        "brand": slots % 7,
        "region": (markets + firms) % 4,
        "clustering_ids": np.arange(number) // generator.integers(1, 4),
        "x": generator.uniform(0.2, 1.2, number),
        "y": generator.normal(size=number),
        "w": generator.uniform(0.5, 1.5, number),
    }
    if features.nests:
        products["nesting_ids"] = generator.spawn(1)[0].integers(0, 3, number)
    if features.string_ids:
        names = {"market_ids": "t{}", "firm_ids": "firm {}", "brand": "b{}", "clustering_ids": "c{}"}
        products |= {name: np.array([form.format(i) for i in products[name]]) for name, form in names.items()}
    return products


def _identifiers(generator: np.random.Generator) -> tuple[Array, Array]:
    number = int(generator.integers(7, 14))
    sizes = generator.integers(8, 21, number)
    markets = np.repeat(np.arange(number), sizes)
    firms = np.concatenate([np.sort(generator.integers(0, generator.integers(2, 6), size)) for size in sizes])
    return markets, firms


def draw_ownership(
    features: Features, products: dict[str, Array], generator: np.random.Generator
) -> Array | None:
    """Return stacked matrices: fractions of other firms' profits in [0, 0.5], by firm or by product."""
    if not features.ownership:
        return None
    firms, names = np.unique(products["firm_ids"], return_inverse=True)[::-1]
    kappa = generator.uniform(0, 0.5, (names.size, names.size))
    kappa = np.maximum(kappa, kappa.T) * (kappa > 0.1) * (kappa.T > 0.1)
    counts = np.unique(products["market_ids"], return_counts=True)[1]
    stacked = np.full((firms.size, counts.max()), np.nan)
    for market in np.unique(products["market_ids"]):
        rows = np.flatnonzero(products["market_ids"] == market)
        same = firms[rows][:, None] == firms[rows]
        weights = kappa[np.ix_(firms[rows], firms[rows])]
        if features.ownership == "asymmetric":
            weights = generator.uniform(0, 0.5, weights.shape) * (generator.uniform(size=weights.shape) < 0.7)
        stacked[rows, : rows.size] = np.where(same, 1.0, weights)
    return stacked


def draw_agents(
    features: Features, markets: Array, dimensions: int, generator: np.random.Generator
) -> dict[str, Array] | None:
    """Return consumers: as many rows as the product rule needs, or 5 to 60 a market with their own nodes."""
    known = features.demographics or features.availability
    if not features.nonlinear or (features.product_rule and not known):
        return None
    unique = np.unique(markets)
    size = rule_size(features) if features.product_rule else 0
    counts = np.full(unique.size, size) if features.product_rule else generator.integers(5, 61, unique.size)
    number = int(counts.sum())
    agents: dict[str, Array] = {"market_ids": np.repeat(unique, counts)}
    agents["income"] = generator.lognormal(0, 0.4, number)
    agents["age"] = generator.normal(size=number)
    if not features.product_rule:
        raw = np.ones(number) if generator.uniform() < 0.5 else generator.uniform(0.5, 1.5, number)
        totals = np.repeat(np.add.reduceat(raw, np.r_[0, np.cumsum(counts)[:-1]]), counts)
        agents["weights"] = raw / totals
        agents |= {f"nodes{k}": generator.normal(size=number) for k in range(dimensions)}
    return agents


BY_PRODUCT = ("income", "age", "availability")
"""What may differ by agent and product."""


def differing_agents(
    features: Features, agents: dict[str, Array], markets: Array, generator: np.random.Generator
) -> dict[str, Array]:
    """Return the agents with a column a product for what differs; one in each market can choose anything."""
    number, most = agents["market_ids"].size, int(np.unique(markets, return_counts=True)[1].max())
    found = {name: column for name, column in agents.items() if name not in features.by_product}
    for name in features.by_product:
        values = agents[name][:, None] + generator.normal(0, 0.4, (number, most))
        found |= {f"{name}{j}": column for j, column in enumerate(values.T)}
    if features.availability:
        available = (generator.uniform(size=(number, most)) < 0.7).astype(float)
        available[np.unique(agents["market_ids"], return_index=True)[1]] = 1.0
        if features.product_rule:  # Where those who can choose weigh nothing, no mean utility makes a share.
            available[:] = 1.0
        if features.availability == "scaled":
            available *= generator.uniform(0.5, 1.0, available.shape)
        found |= {f"availability{j}": column for j, column in enumerate(available.T)}
    return found


def rule(features: Features) -> pyblp.Integration:
    """Return the quadrature rule of a problem that has one."""
    return pyblp.Integration(features.rule, rule_level(features))


def rule_size(features: Features) -> int:
    """Return how many nodes the rule has."""
    return int(pyblp.build_integration(rule(features), len(features.nonlinear)).weights.size)


def rule_level(features: Features) -> int:
    """Return the level of the rule."""
    return RULE_LEVELS[features.rule][len(features.nonlinear) - 1]


def draw_truth(features: Features, generator: np.random.Generator) -> Truth:
    """Return coefficients that give prices near 4 and outside shares well inside (0, 1)."""
    prices = -generator.uniform(1.2, 2.0) + _slope_offset(features)
    level = generator.uniform(-3, -1) - 3 * _mean_slope(features, prices)
    values = {"prices": prices, "x": 1.0, "y": 0.3, "x:prices": -0.3, "log(prices)": -0.5}
    beta = np.array([level, *(values[name] for name in features.linear)])
    sigma, pi = _heterogeneity(features, generator)
    constant = 0.9 if features.log_costs else 2.5
    gamma = np.array([constant, 0.15, 0.2, 0.05])
    rho = _correlations(features, generator)
    return Truth(beta=beta, sigma=sigma, pi=pi, gamma=gamma, rho=rho, shares=_shares_in_costs(features))


def _shares_in_costs(features: Features) -> float:
    """Return how costs rise with shares, by up to a tenth."""
    scale = {"": 0.0, "shares": 2.0, "x:shares": 2.0, "log(shares)": 0.05}[features.cost_term]
    return scale * (0.3 if features.log_costs else 1.0)


def _correlations(features: Features, generator: np.random.Generator) -> Array | None:
    size = {"": None, "common": (), "apart": (3,)}[features.nests]
    return None if size is None else np.asarray(generator.spawn(1)[0].uniform(0.2, 0.7, size))


def _slope_offset(features: Features) -> float:
    """Return what keeps demand sloping down where positive coefficients multiply prices."""
    return -1.5 * sum(
        rc_type != "linear" and name in ("prices", "x:prices")
        for name, rc_type in zip(features.nonlinear, features.rc_types, strict=False)
    )


def _mean_slope(features: Features, prices: float) -> float:
    """Return roughly the mean derivative of utility with respect to prices."""
    means, signs = (
        {"linear": 0.0, "log": 1.0, "logit": 0.5},
        {"prices": 1.0, "x:prices": 0.7, "I(-prices)": -1.0},
    )
    types = zip(features.nonlinear, features.rc_types, strict=False)
    mean = sum(signs.get(name, 0.0) * means[rc_type] for name, rc_type in types)
    return mean + (prices if "prices" in features.linear else 0.0)


def _heterogeneity(features: Features, generator: np.random.Generator) -> tuple[Array | None, Array | None]:
    if not features.nonlinear:
        return None, None
    scales = np.array([0.15 if "prices" in name else 0.8 for name in features.nonlinear])
    if features.rc_types:  # Where a few agents are unlike all others, there are several equilibria.
        scales[np.array(features.rc_types) == "log"] *= 0.5
    size = scales.size
    raw = np.diag(generator.uniform(0.5, 1.5, size))
    if features.full_sigma:
        raw = raw + np.tril(generator.uniform(-0.4, 0.4, (size, size)), -1)
    if features.dropped_sigma:
        raw[-1] = raw[:, -1] = 0
    sigma = scales[:, None] * raw
    if not features.demographics:
        return sigma, None
    kept = generator.uniform(size=(size, len(features.demographics))) < 0.6
    kept[-1, 0] = True
    pi = scales[:, None] * generator.uniform(-0.5, 0.5, kept.shape) * kept
    return sigma, pi


def equilibrium(
    features: Features,
    products: dict[str, Array],
    agents: dict[str, Array] | None,
    truth: Truth,
    generator: np.random.Generator,
    ownership: Array | None = None,
) -> dict[str, Array]:
    """Return equilibrium prices and shares with fixed effects in the errors; PyBLP finds them."""
    number = products["x"].size
    errors = generator.multivariate_normal([0, 0], [[0.2, 0.05], [0.05, 0.04]], size=number)
    errors += 0.3 * (_effect(products["brand"], generator) + _effect(products["region"], generator))[:, None]
    if features.moment_types:
        accumulate(errors, products["lag_indices"])
    demographics = pyblp.Formulation(formula(features.demographics, "0")) if features.demographics else None
    given = {name: column for name, column in products.items() if name != "lag_indices"}
    ruled = features.product_rule
    if ruled and agents is not None and features.availability:  # PyBLP would forget availability.
        agents, ruled = agents | _rule_nodes(features, agents["market_ids"]), False
    simulation = pyblp.Simulation(
        formulations(economy_model(features)),
        given if ownership is None else given | {"ownership": ownership},
        beta=truth.beta,
        sigma=truth.sigma,
        pi=truth.pi,
        rho=truth.rho,
        gamma=truth.costs,
        xi=errors[:, 0],
        omega=0.3 * errors[:, 1] if features.log_costs else errors[:, 1],
        agent_formulation=demographics,
        agent_data=None if agents is None else stacked(agents, "nodes"),
        integration=rule(features) if ruled else None,
        rc_types=features.rc_types or None,
        epsilon_scale=features.epsilon_scale,
        costs_type="log" if features.log_costs else "linear",
    )
    found = simulation.replace_endogenous(compute_gradients=False, compute_hessians=False)
    return {name: found.product_data[name].ravel() for name in ("prices", "shares")}


def _rule_nodes(features: Features, markets: Array) -> dict[str, Array]:
    """Return the rule's nodes and weights for agents of each market in turn."""
    built = pyblp.build_integration(rule(features), len(features.nonlinear))
    number = np.unique(markets).size
    nodes = {f"nodes{k}": np.tile(column, number) for k, column in enumerate(built.nodes.T)}
    return nodes | {"weights": np.tile(built.weights.ravel(), number)}


def economy_model(features: Features) -> dict[str, Any]:
    """Return the formulas of the economy, whose constant is explicit."""
    model: dict[str, Any] = {"linear": formula(features.linear, "1"), "supply": costs_formula(features, "1")}
    if features.nonlinear:
        constant = "1" if "1" in features.nonlinear else "0"
        model["nonlinear"] = formula(tuple(n for n in features.nonlinear if n != "1"), constant)
    if features.nests:
        model["nests"] = "nesting_ids"
    if features.rc_types:
        model["rc_types"] = features.rc_types
    if features.epsilon_scale != 1:
        model["epsilon_scale"] = features.epsilon_scale
    return model


def formula(columns: tuple[str, ...], constant: str) -> str:
    """Return a formula: the constant first."""
    return " + ".join((constant, *columns))


def costs_formula(features: Features, constant: str) -> str:
    """Return the formula of costs."""
    return formula(("x", "w", "y", *filter(None, (features.cost_term,))), constant)


def draw_lags(markets: Array, generator: np.random.Generator) -> Array:
    """Return where each row's product was in the market before; the row itself where it was not."""
    lags, before = np.arange(markets.size), dict[int, int]()
    for rows in np.split(np.arange(markets.size), np.flatnonzero(markets[1:] != markets[:-1]) + 1):
        ids = generator.permutation(24)[: rows.size]
        here = dict(zip(ids.tolist(), rows.tolist(), strict=True))
        lags[rows] = [before.get(name, row) for name, row in here.items()]
        before = here
    return lags


def accumulate(errors: Array, lags: Array) -> None:
    """Add half of the error that a product had before, market by market."""
    for row, lag in enumerate(lags):
        if lag != row:
            errors[row] += 0.5 * errors[lag]


def _effect(ids: Array, generator: np.random.Generator) -> Array:
    unique, codes = np.unique(ids, return_inverse=True)
    return generator.normal(size=unique.size)[codes]


def draw_instruments(products: dict[str, Array], demand: int, supply: int) -> dict[str, Array]:
    """Return standardized excluded instruments, ``demand`` and ``supply`` of them."""
    x, y, w = (products[name] for name in "xyw")
    same = products["market_ids"][:, None] == products["market_ids"][None, :]
    own = (
        same & (products["firm_ids"][:, None] == products["firm_ids"][None, :]) & ~np.eye(x.size, dtype=bool)
    )
    rival = same & ~own & ~np.eye(x.size, dtype=bool)
    near = [np.abs(z[:, None] - z[None, :]) < z.std() for z in (x, y)]
    shared = [rival @ x, own @ x, own @ y, x * y, x**2, y**2, rival @ y, (near[0] & rival).sum(1)]
    shared += [(near[1] & rival).sum(1), (near[0] & own).sum(1), own.sum(1), x**2 * y]
    families = {"demand": [w, w**2, x * w, own @ w, *shared], "supply": shared}
    counts = {"demand": demand, "supply": supply}
    return {
        f"{side}_instruments{i}": _standardized(column)
        for side, columns in families.items()
        for i, column in enumerate(columns[: counts[side]])
    }


def _standardized(column: Array) -> Array:
    deviation = column - column.mean()
    return deviation / (deviation.std() or 1.0)
