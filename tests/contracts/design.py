"""A design file as a user writes one, with a scenario and estimators of the user's own."""

import blpsim as bs
from tests.study.toys import Mean, Median, Normals


def squared(economy):
    return economy**2


design = bs.Design(
    name="toy",
    seed=2020,
    replications=60,
    scenarios={
        **bs.vary(Normals(seconds=0.003), {"mean": (0.0, 1.0)}),
        "cursed": Normals(fails={3: "raises", 50: "no equilibrium"}, stream_key="cursed"),
    },
    estimators={"mean": Mean(fails={7: "raises", 8: "does not converge"}), "robust/median": Median()},
    estimands={"squared": squared},
)
