"""Which runs there are to make, and making them, one after the other, in a child process."""

from __future__ import annotations

import re
from collections.abc import Sequence
from random import Random
from time import monotonic

from stress.core.child import Child
from stress.core.job import Job, isolated
from stress.core.result import Result
from stress.core.runner import Budget
from stress.core.scenario import Params, Scenario
from stress.report.terminal import Progress

__all__ = ["GIL_EDGE", "plan", "run_all"]

SOURCE = "stress.scenarios"
GIL_EDGE = 501  # where builds without a GIL have no edge to be probed: NumPy's, with one


def plan(
    scenarios: Sequence[Scenario],
    *,
    pattern: re.Pattern[str],
    modes: Sequence[str],
    threads: int,
    seconds: float,
    seed: int,
    edge: int | None,
) -> list[Job]:
    """A job for each scenario that ``pattern`` finds, in each mode that applies, for each size.

    ``edge``: the smallest array size at which NumPy lets go of the GIL.
    """
    budget = Budget(seconds, patience=max(10.0, 10 * seconds))
    return [
        Job(SOURCE, scenario.name, Params(mode, threads, size, seed=seed), budget)
        for scenario in scenarios
        if pattern.search(scenario.name)
        for mode in scenario.modes
        if mode in modes
        for size in scenario.sizes(edge or GIL_EDGE)
    ]


def run_all(jobs: Sequence[Job], child: Child, seed: int, progress: Progress) -> list[Result]:
    """Run ``jobs`` in an order drawn from ``seed``; the results come in the order of ``jobs``.

    The order is shuffled so that no scenario always runs on what another has left warm.
    """
    order = list(range(len(jobs)))
    Random(seed).shuffle(order)
    results: dict[int, Result] = {}
    for index in order:
        results[index] = follow(jobs[index], child, progress)
    return [results[index] for index in range(len(jobs))]


def follow(job: Job, child: Child, progress: Progress) -> Result:
    """Run one job and show how it goes."""
    params, began = job.params, monotonic()
    progress.begin(f"{job.scenario} {params.mode} {params.size:,}")

    def update(samples: int) -> None:
        seconds = monotonic() - began
        progress.update(seconds / job.budget.seconds, f"{samples / seconds:,.0f} samples/s")

    return isolated(child, job, update)
