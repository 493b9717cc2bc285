"""Table B2 of Conlon and Gortmaker (2020) beside a smaller reproduction, with errors and z."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from .table5 import KEYS, MEASURES, PARAMETERS

PUBLISHED = Path(__file__).with_name("table_b2.csv")
REPLICATIONS = 1_000
RULES = {
    "Monte Carlo": "monte carlo",
    "MLHS": "mlhs",
    "Halton": "halton",
    "Importance": "importance",
    "Product Rule": "product",
}


def published() -> pd.DataFrame:
    """Return the published cells, a row a number, named as blpsim names them."""
    table = pd.read_csv(PUBLISHED, thousands=",")
    side, size = table["supply"].map({"No": "demand", "Yes": "supply"}), table["I_t"].astype(str)
    named = pd.DataFrame(
        {
            "scenario": table["simulation"].str.lower(),
            "estimator": side + "/" + table["integration"].map(RULES) + " " + size,
            "parameter": table["param"].map(PARAMETERS),
            "median_bias": table["median_bias"],
            "median_absolute_error": table["mae"],
        }
    )
    return named.melt(KEYS[:3], var_name="measure", value_name="published")


def compared(summary: pd.DataFrame) -> pd.DataFrame:
    """Return published and reproduced numbers, the latter's error, and z.

    The published number's error is taken to be the reproduction's, scaled to 1,000 replications.
    """
    ours = summary[summary["measure"].isin(MEASURES.values())]
    table = published().merge(ours[[*KEYS, "value", "mcse", "used", "attempted"]], on=KEYS, how="left")
    error = table["mcse"] * np.sqrt(1 + table["attempted"] / REPLICATIONS)
    table["z"] = (table["value"] - table["published"]) / error
    return table
