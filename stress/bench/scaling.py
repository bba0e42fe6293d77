"""Hogwild threads against the ceiling: what two separate processes reach at that moment.

On a shared machine two cores are seldom worth two. So the ceiling is measured, not assumed: two
processes that share nothing run the one-thread loop at once, in turn with the threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from statistics import median
from time import monotonic, sleep

from threadpoolctl import threadpool_limits

import engine
from stress.bench.measure import Ratio, ratio
from stress.bench.ours import hogwild_step, shared_parameters
from stress.bench.workloads import MLPS, Mlp, Problem
from stress.core.child import Child, Report

__all__ = ["Ceiling", "Scaling", "ceiling", "time_threads"]

ROUNDS = 5  # turns of each kind
LEAD = 0.02  # seconds between the call and the start, so that all are there in time
WARM_UP = 0.05
LIMIT = 30.0  # seconds that a child process gets beyond its turn

Rates = Callable[[Mlp, float], float]  # steps per second of all workers together


@dataclass(frozen=True, slots=True)
class Scaling:
    """Steps per second of one MLP, all workers together. Immutable.

    ``rates``: the median by kind. ``speedup``: over one thread. ``to_ceiling``: over two processes.
    """

    workload: str
    rates: dict[str, float]
    speedup: dict[str, Ratio]
    to_ceiling: dict[str, Ratio]


class Ceiling:
    """Two child processes that run the one-thread loop at once. Externally synchronised."""

    def __init__(self, children: Sequence[Child]) -> None:
        self._children = children

    def rate(self, mlp: Mlp, seconds: float) -> float:
        """Steps per second of both together."""
        turn = (mlp.name, monotonic() + LEAD, seconds)

        def call(child: Child) -> float:
            answer: float = child.call(alone, turn, seconds + LIMIT)
            return answer

        with ThreadPoolExecutor(len(self._children)) as callers:
            return sum(callers.map(call, self._children))


@contextmanager
def ceiling() -> Iterator[Ceiling]:
    """Start the two processes; end them afterwards."""
    with ExitStack() as stack:
        yield Ceiling([stack.enter_context(Child()) for _ in range(2)])


def alone(turn: tuple[str, float, float], report: Report) -> float:
    """A child's turn (workload, start, seconds): its steps per second."""
    workload, start, seconds = turn
    with threadpool_limits(1):
        return steps_per_second(private_step(workload), start, seconds)


@cache
def private_step(workload: str) -> Callable[[], None]:
    """The one-thread step of this process; made once."""
    problem = Problem(next(mlp for mlp in MLPS if mlp.name == workload))
    return hogwild_step(shared_parameters(problem), problem, "racy")


def steps_per_second(step: Callable[[], None], start: float, seconds: float) -> float:
    """Wait for the moment ``start`` of the monotonic clock, then step for so many seconds."""
    with engine.WorkerPool(0):
        sleep(max(0.0, start - monotonic()))
        begun = now = monotonic()
        steps = 0
        while now < begun + seconds:
            step()
            steps += 1
            now = monotonic()
    return steps / (now - begun)


def threads_rate(steps: Sequence[Callable[[], None]], seconds: float) -> float:
    """Steps per second of all threads together, one for each of ``steps``."""
    start = monotonic() + LEAD
    with ThreadPoolExecutor(len(steps)) as threads:
        return sum(threads.map(lambda step: steps_per_second(step, start, seconds), steps))


def time_threads(mlp: Mlp, seconds: float, processes: Ceiling) -> Scaling:
    """One thread, two racy, two locked and two processes in turn, for ``seconds`` altogether."""
    problem = Problem(mlp)
    parameters = shared_parameters(problem)
    racy = [hogwild_step(parameters, problem, "racy") for _ in range(2)]
    locked = [hogwild_step(parameters, problem, "locked") for _ in range(2)]
    kinds: dict[str, Callable[[float], float]] = {
        "1 thread": lambda turn: threads_rate(racy[:1], turn),
        "2 threads racy": lambda turn: threads_rate(racy, turn),
        "2 threads locked": lambda turn: threads_rate(locked, turn),
        "2 processes": lambda turn: processes.rate(mlp, turn),
    }
    for rate in kinds.values():
        rate(min(WARM_UP, seconds))
    turns: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(ROUNDS):
        for kind, rate in kinds.items():
            turns[kind].append(rate(seconds / ROUNDS / len(kinds)))
    return Scaling(
        mlp.name,
        {kind: median(rates) for kind, rates in turns.items()},
        {kind: ratio(turns[kind], turns["1 thread"]) for kind in kinds if kind != "1 thread"},
        {kind: ratio(turns[kind], turns["2 processes"]) for kind in kinds if "threads" in kind},
    )
