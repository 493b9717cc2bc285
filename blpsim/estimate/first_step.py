"""What an estimate gives to another estimation of the same problem: instruments, or agents."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from blpsim.arrays import Vector
from blpsim.checks import check_count, numbers
from blpsim.economy.economy import Economy
from blpsim.errors import ConfigurationError, DataError
from blpsim.estimate.gmm import GMM
from blpsim.estimate.importance import ImportanceSample, Rule, TooFew, count_alike, sample_agents
from blpsim.estimate.optimal import OptimalInstruments, optimal_instruments
from blpsim.estimate.realizations import Fitted, drawn_errors
from blpsim.estimate.setting import Setting
from blpsim.model.agents import read_candidates
from blpsim.model.importance import check_candidates
from blpsim.model.instruments import ErrorMethod, check_error_draws
from blpsim.model.integration import Integration
from blpsim.model.layout import Layout
from blpsim.model.panel import Agents, Products
from blpsim.model.parameters import Parameters
from blpsim.model.tables import Table


class FirstStep:
    """An estimate that another estimation can build on; ``Result`` has what it needs."""

    __slots__ = ()
    values: Vector
    parameters: Parameters
    delta: Vector
    xi: Vector
    omega: Vector
    costs: Vector
    economy: Economy | None
    origin: tuple[Setting, Layout, GMM]

    def compute_optimal_instruments(
        self,
        method: ErrorMethod = "approximate",
        draws: int = 1,
        seed: int = 0,
        expected_prices: ArrayLike | None = None,
    ) -> OptimalInstruments:
        """Return optimal instruments, whose ``products`` are the data of another problem.

        method, draws    how the expectation over xi and omega is taken, as ``instruments.Optimal`` says
        expected_prices  (N,) by default those in equilibrium with each draw, or without a supply side or
                         with costs that depend on quantities the projection of prices on demand's instruments

        Raises
        ------
        ConfigurationError
            For another method, no draws, and when the estimation gave no economy.
        DataError
            When prices are not one a product, or some market has no equilibrium with any draw.
        """
        check_error_draws("compute_optimal_instruments", method, draws)
        generator, fitted = _generator(seed), self.fitted
        if fitted.layout.phi_moved.size:
            why = "expected derivatives are those of errors, not of innovations"
            got, expected = "innovations", "moments in levels"
            raise ConfigurationError("compute_optimal_instruments", got, expected, why)
        products = fitted.setting.products
        given = None
        if expected_prices is not None:
            given = _one_a_product("expected_prices", expected_prices, products)
        try:
            found = optimal_instruments(fitted, drawn_errors(fitted, method, draws, generator), given)
        except np.linalg.LinAlgError as error:
            why = "the derivatives of the moments are singular there"
            raise DataError("expected_prices", "prices like others", "another projection", why) from error
        if found is None:
            why = "optimal instruments are expectations over what prices and shares would be"
            expected = "an equilibrium in every market with some draw"
            raise DataError("compute_optimal_instruments", f"{draws} failed draws", expected, why)
        return found

    def importance_sampling(
        self,
        draws: int,
        ar_constant: float = 1.0,
        seed: int = 0,
        agents: Table | Agents | None = None,
        integration: Integration | None = None,
        delta: ArrayLike | None = None,
    ) -> ImportanceSample:
        """Return agents sampled by how likely they buy, and their weights, for another problem.

        draws, ar_constant  as ``ImportanceSampling`` says
        agents              candidates, by default the problem's agents; their weights do not count
        integration         makes the candidates' nodes, and with agents takes their demographics in turn
        delta               (N,) more precise mean utilities than the estimate's: those that another problem
                            with a finer integration has at the estimate, by ``Problem.evaluate``

        Raises
        ------
        ConfigurationError
            Without random coefficients, and for candidates who do not count alike.
        DataError
            When a market accepts fewer candidates than draws.
        """
        check_candidates("importance_sampling", draws, ar_constant, integration)
        generator, fitted = _generator(seed), self.fitted
        setting = fitted.setting
        if setting.model.nonlinear is None:
            why = "without random coefficients all agents are alike"
            raise ConfigurationError("Model.nonlinear", None, "random coefficients", why)
        if delta is not None:
            fitted = fitted._replace(delta=_one_a_product("delta", delta, setting.products))
        candidates = setting.agents
        if agents is not None or integration is not None:
            candidates = read_candidates(agents, integration, setting.products, setting.model, generator)
        elif not count_alike(candidates):
            got, why = "agents with different weights", "candidates are draws from the population"
            raise ConfigurationError("importance_sampling.agents", got, "agents who count alike", why)
        once = [candidates, None].__getitem__
        sample = sample_agents(fitted, once, Rule(draws, ar_constant), generator)
        if isinstance(sample, TooFew):
            raise _too_few(sample, draws, setting.products)
        return sample

    @property
    def fitted(self) -> Fitted:
        """The estimate with arrays in internal order.

        Raises
        ------
        ConfigurationError
            When the estimation gave no economy.
        """
        if self.economy is None:
            why = "another estimation builds on it"
            raise ConfigurationError("Result.economy", None, "an economy at the estimates", why)
        setting, layout, _ = self.origin
        order, theta = setting.products.order, self.values[layout.theta_positions]
        arrays = (self.delta, self.xi, self.omega, self.costs)
        arranged = [array if order is None or not array.size else array[order] for array in arrays]
        return Fitted(setting, layout, self.parameters, theta, *arranged)


def _generator(seed: int) -> np.random.Generator:
    check_count("seed", seed, "draws are repeatable", 0)
    return np.random.Generator(np.random.PCG64DXSM(seed))


def _one_a_product(field: str, values: ArrayLike, products: Products) -> Vector:
    """Return values, (N,), in internal order."""
    array = numbers(field, values, DataError)
    if array.shape != (products.number,) or not np.isfinite(array).all():
        expected, why = f"finite numbers of shape ({products.number},)", "there is one for each product"
        raise DataError(field, f"shape {array.shape}", expected, why)
    return array if products.order is None else array[products.order]


def _too_few(sample: TooFew, draws: int, products: Products) -> DataError:
    name = products.columns["market_ids"][products.market_offsets[sample.market]]
    got, expected = f"{sample.accepted} in market {name}", f"at least {draws}, the draws"
    why = "it takes more candidates, who are accepted as often as they buy, or fewer draws"
    return DataError("accepted candidates", got, expected, why)
