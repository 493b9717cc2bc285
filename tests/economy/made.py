"""A small economy whose rows nobody sorted, in both packages."""

import numpy as np
import pyblp

from blpsim.economy.economy import Economy
from blpsim.model.agents import read_agents
from blpsim.model.model import Model
from blpsim.model.parameters import Parameters
from blpsim.model.products import read_products

LINEAR, SUPPLY = "1 + x + prices", "1 + x + w"
BETA, GAMMA = [-1.0, 2.0, -2.0], [1.0, 0.5, 0.3]
NONLINEAR = {
    "random price": ("0 + x + prices", [[1.0, 0], [0.2, 0.3]]),
    "plain": ("0 + x", [[1.5]]),
    "nests, random price": ("0 + x + prices", [[1.0, 0], [0.2, 0.3]]),
    "nests": ("0 + x", [[1.5]]),
    "log and logit": ("0 + I(-prices) + x", [[0.4, 0], [0.5, 2.0]]),
    "nests, log and logit": ("0 + I(-prices) + x", [[0.4, 0], [0.5, 2.0]]),
}
RHO = [0.5, 0.3]
RC_TYPES = {name: ("log", "logit") for name in NONLINEAR if "log and logit" in name}


def tables(nonlinear, seed=0):
    """Return products and agents, whose markets are called b, c and a, in no order."""
    pyblp.options.verbose = False
    rng = np.random.default_rng(seed)
    markets = np.repeat(["b", "c", "a"], [5, 7, 4])
    firms = np.concatenate([rng.permutation(np.arange(size) % 3) for size in (5, 7, 4)])
    mixed = rng.permutation(markets.size)
    data = {"market_ids": markets[mixed], "firm_ids": firms[mixed]}
    data |= {name: rng.uniform(size=markets.size) for name in ("x", "w")}
    data["demand_instruments"] = rng.normal(size=(markets.size, 5))
    if "nests" in nonlinear:
        data["nesting_ids"] = rng.permutation(np.arange(markets.size) % 2)
    formula, sigma = NONLINEAR[nonlinear]
    nodes = rng.normal(size=(3 * 9, len(sigma)))
    agents = {"market_ids": np.repeat(["a", "b", "c"], 9), "weights": np.full(27, 1 / 9), "nodes": nodes}
    simulation = pyblp.Simulation(
        formulations(formula),
        data,
        beta=BETA,
        sigma=sigma,
        gamma=GAMMA,
        rho=RHO if "nests" in nonlinear else None,
        xi=rng.normal(size=markets.size) * 0.3,
        omega=rng.normal(size=markets.size) * 0.1,
        agent_data=agents,
        rc_types=RC_TYPES.get(nonlinear),
    )
    solved = simulation.replace_endogenous().product_data
    data |= {name: solved[name].ravel() for name in ("prices", "shares")}
    return data, agents


def formulations(nonlinear):
    """Return PyBLP's formulas of X1, X2 and X3."""
    return tuple(pyblp.Formulation(formula) for formula in (LINEAR, nonlinear, SUPPLY))


def peer_of(nonlinear, data, agents):
    """Return PyBLP's results at the true values."""
    formula, sigma = NONLINEAR[nonlinear]
    problem = pyblp.Problem(formulations(formula), data, agent_data=agents, rc_types=RC_TYPES.get(nonlinear))
    still = pyblp.Optimization("return")
    given = {"sigma": np.array(sigma), "beta": BETA, "gamma": GAMMA}
    given |= {"rho": RHO} if "nests" in nonlinear else {}
    return problem.solve(**given, method="1s", optimization=still, check_optimality="gradient")


def economy_of(nonlinear, data, agents, peer):
    """Return the same economy here."""
    formula, sigma = NONLINEAR[nonlinear]
    nests, rho = ("nesting_ids", RHO) if "nests" in nonlinear else (None, None)
    rc_types = RC_TYPES.get(nonlinear)
    model = Model(linear=LINEAR, nonlinear=formula, supply=SUPPLY, nests=nests, rc_types=rc_types)
    flat = {name: column for name, column in data.items() if name != "demand_instruments"}
    products = read_products(flat, model)
    people = {name: column for name, column in agents.items() if name != "nodes"}
    people |= {f"nodes{k}": column for k, column in enumerate(agents["nodes"].T)}
    return Economy(
        model=model,
        products=products,
        agents=read_agents(people, None, products, model),
        parameters=Parameters(beta=BETA, sigma=sigma, rho=rho, gamma=GAMMA),
        delta=peer.delta.ravel(),
        xi=peer.xi.ravel(),
        omega=peer.omega.ravel(),
        costs=peer.compute_costs().ravel(),
    )
