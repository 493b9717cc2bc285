"""The problems that are timed: Conlon and Gortmaker's (2020) designs, and the two real data sets."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyblp
from numpy.typing import NDArray

from tests.parity.case import Case
from tests.parity.peer import formulations

Array = NDArray[Any]

MARKETS = 20
SIMPLE = {"linear": "1 + prices + x", "nonlinear": "0 + x", "supply": "1 + x + w"}
COMPLEX = SIMPLE | {"nonlinear": "0 + x + prices"}
BETA = np.array([-7.0, -1.0, 6.0])
GAMMA = np.array([2.0, 1.0, 0.2])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Drawn:
    """Data of one seed and the simulation whose equilibrium they are."""

    products: dict[str, Array]
    simulation: pyblp.Simulation
    costs: Array


def identifiers(generator: np.random.Generator) -> dict[str, Array]:
    """Return markets and firms: 2, 5 or 10 firms in a market, 3, 4 or 5 products a firm."""
    markets, firms = [], []
    for market in range(MARKETS):
        for firm in range(generator.choice([2, 5, 10])):
            number = generator.choice([3, 4, 5])
            markets += [market] * number
            firms += [firm] * number
    return {"market_ids": np.array(markets), "firm_ids": np.array(firms)}


def sums_instruments(products: dict[str, Array]) -> dict[str, Array]:
    """Return the excluded instruments: quadratics of x and w, and sums over own and rival products."""
    x, w = products["x"], products["w"]
    same_market = products["market_ids"][:, None] == products["market_ids"][None, :]
    same_firm = same_market & (products["firm_ids"][:, None] == products["firm_ids"][None, :])
    own, rival = same_firm & ~np.eye(x.size, dtype=bool), same_market & ~same_firm
    shared = [x**2, w**2, x * w, own.sum(1), rival.sum(1), own @ x, rival @ x]
    demand, supply = [w, *shared], shared
    named = {f"demand_instruments{i}": column.astype(float) for i, column in enumerate(demand)}
    return named | {f"supply_instruments{i}": column.astype(float) for i, column in enumerate(supply)}


def draw(model: dict[str, str], sigma: Array, seed: int, nodes: int | None = None) -> Drawn:
    """Return one dataset of the design; agents are 1,000 draws a market, or a rule of ``nodes`` points."""
    generator = np.random.default_rng([2020, seed])
    products = identifiers(generator)
    number = products["market_ids"].size
    products |= {name: generator.uniform(size=number) for name in ("x", "w")}
    errors = generator.multivariate_normal([0, 0], [[0.2, 0.1], [0.1, 0.2]], size=number)
    integration = pyblp.Integration("monte_carlo", 1_000, {"seed": seed})
    simulation = pyblp.Simulation(
        formulations(model),
        products,
        beta=BETA,
        sigma=sigma,
        gamma=GAMMA,
        xi=errors[:, 0],
        omega=errors[:, 1],
        integration=integration if nodes is None else pyblp.Integration("product", nodes),
    )
    equilibrium = simulation.replace_endogenous(compute_gradients=False, compute_hessians=False)
    products |= {name: equilibrium.product_data[name].ravel() for name in ("prices", "shares")}
    return Drawn(
        products=products | sums_instruments(products), simulation=simulation, costs=equilibrium.costs.ravel()
    )


def started(truth: Array, generator: np.random.Generator) -> Array:
    """Return starting values within half of the truth; zeros stay."""
    return truth * generator.uniform(0.5, 1.5, size=truth.shape)


def design_case(name: str, model: dict[str, str], sigma: Array, drawn: Drawn, seed: int) -> Case:
    """Return the two-step problem with supply, bounded as the paper bounds it."""
    generator = np.random.default_rng([2021, seed])
    beta = np.array([np.nan, started(BETA[1:2], generator)[0], np.nan])
    start = started(sigma, generator)
    return Case(
        name=name,
        model=model,
        products=drawn.products,
        nodes=9,
        parameters={"beta": beta, "sigma": start, "gamma": np.full(3, np.nan)},
        options={"method": "2s"},
        bounds={
            "beta": (np.array([-np.inf, -10, -np.inf]), np.array([np.inf, -0.001, np.inf])),
            "sigma": (np.zeros(sigma.shape), 10 * sigma),
        },
        optimizer="l-bfgs-b",
    )


def simple(seed: int) -> Case:
    """Return the Simple design, 9 nodes."""
    return design_case("Simple", SIMPLE, np.diag([3.0]), draw(SIMPLE, np.diag([3.0]), seed), seed)


def complex_(seed: int) -> Case:
    """Return the Complex design: a second random coefficient, on prices; 81 nodes."""
    sigma = np.diag([3.0, 0.2])
    return design_case("Complex", COMPLEX, sigma, draw(COMPLEX, sigma, seed), seed)


def simple_draws(seed: int) -> Case:
    """Return the Simple design with 1,000 draws of its own in each market."""
    number = 1_000 * MARKETS
    agents = {
        "market_ids": np.repeat(np.arange(MARKETS), 1_000),
        "weights": np.full(number, 1 / 1_000),
        "nodes0": np.random.default_rng([2022, seed]).normal(size=number),
    }
    return dataclasses.replace(simple(seed), name="Simple, 1,000 draws", nodes=None, agents=agents)


def priced(seed: int) -> tuple[Drawn, Case]:
    """Return an equilibrium of the Simple design with 9 nodes, and its problem at the truth."""
    sigma = np.diag([3.0])
    drawn = draw(SIMPLE, sigma, seed, nodes=9)
    case = design_case("Prices", SIMPLE, sigma, drawn, seed)
    truth = {"beta": np.array([np.nan, BETA[1], np.nan]), "sigma": sigma, "gamma": np.full(3, np.nan)}
    return drawn, dataclasses.replace(case, parameters=truth, options={"method": "1s"}, optimizer="return")
