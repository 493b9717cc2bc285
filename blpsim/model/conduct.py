"""How firms set prices: which products' profits a price setter maximizes."""

from __future__ import annotations

from enum import StrEnum

import numpy as np

from blpsim.arrays import Offsets
from blpsim.errors import ConfigurationError


class Conduct(StrEnum):
    """Who sets the prices of a market, Nash against all others."""

    BERTRAND = "bertrand"
    """Each firm sets the prices of all its products."""
    SINGLE_PRODUCT = "single_product"
    """Each product sets its own price, whoever owns it."""
    MONOPOLY = "monopoly"
    """One decision maker sets all prices: a monopoly, or a cartel of all firms."""
    PERFECT_COMPETITION = "perfect_competition"
    """Prices equal marginal costs."""


def read_conduct(field: str, value: object) -> Conduct:
    """Return the conduct that a value names; anything else is a ConfigurationError of the field."""
    try:
        return Conduct(str(value) if isinstance(value, str) else "")
    except ValueError as error:
        why = "prices are set in one of these ways"
        raise ConfigurationError(field, value, f"one of {', '.join(Conduct)}", why) from error


def pricing_offsets(offsets: Offsets, conduct: Conduct) -> Offsets:
    """Return the offsets with a block for each price setter instead of each firm."""
    match conduct:
        case Conduct.SINGLE_PRODUCT:
            products = np.arange(offsets.products[-1] + 1)
            return offsets._replace(firms=offsets.products, firm_products=products)
        case Conduct.MONOPOLY:
            markets = np.arange(offsets.products.size)
            return offsets._replace(firms=markets, firm_products=offsets.products)
        case _:
            return offsets
