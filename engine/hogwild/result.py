"""What a training run reports."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_info


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run has come. Immutable."""

    epoch: int
    epochs: int
    step: int  # steps begun in this epoch
    steps: int  # steps in an epoch
    last: EpochStats | None  # the epoch that ended last


@dataclass(frozen=True, slots=True)
class EpochStats:
    """One epoch. Immutable.

    ``loss``: the mean over examples of the loss that each step saw, before its update. ``metric``:
    what ``evaluate`` returned after the epoch, with all threads at rest. ``seconds``: of training.
    """

    epoch: int
    loss: float
    metric: float | None
    seconds: float
    steps_per_second: float


@dataclass(frozen=True, slots=True)
class TrainResult:
    """A training run. Immutable.

    ``staleness[n]``: how many steps wrote after ``n`` other steps had written since they began to
    read. ``threads``: how many worked (1 in mode ``serial``, whatever was asked for).
    """

    mode: str
    threads: int
    epochs: tuple[EpochStats, ...]
    staleness: Mapping[int, int]
    environment: Mapping[str, str]
    steps: int
    seconds: float

    @property
    def loss(self) -> float:
        """The loss of the last epoch."""
        return self.epochs[-1].loss

    @property
    def metric(self) -> float | None:
        """The metric after the last epoch."""
        return self.epochs[-1].metric

    @property
    def steps_per_second(self) -> float:
        """Steps per second of the last epoch."""
        return self.epochs[-1].steps_per_second


def environment() -> dict[str, str]:
    """What a result depends on beside its arguments, read while BLAS is capped."""
    blas = [
        f"{pool['internal_api']} {pool.get('version')}, {pool['num_threads']} thread"
        for pool in threadpool_info()
        if pool["user_api"] == "blas"
    ]
    gil = getattr(sys, "_is_gil_enabled", lambda: True)()
    return {
        "python": f"{platform.python_version()}, GIL {'on' if gil else 'off'}",
        "numpy": np.__version__,
        "blas": "; ".join(blas) or "none found",
        "cores": str(os.cpu_count()),
        "platform": platform.platform(),
    }
