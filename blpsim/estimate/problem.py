"""Problems on real data."""

from __future__ import annotations

from dataclasses import replace

from blpsim.checks import check
from blpsim.economy.economy import Owners
from blpsim.errors import ConfigurationError, ParameterError
from blpsim.estimate.evaluation import Evaluation, evaluated
from blpsim.estimate.frac import check_frac, frac_start
from blpsim.estimate.gmm import GMM
from blpsim.estimate.result import Result
from blpsim.estimate.setting import Setting, check_setting, make_setting, with_covariances
from blpsim.estimate.solve import first_step, solve
from blpsim.model.agents import read_agents
from blpsim.model.conduct import Conduct, Ownership, read_conduct
from blpsim.model.integration import Integration
from blpsim.model.layout import Layout, layout
from blpsim.model.model import Model
from blpsim.model.ownership import PriceSetting, given_ownership, read_ownership
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
        ownership: Owners | None = None,
        conduct: Conduct | Ownership | str | None = None,
    ) -> None:
        """Read and check the data.

        Columns ``covariance_instruments0, ..`` of products are instruments Z_C of covariance moments
        E[xi omega Z_C] (MacKay and Miller 2023); moments are then those of demand, supply and covariances.

        agents     with PyBLP's names of columns; a variable of the demographics that differs by product has
                   a column for each product of a market in the order of its rows, ``distance0, ..``; so has
                   what multiplies odds, zero where an agent cannot choose a product, ``availability0, ..``
        ownership  whose profits the setter of each price has in mind: (N, J*) as ``build_ownership`` returns
                   it, unless columns ``ownership0, ownership1, ..`` of products hold it; an ``Ownership``
        conduct    instead: a name as ``"perfect_competition"``, or an ``Ownership``; by default each firm
                   sets the prices of its products

        Raises
        ------
        DataError
            For data that the model cannot be estimated on, naming the column and what is wrong with it.
        ConfigurationError
            When several of these say who sets prices, or a rule does not fit the firms.
        """
        check("model", model, Model)
        check("integration", integration, Integration | None)
        read = read_products(products, model)
        excluded = (read.matrix("demand_instruments"), read.matrix("supply_instruments"))
        supply = model.supply is not None
        self._agents, self._integration = agents, integration
        people = read_agents(agents, integration, read, model)
        how = _price_setting(read, ownership, conduct)
        setting = make_setting(model, read, people, excluded, supply, how)
        self.setting = with_covariances(setting, read.matrix("covariance_instruments"))
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
        _check_identification(self.setting, bound, len(gmm.micro_moments) if gmm else 0)
        return solve(self._resampling(gmm), bound, gmm or GMM())

    def frac(self, parameters: Parameters) -> Parameters:
        """Return starting values by FRAC, for models without nests and links.

        parameters  say what is estimated; their values stay where FRAC identifies nothing, as those of gamma

        Raises
        ------
        ParameterError
            For parameters that the model does not have.
        ConfigurationError
            For models with nests, or with lognormal or logit coefficients, and where demographics or choice
            sets differ by agent and product.

        Source: Salanie and Wolak (2022).
        """
        specific = self.setting.agents.specific is not None
        check_frac("Problem.frac", self.setting.model, differs_by_product=specific)
        bound = self._bound(parameters, None)
        return bound.parameters(frac_start(self.setting, bound), bound.beta0, bound.gamma0)

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


def _price_setting(
    products: Products, ownership: Owners | None, conduct: Conduct | Ownership | str | None
) -> PriceSetting:
    columns = given_ownership(products)
    if ownership is not None and columns is not None:
        why = "both say who sets prices"
        raise ConfigurationError("ownership", ownership, "None beside columns of ownership", why)
    if conduct is not None and (ownership is not None or columns is not None):
        raise ConfigurationError("conduct", conduct, "None beside ownership", "both say who sets prices")
    if conduct is not None:
        read_conduct("conduct", conduct)
    given = conduct if ownership is None else ownership
    if given is None:
        return columns or Conduct.BERTRAND
    return read_ownership("ownership" if conduct is None else "conduct", given, products)


def _check_identification(setting: Setting, layout: Layout, micro: int) -> None:
    instruments = setting.moments + micro
    if len(layout.names) > instruments:
        expected = f"at most {instruments} parameters, the number of {'moments' if micro else 'instruments'}"
        why = "fewer moments than parameters identify nothing"
        raise ParameterError("Parameters", f"{len(layout.names)} parameters", expected, why)


def _instrument_names(setting: Setting) -> tuple[tuple[str, ...], tuple[str, ...]]:
    x1 = setting.columns.x1
    exogenous = tuple(n for n, p in zip(x1.names, x1.depends_on_prices, strict=True) if not p)
    demand = len(setting.demand_instruments) - len(exogenous)
    x3 = setting.columns.x3
    shifters = tuple(n for n, s in zip(x3.names, x3.depends_on_shares, strict=True) if not s)
    supply = max(0, len(setting.supply_instruments) - len(shifters))
    names = tuple(f"demand_instruments{k}" for k in range(demand)) + exogenous
    return names, tuple(f"supply_instruments{k}" for k in range(supply)) + shifters
