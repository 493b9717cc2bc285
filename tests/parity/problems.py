"""Random estimation problems: each a pure function of its seed."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from .case import Case
from .economies import (
    BY_PRODUCT,
    Truth,
    costs_formula,
    differing_agents,
    draw_agents,
    draw_instruments,
    draw_lags,
    draw_ownership,
    draw_products,
    draw_truth,
    economy_model,
    equilibrium,
    formula,
    rule_level,
)
from .features import Features, draw_features, with_later
from .peer import peer_problem

Array = NDArray[Any]


EARLIER = 40
"""Problems of smaller seeds are without nests, which every other may have from there on, new rules, and
other ownership than by firms, which every third may have; some without nests have a scaled epsilon. Nor
have they costs that depend on quantities, moments in innovations, or sampled agents, or covariance
moments, which every seventh with a supply side has; every fifth may have demographics that differ by
product, and agents with fewer products to choose from."""
PAIRED = 100
"""Tests name problems of smaller seeds, in which nothing differs by agent and product."""
CANDIDATES = 800
"""Of whom agents are sampled, in each market."""


class _Generators(NamedTuple):
    """Children of another generator than the problem's own, which leave all its draws as they are."""

    owners: np.random.Generator | None
    later: np.random.Generator
    crossing: np.random.Generator | None
    pairs: np.random.Generator | None


def _generators(seed: int) -> _Generators:
    children = np.random.default_rng([19950701, seed]).spawn(12)
    drawn = {"owners": seed % 3 == 0, "crossing": seed % 7 == 3, "pairs": seed >= PAIRED and seed % 5 == 2}
    used = {name: seed >= EARLIER and is_drawn for name, is_drawn in drawn.items()}
    places = {"owners": 8, "crossing": 10, "pairs": 11}
    return _Generators(
        later=children[9], **{name: children[places[name]] if used[name] else None for name in places}
    )


def _chosen(seed: int, generator: np.random.Generator, others: _Generators) -> Features:
    features = draw_features(
        generator,
        others.owners,
        others.crossing,
        others.pairs,
        nested=seed >= EARLIER and seed % 2 == 0,
        ruled=seed >= EARLIER,
    )
    if seed >= EARLIER:
        features = with_later(features, seed, others.later)
    if features.moment_types:
        features = dataclasses.replace(features, covariances=0)
    if features.by_product or features.availability:
        features = dataclasses.replace(features, sampled=False)
    return features


def random_case(seed: int) -> Case:
    """Return the problem of this seed, at parameters near those that made its data."""
    generator = np.random.default_rng([19950701, seed])
    others = _generators(seed)
    owners, later, crossing, pairs = others
    features = _chosen(seed, generator, others)
    products = draw_products(features, generator)
    if features.moment_types:
        products["lag_indices"] = draw_lags(products["market_ids"], later)
    ownership = None if owners is None else draw_ownership(features, products, owners)
    dimensions = len(features.nonlinear)
    agents = draw_agents(features, products["market_ids"], dimensions, generator)
    if pairs is not None and agents is not None:
        agents = differing_agents(features, agents, products["market_ids"], pairs)
    truth = draw_truth(features, generator)
    products |= equilibrium(features, products, agents, truth, generator, ownership)
    start = draw_start(features, truth, generator)
    moved = sum(int(np.count_nonzero(start[name])) for name in ("sigma", "pi", "rho") if name in start)
    products |= draw_instruments(
        products, min(16, 3 + moved + int(generator.integers(0, 3))), supplied(features)
    )
    if features.dropped_sigma and agents is not None and generator.uniform() < 0.5:
        del agents[f"nodes{dimensions - 1}"]
    if features.covariances and features.method == "2s" and features.errors == "unadjusted":
        features = dataclasses.replace(features, errors="robust")  # One-step comparisons weight otherwise.
    if crossing is not None and features.covariances:
        products |= draw_covariance_instruments(features, products, crossing)
    order = new_order(products["x"].size, features, generator)
    if pairs is not None and agents is not None:
        agents = with_reordered_products(agents, products["market_ids"], order)
    case = Case(
        name=f"seed {seed}",
        model=model_of(features),
        products=reordered_products(products, order),
        ownership=None
        if ownership is None
        else reordered_ownership(ownership, products["market_ids"], order),
        agents=None if agents is None else reordered(agents, features, generator),
        nodes=rule_level(features) if features.product_rule else None,
        rule=features.rule,
        candidates=draw_candidates(products["market_ids"], agents, later) if features.sampled else None,
        parameters=start,
        options=options_of(features, products) | draw_covariance_mean(features, crossing),
        features=features.labels(),
    )
    if not features.given_weights:
        return case
    options = dict(case.options) | {"W": random_weights(case, generator)}
    return dataclasses.replace(case, options=options)


def draw_covariance_instruments(
    features: Features, products: dict[str, Array], generator: np.random.Generator
) -> dict[str, Array]:
    """Return columns of covariance instruments: a constant, and what is like a characteristic."""
    noise = generator.normal(size=products["x"].size)
    made = (np.ones_like(noise), products["x"] + noise)[: features.covariances]
    return {f"covariance_instruments{k}": column for k, column in enumerate(made)}


def draw_covariance_mean(features: Features, generator: np.random.Generator | None) -> dict[str, Any]:
    """Return the option of a mean of xi omega that is not zero, in half of the problems that can have it."""
    if generator is None or not features.covariances or generator.uniform() < 0.5:
        return {}
    return {"covariance_moments_mean": float(generator.uniform(-0.1, 0.1))}


def model_of(features: Features) -> dict[str, Any]:
    """Return the keyword arguments of the model that is estimated."""
    model = economy_model(features)
    if features.demand_effects:
        model["linear"] = formula(features.linear, "0")
        model["absorb_demand"] = " + ".join(f"C({name})" for name in features.demand_effects)
    elif features.is_differenced(0):
        model["linear"] = formula(features.linear, "0")
    if not features.supply:
        del model["supply"]
    elif features.supply_effects:
        model["supply"] = costs_formula(features, "0")
        model["absorb_supply"] = " + ".join(f"C({name})" for name in features.supply_effects)
    elif features.is_differenced(1):
        model["supply"] = costs_formula(features, "0")
    if features.log_costs:
        model["costs"] = "log"
    if features.demographics:
        model["demographics"] = formula(features.demographics, "0")
    return model


def draw_start(features: Features, truth: Truth, generator: np.random.Generator) -> dict[str, Array]:
    """Return parameters within 10 % of the truth; NaN where they are concentrated out.

    No gamma is given where costs are clipped: ``test_deviations`` says why.
    """
    near = {
        name: value * generator.uniform(0.9, 1.1, value.shape)
        for name in ("beta", "sigma", "pi", "rho", "gamma")
        if (value := getattr(truth, name)) is not None
    }
    names = ("1", *features.linear)
    kept = np.array([features.supply and "prices" in name for name in names])
    if features.given_linear:
        kept[generator.integers(1, len(names))] = True
    without = bool(features.demand_effects) or features.is_differenced(0)
    near["beta"] = np.where(kept, near["beta"], np.nan)[without:]
    chosen = np.zeros(4, dtype=bool)
    if features.given_linear and features.supply and not features.bounded_costs:
        chosen[generator.integers(1, 4)] = True
    without = bool(features.supply_effects) or features.is_differenced(1)
    near["gamma"] = np.where(chosen, near["gamma"], np.nan)[without:]
    if features.cost_term:
        near["gamma"] = np.append(near["gamma"], np.nan)
    if not features.supply:
        del near["gamma"]
    if features.moment_types:
        values = zip((0.45, 0.35), features.moment_types, strict=False)
        near["phi"] = np.array([0.0 if kind == "levels" else value for value, kind in values])
    return near


def options_of(features: Features, products: dict[str, Array]) -> dict[str, Any]:
    """Return the options of GMM; costs are bounded where it binds for a few products."""
    options: dict[str, Any] = {
        "method": features.method,
        "W_type": features.weights,
        "se_type": features.errors,
        "center_moments": features.centered,
        "scale_objective": features.scaled,
        "initial_update": features.updated,
    }
    sides = ("demand_moment_types", "supply_moment_types")
    options |= dict(zip(sides, features.moment_types, strict=False))
    if features.bounded_costs:
        options["costs_bounds"] = (float(np.quantile(products["prices"], 0.1)) - 0.7, None)
    return options


def supplied(features: Features) -> int:
    """Return how many excluded instruments supply has."""
    return 5 if features.cost_term else 4


def draw_candidates(
    markets: Array, agents: dict[str, Array] | None, generator: np.random.Generator
) -> dict[str, Array]:
    """Return draws from the population of agents, of the same weight."""
    unique = np.unique(markets)
    number = unique.size * CANDIDATES
    columns = {"market_ids": np.repeat(unique, CANDIDATES), "weights": np.full(number, 1 / CANDIDATES)}
    columns |= {name: generator.normal(size=number) for name in agents or () if name.startswith("nodes")}
    return columns | {"income": generator.lognormal(0, 0.4, number), "age": generator.normal(size=number)}


def reordered_products(columns: dict[str, Array], order: Array) -> dict[str, Array]:
    """Return the rows in another order, which lags follow."""
    found = {name: column[order] for name, column in columns.items()}
    if "lag_indices" in found:
        found["lag_indices"] = np.argsort(order)[found["lag_indices"]]
    return found


def reordered(
    columns: dict[str, Array], features: Features, generator: np.random.Generator
) -> dict[str, Array]:
    """Return the same rows, shuffled where the problem says so."""
    order = new_order(next(iter(columns.values())).size, features, generator)
    return {name: column[order] for name, column in columns.items()}


def new_order(number: int, features: Features, generator: np.random.Generator) -> Array:
    """Return the rows' new order, shuffled where the problem says so."""
    return generator.permutation(number) if features.shuffled else np.arange(number)


def reordered_ownership(ownership: Array, markets: Array, order: Array) -> Array:
    """Return stacked matrices whose rows and columns follow the new order of rows."""
    found = np.full_like(ownership, np.nan)
    for market in np.unique(markets):
        before, after = np.flatnonzero(markets == market), np.flatnonzero(markets[order] == market)
        ranks = np.searchsorted(before, order[after])
        found[after, : after.size] = ownership[np.ix_(before, np.arange(before.size))][np.ix_(ranks, ranks)]
    return found


def with_reordered_products(agents: dict[str, Array], markets: Array, order: Array) -> dict[str, Array]:
    """Return agents whose columns by product follow the new order of products' rows."""
    found = {name: column.copy() for name, column in agents.items()}
    names = [f"{name}{{}}" for name in BY_PRODUCT if f"{name}0" in agents]
    for market in np.unique(markets):
        before, after = np.flatnonzero(markets == market), np.flatnonzero(markets[order] == market)
        mine = agents["market_ids"] == market
        for j, rank in enumerate(np.searchsorted(before, order[after])):
            for name in names:
                found[name.format(j)][mine] = agents[name.format(rank)][mine]
    return found


def random_weights(case: Case, generator: np.random.Generator) -> Array:
    """Return a positive definite matrix near the 2SLS weights, with blocks across the two equations."""
    products = peer_problem(case).products
    blocks = [z for z in (products.ZD, products.ZS, products.ZC) if z.shape[1]]
    inverse = scipy.linalg.block_diag(*(np.linalg.inv(z.T @ z / z.shape[0]) for z in blocks))
    root = np.linalg.cholesky(inverse)
    noise = generator.normal(size=inverse.shape)
    weights = root @ (np.eye(inverse.shape[0]) + 0.02 * noise @ noise.T) @ root.T
    return (weights + weights.T) / 2
