"""Labelled datasets as a published store has them, filled with whatever a test needs."""

import numpy as np
import xarray as xr

from blpsim.status import Status

DIMS = ("scenario", "estimator", "replication", "parameter")
FLAGS = {
    "flag_values": [int(status) for status in Status],
    "flag_meanings": " ".join(status.meaning for status in Status),
}


def results(estimate, standard_error=1.0, truth=0.0, status=Status.CONVERGED, **names):
    """A dataset from arrays that broadcast to (scenario, estimator, replication, parameter) or its parts."""
    estimate = np.asarray(estimate, float)
    shape = estimate.shape
    variables = {
        "estimate": (DIMS, estimate),
        "standard_error": (DIMS, np.broadcast_to(np.asarray(standard_error, float), shape).copy()),
        "truth": (
            ("scenario", "replication", "parameter"),
            np.broadcast_to(np.asarray(truth, float), (shape[0], *shape[2:])).copy(),
        ),
        "status": (DIMS[:3], np.broadcast_to(np.asarray(status, np.int8), shape[:3]).copy(), FLAGS),
    }
    labels = {
        "scenario": names.get("scenario", [f"s{k}" for k in range(shape[0])]),
        "estimator": names.get("estimator", [f"e{k}" for k in range(shape[1])]),
        "parameter": names.get("parameter", [f"beta[x{k}]" for k in range(shape[3])]),
    }
    coords = {name: np.array(values, dtype=object) for name, values in labels.items()}
    return xr.Dataset(variables, coords | {"replication": np.arange(shape[2])}, {"title": "made", "seed": 7})


def column(*values):
    """One scenario, estimator and parameter, a value a replication."""
    return np.array(values, float).reshape(1, 1, -1, 1)


def number(summary, measure, variable="value", **where):
    """One number of a summary of one cell, or of the cell that is named."""
    return summary.dataset[variable].sel(measure=measure, **where).squeeze().item()
