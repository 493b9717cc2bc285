"""Micro moments that are often matched, ready made."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from blpsim.arrays import Vector
from blpsim.model.survey_terms import ONE, Term
from blpsim.model.surveys import MicroDataset, MicroMoment, MicroPart, Product


def mean_moment(
    dataset: MicroDataset, agent: Term, value: float | None = None, first: Term = "1", name: str = ""
) -> MicroMoment:
    """Return E[y x | j != 0], the mean of an agent's term times a first choice's among those who buy."""
    label = name or f"E[{_joined(agent, first)} | j != 0]"
    total = MicroPart(f"{label}: product", dataset, agent=agent, first=first, first_outside=0.0)
    inside = MicroPart(f"{label}: j != 0", dataset, first_outside=0.0)
    return MicroMoment(label, value, parts=(total, inside), function=_ratio, gradient=_d_ratio)


def probability_moment(
    dataset: MicroDataset, agent: Term, value: float | None = None, first: Term = "1", name: str = ""
) -> MicroMoment:
    """Return P(j != 0 and x = 1 | y = 1) of indicators: one of agents, one of products."""
    label = name or f"P(j != 0, {_said(first)} | {_said(agent)})"
    both = MicroPart(f"{label}: both", dataset, agent=agent, first=first, first_outside=0.0)
    given = MicroPart(f"{label}: given", dataset, agent=agent, first_outside=1.0)
    return MicroMoment(label, value, parts=(both, given), function=_ratio, gradient=_d_ratio)


def covariance_moment(
    dataset: MicroDataset, left: Product, right: Product, value: float | None = None, name: str = ""
) -> MicroMoment:
    """Return C(a, b), the covariance of two products across all respondents."""
    label = name or f"C({_named(left)}, {_named(right)})"
    parts = _crossed(dataset, label, left, right)
    return MicroMoment(label, value, parts=parts, function=_covariance, gradient=_d_covariance)


def correlation_moment(
    dataset: MicroDataset, left: Product, right: Product, value: float | None = None, name: str = ""
) -> MicroMoment:
    """Return the correlation of two products across all respondents."""
    label = name or f"Corr({_named(left)}, {_named(right)})"
    parts = _crossed(dataset, label, left, right, {"a a": left * left, "b b": right * right})
    return MicroMoment(label, value, parts=parts, function=_correlation)


def regression_moment(
    dataset: MicroDataset, left: Product, right: Product, value: float | None = None, name: str = ""
) -> MicroMoment:
    """Return C(a, b) / C(b, b), the slope of a product on another across all respondents."""
    label = name or f"Slope({_named(left)}, {_named(right)})"
    parts = _crossed(dataset, label, left, right, {"b b": right * right})
    return MicroMoment(label, value, parts=parts, function=_slope, gradient=_d_slope)


def _crossed(
    dataset: MicroDataset,
    label: str,
    left: Product,
    right: Product,
    squares: Mapping[str, Product] = MappingProxyType({}),
) -> tuple[MicroPart, ...]:
    pairs = {"a b": left * right, "a": left, "b": right, **squares}
    return tuple(MicroPart(f"{label}: {text}", dataset, values=(each,)) for text, each in pairs.items())


def _ratio(v: Vector) -> float:
    return float(v[0] / v[1])


def _d_ratio(v: Vector) -> Vector:
    return np.array([1 / v[1], -v[0] / v[1] ** 2])


def _covariance(v: Vector) -> float:
    return float(v[0] - v[1] * v[2])


def _d_covariance(v: Vector) -> Vector:
    return np.array([1.0, -v[2], -v[1]])


def _correlation(v: Vector) -> float:
    return float((v[0] - v[1] * v[2]) / np.sqrt((v[3] - v[1] ** 2) * (v[4] - v[2] ** 2)))


def _slope(v: Vector) -> float:
    return float((v[0] - v[1] * v[2]) / (v[3] - v[2] ** 2))


def _d_slope(v: Vector) -> Vector:
    spread, slope = v[3] - v[2] ** 2, _slope(v)
    return np.asarray(np.array([1.0, -v[2], 2 * slope * v[2] - v[1], -slope]) / spread)


def _joined(*terms: Term) -> str:
    return " ".join(_said(term) for term in terms if term != ONE) or ONE


def _said(term: Term) -> str:
    return term if isinstance(term, str) else getattr(term, "__name__", "function")


def _named(product: Product) -> str:
    return _joined(product.agent, product.first, product.second)
