"""What a random problem exercises: drawn first, as plain choices."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

PRICE_TERMS = ("prices", "I(-prices)", "log(prices)", "x:prices")
MOMENTS = ("robust", "clustered", "unadjusted")
COST_TERMS = ("shares", "log(shares)", "x:shares")
MOMENT_TYPES = ("levels", "innovations", "differenced_innovations")


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """The choices that make a problem."""

    supply: bool
    log_costs: bool
    linear: tuple[str, ...]
    """Columns of X1 in the order of the formula, without the constant."""
    nonlinear: tuple[str, ...]
    """Columns of X2 in the order of the formula, a constant first; none: plain logit."""
    rc_types: tuple[str, ...]
    """Types of the random coefficients, not all linear; none: all are."""
    full_sigma: bool
    dropped_sigma: bool
    """The last random coefficient has no node: its row and column of sigma are zero."""
    demographics: tuple[str, ...]
    demand_effects: tuple[str, ...]
    supply_effects: tuple[str, ...]
    product_rule: bool
    """Nodes are those of a rule, not the agents' own."""
    rule: str
    """Which, by PyBLP's name."""
    method: str
    weights: str
    errors: str
    centered: bool
    scaled: bool
    updated: bool
    """The weighting matrix is updated at the start."""
    given_weights: bool
    given_linear: bool
    """Some exogenous linear coefficients are parameters of the optimizer."""
    bounded_costs: bool
    nests: str
    """Whether products are in nests: "" or "common" or "apart", as their rho is."""
    ownership: str
    """Whose profits price setters have in mind: "" their firm's, "partial" or "asymmetric" others' too."""
    epsilon_scale: float
    covariances: int
    """Number of covariance instruments."""
    by_product: tuple[str, ...]
    """Demographics that differ by product."""
    availability: str
    """Which products agents can choose: "" all, "some" of them, or odds are "scaled" too."""
    string_ids: bool
    shuffled: bool
    cost_term: str = ""
    """A column of X3 with shares, which costs depend on; none: they do not."""
    moment_types: tuple[str, ...] = ()
    """What moments are of, demand's and supply's, by PyBLP's names; none: levels."""
    sampled: bool = False
    """Agents are those of importance sampling at the start."""

    def is_differenced(self, side: int) -> bool:
        """Return whether moments of demand (0) or supply (1) are of differences, which no constant is in."""
        return self.moment_types[side : side + 1] == ("differenced_innovations",)

    def labels(self) -> tuple[str, ...]:
        """Return short names for a table by feature."""
        coefficients = "full sigma" if self.full_sigma else "diagonal sigma"
        nodes = self.rule.replace("_", " ") + " rule" if self.product_rule else "own nodes"
        chosen = [
            "supply" if self.supply else "demand only",
            "log costs" if self.log_costs else "linear costs" if self.supply else "",
            coefficients if self.nonlinear else "logit",
            *(f"{rc_type} coefficient" for rc_type in ("log", "logit") if rc_type in self.rc_types),
            "no price in X1" if not any("prices" in name for name in self.linear) else "",
            "sigma without a node" if self.dropped_sigma else "",
            f"{len(self.demographics)} demographics" if self.demographics else "",
            f"{len(self.demand_effects)} effects, demand" if self.demand_effects else "",
            f"{len(self.supply_effects)} effects, supply" if self.supply_effects else "",
            nodes if self.nonlinear else "",
            "two steps" if self.method == "2s" else "one step",
            f"W {self.weights}",
            f"se {self.errors}",
            "centred" if self.centered else "not centred",
            "" if self.scaled else "not scaled",
            "initial update" if self.updated else "",
            "given W" if self.given_weights else "",
            "given linear" if self.given_linear else "",
            "bounded costs" if self.bounded_costs else "",
            f"{self.nests} rho" if self.nests else "",
            f"{self.ownership} ownership" if self.ownership else "",
            "covariance moments" if self.covariances else "",
            "scaled epsilon" if self.epsilon_scale != 1 else "",
            f"{self.cost_term} in costs" if self.cost_term else "",
            *(
                f"{kind.replace('_', ' ')}, {side}"
                for kind, side in zip(self.moment_types, ("demand", "supply"), strict=False)
                if kind != "levels"
            ),
            "sampled agents" if self.sampled else "",
            "demographic by product" if self.by_product else "",
            f"{self.availability} availability" if self.availability else "",
        ]
        used = (*self.linear, *self.nonlinear)
        return (*filter(None, chosen), *(term for term in PRICE_TERMS[1:] if term in used))


def draw_features(
    generator: np.random.Generator,
    owners: np.random.Generator | None,
    crossing: np.random.Generator | None,
    pairs: np.random.Generator | None,
    *,
    nested: bool,
    ruled: bool,
) -> Features:
    """Return random choices; rare ones are drawn often enough to appear in forty problems.

    owners    draws whether firms have others' profits in mind; None: they do not
    crossing  draws whether there are covariance moments; None: there are none
    pairs     draws what differs by agent and product; None: nothing does
    nested    whether products may be in nests
    ruled     whether rules may be others than the product rule
    """

    def often(probability: float) -> bool:
        return bool(generator.uniform() < probability)

    supply = often(0.6)
    nonlinear = () if often(0.1) else _nonlinear(generator)
    rc_types = _rc_types(len(nonlinear), generator.spawn(1)[0])
    dropped = len(nonlinear) > 1 and often(0.2)
    number = int(generator.choice([1, 2])) if nonlinear and (dropped or often(0.5)) else 0
    rules = generator.spawn(1)[0]
    nests = _nests(generator.spawn(1)[0]) if nested else ""
    demographics = ("income", "age")[:number]
    by_product, availability = _differing(pairs, demographics) if pairs and nonlinear else ((), "")
    smooth = number == 0 and "log" not in rc_types and not nests and not availability
    return Features(
        supply=supply,
        log_costs=supply and often(0.5),
        linear=_without_prices(_linear(generator, supply), dict(zip(nonlinear, rc_types, strict=False))),
        nonlinear=nonlinear,
        rc_types=rc_types,
        full_sigma=len(nonlinear) > 1 + dropped and often(0.5),
        dropped_sigma=dropped,
        demographics=demographics,
        demand_effects=_effects(generator),
        supply_effects=_effects(generator) if supply else (),
        product_rule=bool(nonlinear) and not dropped and often(0.4),
        rule=_rule(rules, smooth) if ruled else "product",
        method=str(generator.choice(["1s", "2s"])),
        weights=str(generator.choice(MOMENTS)),
        errors=str(generator.choice(MOMENTS)),
        centered=often(0.6),
        scaled=often(0.75),
        updated=often(0.2),
        given_weights=often(0.25),
        given_linear=often(0.25),
        bounded_costs=supply and often(0.3) and not crossing,
        nests=nests,
        ownership=str(owners.choice(["", "partial", "asymmetric"])) if owners and supply else "",
        epsilon_scale=_epsilon_scale(generator.spawn(1)[0]) if ruled and not nested else 1.0,
        covariances=int(crossing.choice([1, 2])) if crossing and supply else 0,
        by_product=by_product,
        availability=availability,
        string_ids=often(0.5),
        shuffled=often(0.6),
    )


def with_later(features: Features, seed: int, generator: np.random.Generator) -> Features:
    """Return the choices with those that came later: costs by quantity, innovations, sampled agents.

    The problems that tests name by their seed are of none but the last, and every fifth day's problem, of
    which optimal instruments are computed, has no innovations. Those do without fixed effects, as in PyBLP.
    """
    terms, kinds, samples = generator.spawn(3)
    sampled = bool(features.nonlinear) and not features.product_rule and samples.uniform() < 0.3
    scaled = features.product_rule and features.availability
    found = replace(features, sampled=sampled, availability="scaled" if scaled else features.availability)
    if seed % 10 in (0, 3, 8) and features.supply and terms.uniform() < 0.6:
        found = replace(found, cost_term=str(terms.choice(COST_TERMS)))
    if seed % 10 in (3, 8):
        types = tuple(kinds.choice(MOMENT_TYPES, 1 + features.supply, p=[0.2, 0.5, 0.3]).tolist())
        if set(types) != {"levels"}:
            found = replace(found, moment_types=types, demand_effects=(), supply_effects=())
    return found


def _differing(generator: np.random.Generator, demographics: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
    """Return demographics that differ by product, and what is said of availability."""
    differ = demographics[: generator.integers(1, 3)] if generator.uniform() < 0.7 else ()
    return differ, str(generator.choice(["", "some", "scaled"]))


def _rule(generator: np.random.Generator, smooth: bool) -> str:
    """Return a rule; no grid where its negative weights can turn shares negative."""
    names = ["product", "nested_product", *(["nested_grid", "grid"] if smooth else [])]
    return str(generator.choice(names))


def _linear(generator: np.random.Generator, supply: bool) -> tuple[str, ...]:
    """Two price terms come with a supply side, which gives both: concentrated out, they are collinear."""
    columns = ["prices", "x", "y"][: generator.integers(1, 4)]
    if generator.uniform() < 0.2 and supply:
        columns.append(str(generator.choice(["x:prices", "log(prices)"])))
    return tuple(generator.permutation(columns).tolist())


def _nonlinear(generator: np.random.Generator) -> tuple[str, ...]:
    price = str(generator.choice(PRICE_TERMS, p=[0.4, 0.2, 0.2, 0.2]))
    pool = ["1", "x", "y", price]
    number = generator.choice([1, 2, 3], p=[0.3, 0.4, 0.3])
    chosen = [pool[i] for i in generator.permutation(4)[:number]]
    return tuple(sorted(chosen, key=lambda name: name != "1"))


def _nests(generator: np.random.Generator) -> str:
    return str(generator.choice(["", "common", "apart"], p=[0.5, 0.25, 0.25]))


def _epsilon_scale(generator: np.random.Generator) -> float:
    """Return a scale, one in three of the problems that are without nests, as PyBLP's are."""
    return float(generator.uniform(0.6, 1.5)) if generator.uniform() < 0.3 else 1.0


def _rc_types(number: int, generator: np.random.Generator) -> tuple[str, ...]:
    """Return types from a stream of their own, in three of ten problems."""
    if generator.uniform() > 0.3:
        return ()
    types = tuple(generator.choice(["linear", "log", "logit"], number, p=[0.2, 0.5, 0.3]).tolist())
    return types if set(types) > {"linear"} or "linear" not in types else ()


def _without_prices(linear: tuple[str, ...], types: dict[str, str]) -> tuple[str, ...]:
    """Return X1 without prices where a lognormal coefficient on their negative makes demand slope down."""
    others = tuple(name for name in linear if name != "prices")
    plain = bool(others) and not any("prices" in name for name in others)
    return others if plain and types.get("I(-prices)") == "log" else linear


def _effects(generator: np.random.Generator) -> tuple[str, ...]:
    return ("brand", "region")[: generator.choice([0, 1, 2], p=[0.5, 0.3, 0.2])]
