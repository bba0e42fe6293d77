"""Hogwild threads against the ceiling: what two separate processes reach at that moment.

On a shared machine two cores are seldom worth two. So the ceiling is measured, not assumed: two
processes that share nothing run the one-thread loop at once, in turn with the threads. Threads and
processes start by the same clock and are counted by the same loop.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from statistics import median
from time import monotonic, sleep

from threadpoolctl import threadpool_limits

import engine
from stress.bench.measure import Ratio, ratio
from stress.bench.ours import Mode, hogwild_step, shared_parameters
from stress.bench.workloads import Mlp, Problem
from stress.core.child import Child, Report

__all__ = ["CEILING", "Scaling", "Turn", "steps_per_second", "threads_rate", "time_threads"]

ROUNDS = 5  # turns of each kind
LEAD = 0.02  # seconds between the call and the start, so that all are there in time
WARM_UP = 0.05
LIMIT = 30.0  # seconds that a child gets beyond its turn

CEILING = "2 processes"
KINDS: dict[str, tuple[int, int, Mode]] = {  # processes, threads in each, how they update
    "1 thread": (1, 1, "racy"),
    "2 racy": (1, 2, "racy"),
    "2 locked": (1, 2, "locked"),
    CEILING: (2, 1, "racy"),
}


@dataclass(frozen=True, slots=True)
class Scaling:
    """Steps per second of one MLP, all workers together. Immutable.

    ``rates``: the median by kind; ``2 racy`` and ``2 locked`` are threads on shared parameters.
    ``speedup``: over one thread. ``to_ceiling``: over two processes.
    """

    workload: str
    rates: dict[str, float]
    speedup: dict[str, Ratio]
    to_ceiling: dict[str, Ratio]


@dataclass(frozen=True, slots=True)
class Turn:
    """What one process is to do from ``start`` (of the monotonic clock) on. Immutable."""

    mlp: Mlp
    threads: int
    mode: Mode
    start: float
    seconds: float


def time_threads(mlp: Mlp, seconds: float) -> Scaling:
    """All kinds in turn, in fresh processes, for ``seconds`` altogether."""
    rates: dict[str, list[float]] = {kind: [] for kind in KINDS}
    with ExitStack() as stack:
        children = [stack.enter_context(Child()) for _ in range(2)]
        for processes, threads, mode in KINDS.values():
            rate(children[:processes], mlp, threads, mode, min(WARM_UP, seconds))
        for _ in range(ROUNDS):
            for kind, (processes, threads, mode) in KINDS.items():
                turn = seconds / ROUNDS / len(KINDS)
                rates[kind].append(rate(children[:processes], mlp, threads, mode, turn))
    return Scaling(
        mlp.name,
        {kind: median(turns) for kind, turns in rates.items()},
        {kind: ratio(rates[kind], rates["1 thread"]) for kind in KINDS if kind != "1 thread"},
        {kind: ratio(rates[kind], rates[CEILING]) for kind in ("2 racy", "2 locked")},
    )


def rate(children: Sequence[Child], mlp: Mlp, threads: int, mode: Mode, seconds: float) -> float:
    """Steps per second of so many threads in each of the children, all together."""
    turn = Turn(mlp, threads, mode, monotonic() + LEAD, seconds)

    def call(child: Child) -> float:
        return child.call(perform, turn, seconds + LIMIT)

    with ThreadPoolExecutor(len(children)) as callers:
        return sum(callers.map(call, children))


def perform(turn: Turn, report: Report) -> float:
    """A child's turn: the steps per second of its threads."""
    steps = [shared_step(turn.mlp, turn.mode)] * turn.threads
    with threadpool_limits(1):
        return threads_rate(steps, turn.start, turn.seconds)


@cache
def shared_step(mlp: Mlp, mode: Mode) -> Callable[[], None]:
    """The step on this process's shared parameters, which any number of threads may run at once."""
    problem = Problem(mlp)
    return hogwild_step(shared_parameters(problem), problem, mode)


def threads_rate(steps: Sequence[Callable[[], None]], start: float, seconds: float) -> float:
    """Steps per second of all threads together, one for each of ``steps``."""
    with ThreadPoolExecutor(len(steps)) as threads:
        return sum(threads.map(lambda step: steps_per_second(step, start, seconds), steps))


def steps_per_second(step: Callable[[], None], start: float, seconds: float) -> float:
    """Wait for the moment ``start``, then step for so many seconds."""
    with engine.WorkerPool(0):
        sleep(max(0.0, start - monotonic()))
        begun = now = monotonic()
        steps = 0
        while now < begun + seconds:
            step()
            steps += 1
            now = monotonic()
    return steps / (now - begun)
