"""Moments in innovations of autocorrelated errors, as moments of errors with other instruments.

With the lag operator L of a panel and errors xi = phi L xi + innovation, moments Z'M (I - phi L) xi of
innovations, M keeping products that have a lag, are those of xi with instruments (I - phi L)'M Z. So kernels,
linear coefficients that are concentrated out and gradients stay what they are.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from blpsim.arrays import Matrix, Vector
from blpsim.errors import ConfigurationError
from blpsim.estimate.setting import Setting
from blpsim.model.lags import Lags, lags_of
from blpsim.model.layout import Layout

MomentType = Literal["levels", "innovations", "differenced_innovations"]
_ERRORS = ("xi", "omega")


class Differencing(NamedTuple):
    """What makes innovations of errors."""

    lags: Lags
    types: tuple[MomentType, MomentType]
    """Of demand and supply."""

    def residual(self, side: int, rows: Matrix, phi: float) -> Matrix:
        """Return (.., N) innovations, or their differences, of errors (.., N); zero without lags."""
        kind, (previous, once, twice) = self.types[side], self.lags
        if kind == "levels":
            return rows
        found = rows - phi * rows[..., previous]
        if kind == "innovations":
            return np.where(once, found, 0.0)
        return np.where(twice, found - found[..., previous], 0.0)

    def d_phi(self, side: int, errors: Vector) -> Vector:
        """Return the derivative of what makes a side's moments by phi, (N,)."""
        kind, (previous, once, twice) = self.types[side], self.lags
        lagged = errors[previous]
        if kind == "levels":
            return np.zeros_like(errors)
        if kind == "innovations":
            return np.where(once, -lagged, 0.0)
        return np.where(twice, lagged[previous] - lagged, 0.0)

    def instruments(self, side: int, rows: Matrix, phi: float) -> Matrix:
        """Return instruments (M, N) with which errors have the moments that innovations have with rows."""
        kind, (_, once, twice) = self.types[side], self.lags
        if kind == "levels":
            return rows
        if kind == "innovations":
            kept = np.where(once, rows, 0.0)
        else:
            kept = np.where(twice, rows, 0.0)
            kept = kept - self._led(kept)
        return kept - phi * self._led(kept)

    def _led(self, rows: Matrix) -> Matrix:
        """Return L'rows: what products have in the market after."""
        led = np.zeros_like(rows)
        led[:, self.lags.previous[self.lags.once]] = rows[:, self.lags.once]
        return led


def make_differencing(
    setting: Setting, layout: Layout, types: tuple[MomentType, MomentType]
) -> Differencing | None:
    """Return what makes innovations, None where all moments are in levels.

    Raises
    ------
    ConfigurationError
        When fixed effects are absorbed, or when phi and the types of moments do not belong together.
    DataError
        When the data do not say where a product was before.
    """
    if len(setting.covariance_instruments) and set(types) != {"levels"}:
        why = "covariance moments are of xi and omega, not of innovations"
        raise ConfigurationError("GMM moment types", types, "levels with covariance moments", why)
    absorbers = (setting.demand_absorber, setting.supply_absorber)
    sides = (0, 1) if setting.supply else (0,)
    for side in sides:
        field, error = f"GMM.{('demand', 'supply')[side]}_moment_types", f"phi[{_ERRORS[side]}]"
        if types[side] == "levels":
            if side in layout.phi_moved:
                why = f"moments in levels do not depend on {error}"
                raise ConfigurationError(field, types[side], f"innovations, or no {error}", why)
        elif layout.phi0.size <= side:
            why = "innovations are what an autocorrelation leaves"
            raise ConfigurationError(field, types[side], f"'levels' without {error} in Parameters", why)
        elif absorbers[side] is not None:
            why = "absorbing averages errors over markets; write dummies C(..) into the formula"
            raise ConfigurationError(field, types[side], "'levels' with absorbed fixed effects", why)
    if all(types[side] == "levels" for side in sides):
        return None
    return Differencing(lags_of(setting.products), types)
