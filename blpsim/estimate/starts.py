"""Where an estimator starts and how far it may go, relative to a scenario's truth."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Literal, cast

import numpy as np

from blpsim.arrays import Matrix, Vector
from blpsim.checks import check_count, check_fields
from blpsim.errors import ConfigurationError
from blpsim.fingerprint import LATER
from blpsim.model.blocks import Block, block_names
from blpsim.model.layout import Layout
from blpsim.model.model import Model, ModelColumns, ModelNames
from blpsim.model.parameters import Parameters


@dataclass(frozen=True, slots=True)
class Starts:
    """Where the optimizer starts: uniform draws around the truth, the same for every estimator.

    Around FRAC's estimate, which every dataset has its own of, the first start is that estimate itself.
    """

    number: int = 3
    """How many starts; the lowest objective wins."""
    around: Literal["truth", "frac"] = "truth"
    """The truth; or the estimate of FRAC (Salanie and Wolak 2022), for models without nests and links, which
    costs a regression and asks nobody what is true."""
    width: float = 0.5
    """Starts lie within this fraction of what they are around."""

    def __post_init__(self) -> None:
        """Refuse no starts, and widths that could change signs."""
        check_count("Starts.number", self.number, "something must start")
        check_fields(self)
        if not 0 <= self.width < 1:
            why = "a width of 1 starts at zero, where the gradient of sigma vanishes"
            raise ConfigurationError("Starts.width", self.width, "in [0, 1)", why)

    def draw(self, theta: Vector, generator: np.random.Generator) -> Matrix:
        """Return starts, (S, P)."""
        draws = generator.uniform(1 - self.width, 1 + self.width, (self.number, theta.size))
        if self.around == "frac":
            draws[0] = 1
        return np.asarray(theta * draws, np.float64)


@dataclass(frozen=True, slots=True)
class Bounds:
    """A box around the truth, as Conlon and Gortmaker (2020) use it."""

    width: float = 10.0
    """Every parameter lies within this multiple of its true size; sigma's diagonal is not negative."""
    around: Literal["truth"] = "truth"
    highest_price_coefficient: float | None = -0.001
    """With a supply side, what coefficients on prices must not exceed; None for no such bound."""
    highest_rho: float = field(default=0.95, metadata=LATER)
    """What correlations within nests must not exceed."""

    def __post_init__(self) -> None:
        """Refuse a box that does not hold the truth inside."""
        check_fields(self)
        if not self.width > 0:
            raise ConfigurationError(
                "Bounds.width", self.width, "a positive number", "the box would be empty"
            )
        if not 0 < self.highest_rho < 1:
            why = "at 1 choice within a nest is deterministic"
            raise ConfigurationError("Bounds.highest_rho", self.highest_rho, "in (0, 1)", why)

    def by_name(self, layout: Layout, price_coefficients: Collection[str]) -> dict[str, tuple[float, float]]:
        """Return lower and upper bounds of what the optimizer moves, when the layout starts at the truth."""
        bounds = {}
        floors, _ = layout.default_bounds()
        for name, value, floor in zip(layout.theta_names, layout.theta0, floors, strict=True):
            size = self.width * abs(value) if value else self.width
            lower, upper = max(value - size, floor), value + size
            if name in price_coefficients and self.highest_price_coefficient is not None:
                upper = min(upper, self.highest_price_coefficient)
            if name.startswith("rho"):
                upper = max(value, self.highest_rho)
            bounds[name] = (float(lower), float(upper))
        return bounds


@lru_cache(maxsize=256)
def true_values(
    truth: Parameters, columns: ModelColumns, supply: bool, innovative: tuple[bool, bool]
) -> Parameters:
    """Return the truth, less what is concentrated out, and autocorrelations that no moment depends on.

    innovative  whether moments of demand and of supply are in innovations
    """
    blocks = truth.blocks(columns.names)
    beta, phi = blocks.beta, np.where(innovative[: blocks.phi.size], blocks.phi, 0.0)
    kept = columns.x1.depends_on_prices & supply
    free = truth.free if isinstance(truth.free, Mapping) else dict.fromkeys(truth.free or (), True)
    free = {name: value for name, value in free.items() if name.startswith(("sigma", "pi", "rho"))}
    start = replace(truth, beta=np.where(kept, beta, np.nan), gamma=None, free=free or None)
    return replace(start, phi=phi if phi.any() else None)


def columns_on(scenario: object, model: Model) -> ModelColumns:
    """Return the columns of an estimator's own model on a scenario's data."""
    columns_of = getattr(scenario, "columns_of", None)
    if not callable(columns_of):
        why = "the scenario has no columns_of(model), which says what another model's parameters are"
        raise ConfigurationError("Estimator.model", model, "None, the scenario's", why)
    return cast(ModelColumns, columns_of(model))


@lru_cache(maxsize=256)
def starting_values(
    given: Parameters | None, known: tuple[Parameters, ModelNames], columns: ModelColumns, supply: bool
) -> Parameters:
    """Return values of another model's parameters that starts are drawn around; linear ones are left out.

    given   blocks that replace what is known of them
    known   the truth of the scenario, and its labels, by which parameters are found
    supply  whether the supply side is estimated, so that coefficients on prices need a value

    Raises
    ------
    ConfigurationError
        When the optimizer has nowhere to start from.
    ParameterError
        For given values that the model does not have.
    """
    values, estimated = known[0].by_name(known[1], zeros=True), known[0].estimated(known[1])
    blocks: dict[str, Block] = {}
    free: dict[str, bool] = {}
    for block, elements in block_names(columns.names, common_rho="rho" in values).items():
        blocks[block] = None if given is None else getattr(given, block)
        if blocks[block] is None and block != "phi":
            blocks[block] = {name: values[name] for name in elements if name in values}
            free |= {name: estimated[name] for name in elements if name in values}
    free |= {} if given is None else cast(Mapping[str, bool], given.free or {})
    free = {name: is_free for name, is_free in free.items() if name.startswith(("sigma", "pi", "rho"))}
    start = Parameters(**{**blocks, "gamma": None}, free=free)
    _check_start(start, columns, supply)
    kept = columns.x1.depends_on_prices & supply
    return replace(start, beta=np.where(kept, start.blocks(columns.names).beta, np.nan))


def _check_start(start: Parameters, columns: ModelColumns, supply: bool) -> None:
    """Refuse parameters of another model that leave a part of it without a value to start from."""
    names, estimated = columns.names, start.estimated(columns.names)
    beta, values = start.blocks(names).beta, start.by_name(names)
    moved = [name for name, value in values.items() if value or estimated[name]]
    missing = [
        f"beta[{name}]"
        for name, priced, value in zip(names.x1, columns.x1.depends_on_prices, beta, strict=True)
        if supply and priced and np.isnan(value)
    ]
    missing += [
        f"sigma[{name},{name}]"
        for name in names.x2
        if not any(key.startswith((f"sigma[{name},", f"pi[{name},")) for key in moved)
    ]
    missing += ["rho"] if names.nests and not any(key.startswith("rho") for key in moved) else []
    if missing:
        why = "the scenario's truth has none, and starts are drawn around it"
        raise ConfigurationError("Estimator.parameters", f"no {missing[0]}", f"a value of {missing[0]}", why)
