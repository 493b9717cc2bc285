"""Problems on real data."""

from __future__ import annotations

from dataclasses import replace

from blpsim.checks import check
from blpsim.errors import ParameterError
from blpsim.estimate.evaluation import Evaluation, evaluated
from blpsim.estimate.gmm import GMM
from blpsim.estimate.result import Result
from blpsim.estimate.setting import Setting, check_setting, make_setting
from blpsim.estimate.solve import first_step, solve
from blpsim.model.agents import read_agents
from blpsim.model.integration import Integration
from blpsim.model.layout import Layout, layout
from blpsim.model.model import Model
from blpsim.model.panel import Agents, Products
from blpsim.model.parameters import Parameters
from blpsim.model.products import read_products
from blpsim.model.resampling import given_agents, redrawn_agents
from blpsim.model.tables import Table


class Problem:
    """A model and data."""

    def __init__(
        self,
        model: Model,
        products: Table | Products,
        agents: Table | Agents | None = None,
        integration: Integration | None = None,
    ) -> None:
        """Read and check the data.

        Raises
        ------
        DataError
            For data that the model cannot be estimated on, naming the column and what is wrong with it.
        """
        check("model", model, Model)
        check("integration", integration, Integration | None)
        read = read_products(products, model)
        excluded = (read.matrix("demand_instruments"), read.matrix("supply_instruments"))
        supply = model.supply is not None
        self._agents, self._integration = agents, integration
        self.setting = make_setting(
            model, read, read_agents(agents, integration, read, model), excluded, supply
        )
        check_setting(self.setting, _instrument_names(self.setting))

    def solve(self, parameters: Parameters, gmm: GMM | None = None) -> Result:
        """Return the estimates, starting from the parameters.

        Raises
        ------
        ParameterError
            For parameters that the model does not have, and when there are more of them than instruments.
        ConfigurationError
            When agents are to be resampled but nothing says how.
        """
        bound = self._bound(parameters, gmm)
        _check_identification(self.setting, bound)
        return solve(self._resampling(gmm), bound, gmm or GMM())

    def evaluate(self, parameters: Parameters, gmm: GMM | None = None) -> Evaluation:
        """Return the objective, its gradient, and what they are made of, at these parameters.

        The weighting matrix is that of the first step: ``gmm.W``, or two-stage least squares'.

        Raises
        ------
        ParameterError
            For parameters that the model does not have.
        """
        bound = self._bound(parameters, gmm)
        return evaluated(first_step(self._resampling(gmm), bound, gmm or GMM()))

    def _bound(self, parameters: Parameters, gmm: GMM | None) -> Layout:
        check("parameters", parameters, Parameters)
        check("gmm", gmm, GMM | None)
        return layout(parameters, self.setting.columns, self.setting.supply)

    def _resampling(self, gmm: GMM | None) -> Setting:
        """Return the setting, with resampled agents where they are asked for."""
        how = None if gmm is None else gmm.resample_agents
        if how is None:
            return self.setting
        model, products = self.setting.model, self.setting.products
        if callable(how):
            return replace(self.setting, resampled=given_agents(how, products, model))
        redrawn = redrawn_agents(how, self._agents, self._integration, products, model)
        return replace(self.setting, resampled=redrawn)


def _check_identification(setting: Setting, layout: Layout) -> None:
    instruments = len(setting.demand_instruments) + len(setting.supply_instruments)
    if len(layout.names) > instruments:
        expected = f"at most {instruments} parameters, the number of instruments"
        why = "fewer moments than parameters identify nothing"
        raise ParameterError("Parameters", f"{len(layout.names)} parameters", expected, why)


def _instrument_names(setting: Setting) -> tuple[tuple[str, ...], tuple[str, ...]]:
    x1 = setting.columns.x1
    exogenous = tuple(n for n, p in zip(x1.names, x1.depends_on_prices, strict=True) if not p)
    demand = len(setting.demand_instruments) - len(exogenous)
    supply = max(0, len(setting.supply_instruments) - len(setting.x3))
    names = tuple(f"demand_instruments{k}" for k in range(demand)) + exogenous
    return names, tuple(f"supply_instruments{k}" for k in range(supply)) + setting.columns.x3.names
