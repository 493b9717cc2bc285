"""Compare micro moments with PyBLP's on random problems: ``python -m tests.parity.micro --number 150``."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyblp
from numpy.typing import NDArray

import blpsim as bs

from .__main__ import print_table
from .case import Case
from .compare import TOLERANCE, distance, flat, with_phi_earlier
from .own import own_gmm, own_parameters, own_problem
from .peer import peer_problem
from .problems import random_case

Array = NDArray[Any]


REFUSED = ("by product", "availability", "covariance moments")
"""Features that problems with micro moments do not have."""
LARGEST_OF_ARRAYS = 150
"""Products of problems in which functions return whole arrays, at times."""


@dataclasses.dataclass(frozen=True)
class Survey:
    """A survey in both packages' words."""

    ours: bs.MicroDataset
    theirs: pyblp.MicroDataset
    features: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class MicroCase:
    """A problem with micro moments."""

    case: Case
    ours: tuple[bs.MicroMoment, ...]
    theirs: tuple[pyblp.MicroMoment, ...]
    covariances: Array | None
    features: tuple[str, ...]


class Drawn:
    """Draws surveys and parts of one problem."""

    def __init__(self, case: Case, generator: np.random.Generator) -> None:
        self.case, self.generator = case, generator
        self.markets = case.products["market_ids"]
        self.columns = ("x", "prices", "1")
        formulated = case.model.get("demographics")
        self.demographics = [] if formulated is None else [t.strip() for t in formulated.split("+")][1:]
        self.arrays = bool(
            case.products["shares"].size < LARGEST_OF_ARRAYS and generator.spawn(1)[0].uniform() < 0.5
        )
        self.people = [*self.demographics, *(["nodes0"] if "nonlinear" in case.model else []), "1"]

    def at(self, column: str, market: Any) -> Array:
        """Return a column of a market's products."""
        rows = self.markets == market
        return np.ones(rows.sum()) if column == "1" else self.case.products[column][rows].astype(float)

    def of_agents(self, column: str, agents: Any) -> Array:
        """Return a column of PyBLP's agents."""
        if column == "1":
            return np.ones(agents.weights.size)
        if column == "nodes0":
            return np.asarray(agents.nodes[:, 0]).ravel()
        return np.asarray(agents.demographics[:, self.demographics.index(column)]).ravel()

    def survey(self, number: int, second: bool) -> Survey:
        """Return a random survey."""
        generator = self.generator
        kinds = ["inside", "everyone", "second outside"]
        kind = generator.choice(kinds if second else kinds[:2])
        grouped = second and generator.uniform() < 0.4
        known = np.unique(self.markets)
        few = generator.uniform() < 0.3
        chosen = generator.choice(known, max(1, known.size // 2), replace=False) if few else None
        observations = int(generator.integers(200, 2_000))

        def weights(_: Any, products: Any, agents: Any) -> Array:
            size = products.shares.size
            shape = (agents.weights.size, size + 1, size + 1)[: 3 if second else 2]
            found = np.ones(shape)
            if kind != "everyone":
                found[:, 0] = 0
            if kind == "inside" and second:
                found[:, :, 0] = 0
            return found

        name = f"survey {number}"
        asked = bs.Everyone() if kind == "everyone" else bs.Inside(second_outside=kind == "second outside")
        names = None if chosen is None else list(chosen)
        ours = bs.MicroDataset(
            name,
            observations=observations,
            weights=asked,
            second_choices=second,
            markets=names,
            without="product_ids" if grouped else None,
        )
        theirs = pyblp.MicroDataset(name, observations, weights, 0 if grouped else None, names)
        features = ("second choices" if second else "first choices", str(kind))
        features += (("few markets",) if few else ()) + (("groups",) if grouped else ())
        return Survey(ours, theirs, features)

    def part(self, survey: Survey, number: int) -> tuple[bs.MicroPart, pyblp.MicroPart]:
        """Return a random part in both packages' words: a product, a sum, or a function."""
        generator, second = self.generator, survey.ours.second_choices
        products = []
        for _ in range(int(generator.integers(1, 3))):
            outside = generator.normal(size=2)
            products.append(
                bs.Product(
                    agent=str(generator.choice(self.people)),
                    first=str(generator.choice(self.columns if products else self.columns[:2])),
                    second=str(generator.choice(self.columns)) if second else "1",
                    first_outside=float(outside[0]),
                    second_outside=float(outside[1]) if second else None,
                )
            )

        def values(t: Any, _: Any, agents: Any) -> Array:
            total = 0.0
            for each in products:
                first, other = each.outside
                x, z = np.r_[first, self.at(each.first, t)], np.r_[other, self.at(each.second, t)]
                y = self.of_agents(each.agent, agents)
                total += np.einsum("i,j,k->ijk", y, x, z) if second else np.outer(y, x)
            return total

        def own_values(_: Any, columns: Any, people: Any) -> Array:
            size, shape = people["weights"].size, (people["weights"].size, columns["shares"].size + 1)
            total = np.zeros((*shape, shape[1]) if second else shape)
            columns = {**columns, "1": np.ones(shape[1] - 1)}
            for each in products:
                first, other = each.outside
                x, z = np.r_[first, columns[each.first]], np.r_[other, columns[each.second]]
                y = np.ones(size) if each.agent == "1" else people[each.agent]
                total += np.einsum("i,j,k->ijk", y, x, z) if second else np.outer(y, x)
            return total

        name = f"{survey.ours.name}, part {number}"
        ours = bs.MicroPart(name, survey.ours, values=own_values if self.arrays else tuple(products))
        return ours, pyblp.MicroPart(name, survey.theirs, values)


FUNCTIONS: dict[str, tuple[int, Callable[..., Any], Callable[..., Any]]] = {
    "ratio": (2, lambda v: v[0] / (3 + v[1]), lambda v: np.array([1 / (3 + v[1]), -v[0] / (3 + v[1]) ** 2])),
    "covariance": (3, lambda v: v[0] - v[1] * v[2], lambda v: np.array([1.0, -v[2], -v[1]])),
}


def suitable_case(seed: int) -> Case:
    """Return the problem of the seed, or of a later one where it has what micro moments are refused with."""
    case = random_case(seed)
    while any(word in feature for feature in case.features for word in REFUSED):
        seed += 10_000
        case = random_case(seed)
    return case


def random_micro(seed: int) -> MicroCase:
    """Return the problem of this seed with random micro moments."""
    case = suitable_case(seed)
    generator = np.random.default_rng([20250401, seed])
    if case.agents is None or case.nodes is not None:
        case = with_positive_weights(case)
    options = {name: value for name, value in case.options.items() if name not in ("W", "initial_update")}
    case = dataclasses.replace(case, options=options, products=with_groups(case.products, generator))
    drawn = Drawn(case, generator)
    surveys = [drawn.survey(n, bool(generator.uniform() < 0.5)) for n in range(int(generator.integers(1, 4)))]
    ours, theirs, features = [], [], {feature for survey in surveys for feature in survey.features}
    for n, survey in enumerate(surveys):
        for m in range(int(generator.integers(1, 3))):
            kind = str(generator.choice(["mean", *FUNCTIONS]))
            size, function, gradient = FUNCTIONS.get(kind, (1, None, None))
            parts = [drawn.part(survey, 10 * m + p) for p in range(size)]
            name, value = f"moment {n} {m}", float(generator.normal())
            given = None if generator.uniform() < 0.5 else gradient
            own, other = [p for p, _ in parts], [p for _, p in parts]
            ours.append(bs.MicroMoment(name, value, parts=own, function=function, gradient=given))
            rest = {} if function is None else {"compute_value": function, "compute_gradient": gradient}
            theirs.append(pyblp.MicroMoment(name, value, other if rest else other[0], **rest))
            features.add(kind)
    covariances = None
    if generator.uniform() < 0.3:
        root = generator.normal(size=(len(ours),) * 2)
        covariances = (root @ root.T + np.eye(len(ours))) / 1000
        features.add("given covariances")
    features |= {"arrays"} if drawn.arrays else set()
    features |= set(case.features) & {"supply", "demand only", "other ownership", "common rho", "apart rho"}
    return MicroCase(case, tuple(ours), tuple(theirs), covariances, tuple(sorted(features)))


def with_positive_weights(case: Case) -> Case:
    """Return the case with a product rule: PyBLP cuts off at zero what has a weight below zero."""
    if case.nodes is None or case.rule == "product":
        return case
    agents = {name: rows for name, rows in (case.agents or {}).items() if "availability" not in name}
    return dataclasses.replace(case, rule="product", nodes=3, agents=agents or None)


def with_groups(products: Mapping[str, Array], generator: np.random.Generator) -> dict[str, Array]:
    """Return products with ids of groups, each within a nest."""
    ids = generator.integers(0, 3, products["shares"].size)
    if "nesting_ids" in products:
        ids = ids + 3 * np.unique(products["nesting_ids"], return_inverse=True)[1].ravel()
    return {**products, "product_ids": ids}


def own_result(micro: MicroCase, **options: Any) -> Any:
    """Return blpsim's result at the start."""
    gmm = dataclasses.replace(
        own_gmm(micro.case),
        micro_moments=micro.ours,
        micro_sample_covariances=micro.covariances,
        **options,
    )
    return own_problem(micro.case).solve(own_parameters(micro.case), gmm)


def peer_result(micro: MicroCase) -> Any:
    """Return PyBLP's."""
    case = micro.case
    parameters = {name: np.array(value) for name, value in case.parameters.items()}
    if "phi" in parameters:
        parameters["phi"] = np.diag(parameters["phi"])
    return peer_problem(case).solve(
        **parameters,
        **{f"{name}_bounds": pair for name, pair in case.bounds.items()},
        **case.options,
        micro_moments=micro.theirs,
        micro_sample_covariances=micro.covariances,
        optimization=pyblp.Optimization("return"),
        check_optimality="gradient",
    )


def micro_differences(micro: MicroCase) -> dict[str, float]:
    """Return the relative difference of every quantity."""
    ours, theirs = own_result(micro), peer_result(micro)
    case, bound = micro.case, ours.origin.layout
    moved, gradient = bound.theta_positions, ours.gradient
    if "phi" in case.parameters:
        innovative = int(np.count_nonzero(case.parameters["phi"]))
        moved, gradient = (with_phi_earlier(each, case, innovative) for each in (moved, gradient))
    order = np.concatenate((moved, bound.concentrated_positions)).astype(int)
    size = len(micro.ours)
    names = [name for name in ("beta", "sigma", "pi", "rho", "gamma") if name in case.parameters]
    pairs = {
        "values": (ours.micro_values, flat(theirs.micro_values)),
        "objective": (flat(ours.objective), flat(theirs.objective)),
        "gradient": (gradient, flat(theirs.gradient)),
        "W": (ours.W, theirs.W),
        "W micro": (ours.W[-size:, -size:], theirs.W[-size:, -size:]),
        "S micro": (ours.moments_covariances[-size:, -size:], theirs.micro_covariances * ours.delta.size),
        "G": (ours.moments_jacobian[:, order], theirs.moments_jacobian),
        "errors": (
            np.concatenate([flat(getattr(ours.standard_errors, name)) for name in names]),
            np.concatenate([flat(getattr(theirs, f"{name}_se")) for name in names]),
        ),
    }
    return {name: distance(own, their) for name, (own, their) in pairs.items()}


def main() -> int:
    """Print a table by feature; return 1 when any difference is too large."""
    parser = argparse.ArgumentParser(prog="python -m tests.parity.micro", description=__doc__)
    parser.add_argument("--number", type=int, default=150, help="how many problems")
    parser.add_argument("--first", type=int, default=0, help="seed of the first")
    chosen = parser.parse_args()
    rows: dict[str, list[dict[str, float]]] = defaultdict(list)
    failed = 0
    for seed in range(chosen.first, chosen.first + chosen.number):
        micro = random_micro(seed)
        found = micro_differences(micro)
        for feature in ("all", *micro.features):
            rows[feature].append(found)
        if bad := {name: value for name, value in found.items() if not value <= TOLERANCE}:
            failed += 1
            print(f"seed {seed}: {bad} ({', '.join(micro.features)})", flush=True)
    print_table(rows)
    print(f"\n{chosen.number} problems, {failed} with a difference above the tolerance")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
