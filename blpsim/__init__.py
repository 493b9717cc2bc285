"""Monte Carlo studies of BLP demand estimation.

Names are loaded when they are first used, so that a command that only reads a store starts at once.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from blpsim.economy.dataset import Dataset as Dataset
    from blpsim.economy.economy import Economy as Economy
    from blpsim.errors import BlpsimError as BlpsimError
    from blpsim.errors import BlpsimWarning as BlpsimWarning
    from blpsim.errors import ConfigurationError as ConfigurationError
    from blpsim.errors import DataError as DataError
    from blpsim.errors import FormulaError as FormulaError
    from blpsim.errors import ParameterError as ParameterError
    from blpsim.errors import StoreError as StoreError
    from blpsim.estimate.estimator import Estimator as Estimator
    from blpsim.estimate.gmm import GMM as GMM
    from blpsim.estimate.gmm import Inversion as Inversion
    from blpsim.estimate.optimizer import Optimizer as Optimizer
    from blpsim.estimate.problem import Problem as Problem
    from blpsim.estimate.result import Result as Result
    from blpsim.estimate.solution import Estimate as Estimate
    from blpsim.estimate.solution import Start as Start
    from blpsim.estimate.starts import Bounds as Bounds
    from blpsim.estimate.starts import Starts as Starts
    from blpsim.model import instruments as instruments
    from blpsim.model.conduct import Conduct as Conduct
    from blpsim.model.conduct import Ownership as Ownership
    from blpsim.model.importance import ImportanceSampling as ImportanceSampling
    from blpsim.model.integration import Integration as Integration
    from blpsim.model.model import Model as Model
    from blpsim.model.ownership import build_ownership as build_ownership
    from blpsim.model.parameters import Parameters as Parameters
    from blpsim.model.survey_moments import correlation_moment as correlation_moment
    from blpsim.model.survey_moments import covariance_moment as covariance_moment
    from blpsim.model.survey_moments import mean_moment as mean_moment
    from blpsim.model.survey_moments import probability_moment as probability_moment
    from blpsim.model.survey_moments import regression_moment as regression_moment
    from blpsim.model.surveys import Everyone as Everyone
    from blpsim.model.surveys import Inside as Inside
    from blpsim.model.surveys import MicroDataset as MicroDataset
    from blpsim.model.surveys import MicroMoment as MicroMoment
    from blpsim.model.surveys import MicroPart as MicroPart
    from blpsim.model.surveys import Product as Product
    from blpsim.run.workers import Workers as Workers
    from blpsim.simulate.distributions import Bernoulli as Bernoulli
    from blpsim.simulate.distributions import Choice as Choice
    from blpsim.simulate.distributions import Constant as Constant
    from blpsim.simulate.distributions import Exponential as Exponential
    from blpsim.simulate.distributions import Lognormal as Lognormal
    from blpsim.simulate.distributions import Normal as Normal
    from blpsim.simulate.distributions import OneOf as OneOf
    from blpsim.simulate.distributions import PerMarket as PerMarket
    from blpsim.simulate.distributions import PerProduct as PerProduct
    from blpsim.simulate.distributions import Uniform as Uniform
    from blpsim.simulate.markets import Assign as Assign
    from blpsim.simulate.markets import Errors as Errors
    from blpsim.simulate.markets import Markets as Markets
    from blpsim.simulate.measurement import MeasuredShares as MeasuredShares
    from blpsim.simulate.pairs import Pairs as Pairs
    from blpsim.simulate.pairs import PerAgentAndProduct as PerAgentAndProduct
    from blpsim.simulate.scenario import Scenario as Scenario
    from blpsim.simulate.surveys import Misreport as Misreport
    from blpsim.simulate.surveys import Survey as Survey
    from blpsim.status import Status as Status
    from blpsim.store.study import Study as Study
    from blpsim.store.study import open_study as open_study
    from blpsim.streams import Streams as Streams
    from blpsim.study.design import Design as Design
    from blpsim.study.load import load_design as load_design
    from blpsim.study.vary import vary as vary
    from blpsim.summary.compare import compare as compare
    from blpsim.summary.diagnostics import diagnose as diagnose
    from blpsim.summary.measures import Measure as Measure
    from blpsim.summary.summarize import summarize as summarize
    from blpsim.workflow import run as run

_NAMES = {
    "economy.dataset": ("Dataset",),
    "economy.economy": ("Economy",),
    "errors": (
        "BlpsimError",
        "BlpsimWarning",
        "ConfigurationError",
        "DataError",
        "FormulaError",
        "ParameterError",
        "StoreError",
    ),
    "estimate.estimator": ("Estimator", "Starts"),
    "estimate.solution": ("Estimate", "Start"),
    "estimate.gmm": ("GMM", "Inversion"),
    "estimate.optimizer": ("Optimizer",),
    "estimate.problem": ("Problem",),
    "estimate.result": ("Result",),
    "estimate.starts": ("Bounds", "Starts"),
    "model.conduct": ("Conduct", "Ownership"),
    "model.importance": ("ImportanceSampling",),
    "model.integration": ("Integration",),
    "model.model": ("Model",),
    "model.ownership": ("build_ownership",),
    "model.parameters": ("Parameters",),
    "model.survey_moments": (
        "correlation_moment",
        "covariance_moment",
        "mean_moment",
        "probability_moment",
        "regression_moment",
    ),
    "model.surveys": ("Everyone", "Inside", "MicroDataset", "MicroMoment", "MicroPart", "Product"),
    "run.workers": ("Workers",),
    "simulate.distributions": (
        "Bernoulli",
        "Choice",
        "Constant",
        "Exponential",
        "Lognormal",
        "Normal",
        "OneOf",
        "PerMarket",
        "PerProduct",
        "Uniform",
    ),
    "simulate.markets": ("Assign", "Errors", "Markets"),
    "simulate.measurement": ("MeasuredShares",),
    "simulate.pairs": ("Pairs", "PerAgentAndProduct"),
    "simulate.scenario": ("Scenario",),
    "simulate.surveys": ("Misreport", "Survey"),
    "status": ("Status",),
    "store.study": ("Study", "open_study"),
    "streams": ("Streams",),
    "study.design": ("Design",),
    "study.load": ("load_design",),
    "study.vary": ("vary",),
    "summary.compare": ("compare",),
    "summary.diagnostics": ("diagnose",),
    "summary.measures": ("Measure",),
    "summary.summarize": ("summarize",),
    "workflow": ("run",),
}
_HOMES = {name: f"{__name__}.{module}" for module, names in _NAMES.items() for name in names}

__all__ = sorted([*_HOMES, "instruments"])


def __getattr__(name: str) -> object:
    """Return a public name, loaded from the module that defines it."""
    if name == "instruments":
        return import_module(f"{__name__}.model.instruments")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


class _Root(ModuleType):
    """Keeps a part of the package, once it is imported, from taking the place of the function ``run``."""

    def __setattr__(self, name: str, value: object) -> None:
        """Set an attribute, unless a public name would become a part."""
        if name not in _HOMES or not isinstance(value, ModuleType):
            super().__setattr__(name, value)

    def __reduce__(self) -> tuple[object, ...]:
        """Return what pickle needs: functions of a session that name the package travel to workers."""
        return import_module, (self.__name__,)


sys.modules[__name__].__class__ = _Root


def __dir__() -> list[str]:
    """Return the public names."""
    return __all__
