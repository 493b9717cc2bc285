"""Compiling kernels before workers start, where it was never done: in two processes at once."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import numpy as np

from blpsim.economy.economy import Economy
from blpsim.estimate.gmm import GMM
from blpsim.estimate.objective import compile_jacobians
from blpsim.estimate.problem import Problem
from blpsim.estimate.solve import first_step
from blpsim.model.integration import Integration
from blpsim.model.layout import layout
from blpsim.model.model import Model
from blpsim.model.parameters import Parameters
from blpsim.run.forkserver import START_METHOD, start_loading
from blpsim.threads import one_thread_environment

_POLL_SECONDS: Final = 0.1
_MARKETS, _FIRMS = 4, 3
_PARAMETERS: Final = Parameters(beta=[0, -1], sigma=[[1]], gamma=[1, 1])


def compile_kernels(is_stopped: Callable[[], bool], *, nested: bool) -> None:
    """Compile what studies call, unless asked to stop; what fails here is left to whoever needs it.

    nested  whether to compile the kernels for nests, instead of those without
    """
    start_loading()
    context: Any = multiprocessing.get_context(START_METHOD)
    with one_thread_environment():
        parts = (_objective, _other_kernels)
        processes = [context.Process(target=part, args=(nested,), daemon=True) for part in parts]
        for process in processes:
            process.start()
    for process in processes:
        while process.is_alive() and not is_stopped():
            process.join(_POLL_SECONDS)
        process.kill()
        process.join()


def _objective(nested: bool) -> None:
    """Compile the objective with its gradient, which takes longer than all the others."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _small_problem(nested).evaluate(_parameters(nested))


def _other_kernels(nested: bool) -> None:
    """Compile equilibrium prices and the derivatives that standard errors take."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    problem = _small_problem(nested)
    setting = problem.setting
    bound = layout(_parameters(nested), setting.columns, setting.supply)
    compile_jacobians(first_step(setting, bound, GMM()))
    _economy_like(problem, nested).equilibrium()


def _parameters(nested: bool) -> Parameters:
    return replace(_PARAMETERS, rho=0.5) if nested else _PARAMETERS


def _small_problem(nested: bool) -> Problem:
    """Return a problem with supply; kernels take the arrays of every kind of problem as the same types."""
    number, generator = _MARKETS * _FIRMS, np.random.default_rng(0)
    names = ("x", "w", "demand_instruments0", "demand_instruments1", "supply_instruments0")
    columns: dict[str, Any] = {name: generator.uniform(size=number) for name in names}
    columns |= {"shares": np.full(number, 0.2), "prices": generator.uniform(1, 2, number)}
    columns |= {
        "market_ids": np.repeat(range(_MARKETS), _FIRMS),
        "firm_ids": np.tile(range(_FIRMS), _MARKETS),
        "nesting_ids": np.arange(number) % 2,
    }
    nests = "nesting_ids" if nested else None
    model = Model(linear="1 + prices", nonlinear="0 + x", supply="1 + w", nests=nests)
    return Problem(model, columns, integration=Integration("product", 3))


def _economy_like(problem: Problem, nested: bool) -> Economy:
    products, nothing = problem.setting.products, np.zeros(problem.setting.number)
    return Economy(
        model=problem.setting.model,
        products=products,
        agents=problem.setting.agents,
        parameters=_parameters(nested),
        delta=problem.setting.start_delta,
        xi=nothing,
        omega=nothing,
        costs=np.ones(products.number),
    )
