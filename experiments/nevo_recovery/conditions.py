"""Whether equilibrium prices are a maximum of each firm's profits, or solve first-order conditions alone.

Run as ``python -m experiments.nevo_recovery.conditions [REPLICATIONS]``.
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import blpsim as bs

STEP = 1e-5


class Conditions:
    """The conditions of all firms in an economy with known costs."""

    def __init__(self, economy: bs.Economy) -> None:
        """Find who owns what in each market."""
        frame = economy.products.frame()
        self.economy, self.prices = economy, frame["prices"].to_numpy()
        self.markets = {name: np.flatnonzero(frame["market_ids"] == name) for name in economy.market_ids}
        self.firms = frame["firm_ids"].to_numpy()

    def not_maximal(self) -> list[tuple[object, object]]:
        """Return the markets and firms where the Hessian of the firm's profits is not negative definite."""
        differences = []
        for place in range(max(rows.size for rows in self.markets.values())):
            step = np.zeros(self.prices.size)
            moved = [rows[place] for rows in self.markets.values() if place < rows.size]
            step[moved] = STEP * self.prices[moved]
            differences.append(self.gradient(self.prices + step) - self.gradient(self.prices - step))
        found = []
        for name, rows in self.markets.items():
            hessian = np.array([differences[k][rows] for k in range(rows.size)]) / self.prices[rows, None]
            for firm in np.unique(self.firms[rows]):
                mine = np.flatnonzero(self.firms[rows] == firm)
                block = hessian[np.ix_(mine, mine)]
                if np.linalg.eigvalsh(block + block.T)[-1] >= 0:
                    found.append((name, firm))
        return found

    def gradient(self, prices: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the derivative of each firm's profits with respect to each of its prices, (N,)."""
        shares, elasticities = self.economy.shares(prices), self.economy.elasticities(prices)
        gradient, margins = shares.copy(), prices - self.economy.costs
        for name, rows in self.markets.items():
            derivatives = elasticities[name] * shares[rows, None] / prices[rows]
            owned = self.firms[rows, None] == self.firms[rows]
            gradient[rows] += (owned * derivatives.T) @ margins[rows]
        return gradient


def main() -> None:
    """Print where conditions fail at the estimates, and in replications of the first scenario."""
    design = bs.load_design(Path(__file__).with_name("design.py"))
    replications = int(sys.argv[1]) if len(sys.argv) > 1 else design.replications
    scenario = design.scenario("errors")
    costs = scenario.economy.implied_costs()
    estimated = Conditions(dataclasses.replace(scenario.economy, costs=costs)).not_maximal()
    print(f"at the estimates: {estimated or 'nowhere'}; {(costs < 0).sum()} costs below zero")
    failed = 0
    for number in range(replications):
        economy = scenario.generate(design.streams("errors", number)).economy
        found = Conditions(economy).not_maximal()
        failed += bool(found)
        if found:
            print(f"replication {number}: {found}")
    print(f"in {failed} of {replications} replications")


if __name__ == "__main__":
    main()
