"""A user's own scenario and estimators, in few lines, with which a study is tested without the engine."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from blpsim.status import Status


class Estimate(NamedTuple):
    values: np.ndarray
    standard_errors: np.ndarray
    status: Status
    diagnostics: Mapping[str, float] = {}
    starts: tuple = ()
    economy: object = None


class Start(NamedTuple):
    value: np.ndarray
    estimate: np.ndarray
    objective: float
    status: Status


class Dataset(NamedTuple):
    sample: np.ndarray
    status: Status
    economy: float
    number: int
    equilibrium_residual: float = 1e-15
    outside_share: float = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Normals:
    mean: float = 1.0
    spread: float = 2.0
    size: int = 20
    fails: Mapping[int, str] = field(default_factory=dict)
    seconds: float = 0.0
    stream_key: str = "normals"

    @property
    def truth(self):
        return {"mean": self.mean, "spread": self.spread}

    def generate(self, streams):
        time.sleep(self.seconds)
        sample = self.mean + self.spread * streams.generator("sample").standard_normal(self.size)
        status = Status.CONVERGED
        match self.fails.get(streams.replication):
            case "raises":
                raise ValueError(f"replication {streams.replication} of seed {streams.seed} is cursed")
            case "exits":
                raise SystemExit(3)
            case "no equilibrium":
                status = Status.EQUILIBRIUM_FAILED
            case "kills":
                os.kill(os.getpid(), signal.SIGKILL)
        return Dataset(sample, status, float(sample.mean()), streams.replication)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mean:
    scale: float = 1.0
    fails: Mapping[int, str] = field(default_factory=dict)

    def names(self, _):
        return ("mean", "spread")

    def estimate(self, dataset, streams):
        sample, size = dataset.sample, dataset.sample.size
        values = np.array([self.scale * sample.mean(), sample.std(ddof=1)])
        errors = values[1] / np.sqrt([size, 2 * size])
        status = Status.CONVERGED
        match self.fails.get(dataset.number):
            case "raises":
                raise ArithmeticError("cannot divide 3.5e-7 by 0")
            case "wrong shape":
                values = values[:1]
            case "kills":
                os.kill(os.getpid(), signal.SIGKILL)
            case "does not converge":
                status = Status.ITERATION_LIMIT
        jitter = streams.generator("start").normal(size=(2, 2))
        starts = tuple(Start(values + step, values, float(step.sum()), status) for step in jitter)
        return Estimate(values, errors, status, {"objective": 0.25, "not recorded": 1}, starts, values[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Median:
    def names(self, _):
        return ("median",)

    def estimate(self, dataset, _):
        return Estimate(np.array([np.median(dataset.sample)]), np.array([np.nan]), Status.EVALUATED)
