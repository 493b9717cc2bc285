"""Larger models that are timed: RCNL, a lognormal price coefficient, fixed effects, and large markets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyblp

from tests.parity.case import Case
from tests.parity.peer import formulations

from .designs import BETA, GAMMA, SIMPLE, Array, identifiers, started, sums_instruments

LOGNORMAL = {
    "linear": "1 + x",
    "nonlinear": "0 + x + I(-prices)",
    "demographics": "0 + one",
    "rc_types": ("linear", "log"),
    "supply": "1 + x + w",
}
ABSORBED = {
    "linear": "0 + prices + x",
    "nonlinear": "0 + x",
    "supply": "0 + x + w",
    "absorb_demand": "C(market_ids) + C(product_ids)",
    "absorb_supply": "C(market_ids) + C(product_ids)",
}
SIGMA = np.diag([3.0])
FREE = np.full(3, np.nan)
PRICE_BOUNDS = (np.array([-np.inf, -10, -np.inf]), np.array([np.inf, -0.001, np.inf]))


def rcnl(seed: int) -> Case:
    """Return the Simple design with each product in one of two nests, rho = 0.5; 9 nodes."""
    products = identifiers(np.random.default_rng([2020, seed]))
    market, number = products["market_ids"], products["market_ids"].size
    nest = products["nesting_ids"] = np.random.default_rng([2031, seed]).integers(0, 2, number)
    products = simulated(SIMPLE, products, seed, beta=BETA, sigma=SIGMA, rho=0.5, gamma=GAMMA)
    together = (market[:, None] == market[None, :]) & (nest[:, None] == nest[None, :])
    count = together.sum(axis=1) - 1.0
    generator = np.random.default_rng([2021, seed])
    return Case(
        name="RCNL",
        model=SIMPLE | {"nests": "nesting_ids"},
        products=products | {"demand_instruments8": count, "supply_instruments7": count},
        nodes=9,
        parameters={
            "beta": np.array([np.nan, started(BETA[1:2], generator)[0], np.nan]),
            "sigma": started(SIGMA, generator),
            "rho": started(np.array(0.5), generator),
            "gamma": FREE,
        },
        options={"method": "2s"},
        bounds={
            "beta": PRICE_BOUNDS,
            "sigma": (np.zeros((1, 1)), 10 * SIGMA),
            "rho": (np.array(0.0), np.array(0.95)),
        },
        optimizer="l-bfgs-b",
    )


def lognormal(seed: int) -> Case:
    """Return the Simple design with a lognormal coefficient on prices, of median one; 81 nodes."""
    rule = pyblp.build_integration(pyblp.Integration("product", 9), 2)
    agents = {
        "market_ids": np.repeat(np.arange(20), rule.weights.size),
        "weights": np.tile(rule.weights.ravel(), 20),
        "nodes0": np.tile(rule.nodes[:, 0], 20),
        "nodes1": np.tile(rule.nodes[:, 1], 20),
        "one": np.ones(20 * rule.weights.size),
    }
    sigma, pi = np.diag([3.0, 0.3]), np.array([[0.0], [0.2]])
    products = simulated(
        LOGNORMAL,
        identifiers(np.random.default_rng([2020, seed])),
        seed,
        agents=agents,
        beta=BETA[[0, 2]],
        sigma=sigma,
        pi=pi,
        gamma=GAMMA,
    )
    generator = np.random.default_rng([2021, seed])
    return Case(
        name="Lognormal",
        model=LOGNORMAL,
        products=products,
        agents=agents,
        parameters={
            "beta": np.full(2, np.nan),
            "sigma": started(sigma, generator),
            "pi": started(pi, generator),
            "gamma": FREE,
        },
        options={"method": "2s"},
        bounds={"sigma": (np.zeros((2, 2)), 10 * sigma), "pi": (np.full((2, 1), -2.0), np.full((2, 1), 2.0))},
        optimizer="l-bfgs-b",
    )


def fixed_effects(seed: int) -> Case:
    """Return 50 markets of the same 20 products, with effects of both on both sides; 9 nodes."""
    market, product = np.divmod(np.arange(50 * 20), 20)
    products = {"market_ids": market, "firm_ids": product // 4, "product_ids": product}
    products = simulated(SIMPLE, products, seed, beta=BETA, sigma=SIGMA, gamma=GAMMA)
    # Effects of markets and products explain numbers of products and, given x and one's own, rivals' x.
    products = with_instruments(products, (0, 1, 2, 3, 6), (0, 1, 2, 5))
    generator = np.random.default_rng([2021, seed])
    return Case(
        name="Fixed effects",
        model=ABSORBED,
        products=products,
        nodes=9,
        parameters={
            "beta": np.array([started(BETA[1:2], generator)[0], np.nan]),
            "sigma": started(SIGMA, generator),
            "gamma": np.full(2, np.nan),
        },
        options={"method": "2s"},
        bounds={
            "beta": (PRICE_BOUNDS[0][1:], PRICE_BOUNDS[1][1:]),
            "sigma": (np.zeros((1, 1)), 10 * SIGMA),
        },
        optimizer="l-bfgs-b",
    )


def large(seed: int) -> Case:
    """Return ten markets of 250 products of 25 firms and 1,000 draws each; one step."""
    market, product = np.divmod(np.arange(10 * 250), 250)
    products = {"market_ids": market, "firm_ids": product // 10}
    products = simulated(SIMPLE, products, seed, draws=100, beta=BETA, sigma=SIGMA, gamma=GAMMA)
    # Markets and firms have the same numbers of products.
    products = with_instruments(products, (0, 1, 2, 3, 6, 7), (0, 1, 2, 5, 6))
    generator = np.random.default_rng([2021, seed])
    agents = {
        "market_ids": np.repeat(np.arange(10), 1_000),
        "weights": np.full(10_000, 1 / 1_000),
        "nodes0": np.random.default_rng([2022, seed]).normal(size=10_000),
    }
    return Case(
        name="Large markets",
        model=SIMPLE,
        products=products,
        agents=agents,
        parameters={
            "beta": np.array([np.nan, started(BETA[1:2], generator)[0], np.nan]),
            "sigma": started(SIGMA, generator),
            "gamma": FREE,
        },
        options={"method": "1s"},
        bounds={"beta": PRICE_BOUNDS, "sigma": (np.zeros((1, 1)), 10 * SIGMA)},
        optimizer="l-bfgs-b",
    )


def simulated(
    model: dict[str, Any],
    products: dict[str, Array],
    seed: int,
    agents: dict[str, Array] | None = None,
    draws: int = 1_000,
    **truth: object,
) -> dict[str, Array]:
    """Return the products with characteristics, equilibrium prices and shares, and sums as instruments.

    agents  of the economy; by default so many draws a market
    """
    generator = np.random.default_rng([2030, seed])
    number = products["market_ids"].size
    products = products | {name: generator.uniform(size=number) for name in ("x", "w")}
    errors = generator.multivariate_normal([0, 0], [[0.2, 0.1], [0.1, 0.2]], size=number)
    given: dict[str, Any] = {"integration": pyblp.Integration("monte_carlo", draws, {"seed": seed})}
    if agents is not None:
        nodes = np.column_stack([agents["nodes0"], agents["nodes1"]])
        given = {
            "agent_formulation": pyblp.Formulation(model["demographics"]),
            "agent_data": {**{n: agents[n] for n in ("market_ids", "weights", "one")}, "nodes": nodes},
            "rc_types": model["rc_types"],
        }
    simulation = pyblp.Simulation(
        formulations(model), products, xi=errors[:, 0], omega=errors[:, 1], **given, **truth
    )
    equilibrium = simulation.replace_endogenous(compute_gradients=False, compute_hessians=False)
    products |= {name: equilibrium.product_data[name].ravel() for name in ("prices", "shares")}
    return products | sums_instruments(products)


def with_instruments(
    products: dict[str, Array], demand: tuple[int, ...], supply: tuple[int, ...]
) -> dict[str, Array]:
    """Return the products with these instruments of each side alone, numbered without gaps."""
    kept = {name: column for name, column in products.items() if "instruments" not in name}
    for side, numbers in (("demand", demand), ("supply", supply)):
        kept |= {f"{side}_instruments{i}": products[f"{side}_instruments{k}"] for i, k in enumerate(numbers)}
    return kept
