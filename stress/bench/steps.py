"""The training step at one thread: the engine, hand-written NumPy and PyTorch, in turn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median

from threadpoolctl import threadpool_limits

import engine
from stress.bench.by_hand import numpy_step
from stress.bench.measure import Ratio, alternate, ratio
from stress.bench.ours import engine_step
from stress.bench.torch_peer import torch_installed, torch_step
from stress.bench.workloads import Mlp, Problem, Step
from stress.core.child import Child, Report

__all__ = ["Disagreement", "StepTimes", "agree", "contestants", "time_here", "time_step"]

COMPARISONS = (("engine", "PyTorch"), ("engine", "NumPy"), ("NumPy", "PyTorch"))
STEPS = 10  # how many steps the contestants take before their losses must agree
TOLERANCE = 1e-4
LIMIT = 60.0  # seconds that a child gets beyond its measurement, to import PyTorch, say


class Disagreement(Exception):
    """Contestants that start alike do not compute the same: their times mean nothing."""


@dataclass(frozen=True, slots=True)
class StepTimes:
    """What one MLP took. Immutable.

    ``seconds``: median per step by contestant. ``ratios["a vs b"]``: how many times faster a is.
    """

    workload: str
    parameters: int
    seconds: dict[str, float]
    ratios: dict[str, Ratio]


def contestants(problem: Problem) -> dict[str, Step]:
    """All who are here, each with its own copy of the parameters."""
    steps = {"engine": engine_step(problem), "NumPy": numpy_step(problem)}
    if torch_installed():
        steps["PyTorch"] = torch_step(problem)
    return steps


def time_step(mlp: Mlp, seconds: float) -> StepTimes:
    """Time all contestants for ``seconds`` altogether, in a fresh process of their own.

    What ran before (memory that the allocator kept, imports) cannot tell then. Raises
    ``Disagreement``.
    """
    with Child() as child:
        answer = child.call(perform, (mlp, seconds), seconds + LIMIT)
    if isinstance(answer, Disagreement):
        raise answer
    return answer


def perform(task: tuple[Mlp, float], report: Report) -> StepTimes | Disagreement:
    """The child's part: an error that is a finding is sent, not raised."""
    try:
        return time_here(*task)
    except Disagreement as disagreement:
        return disagreement


def time_here(mlp: Mlp, seconds: float) -> StepTimes:
    """Time all contestants in this process. Raises ``Disagreement``."""
    steps = contestants(Problem(mlp))
    with threadpool_limits(1), engine.WorkerPool(0):
        agree(mlp.name, steps)
        blocks = alternate(steps, seconds)
    ratios = {
        f"{a} vs {b}": ratio(blocks[b], blocks[a])
        for a, b in COMPARISONS
        if a in blocks and b in blocks
    }
    medians = {name: median(times) for name, times in blocks.items()}
    return StepTimes(mlp.name, mlp.parameters, medians, ratios)


def agree(workload: str, steps: Mapping[str, Step]) -> None:
    """Take the first ``STEPS`` steps and compare the losses. Raises ``Disagreement``."""
    losses = {}
    for name, step in steps.items():
        for _ in range(STEPS):
            loss = step()
        losses[name] = float(loss.item())
    low, high = min(losses.values()), max(losses.values())
    if not high - low <= TOLERANCE * abs(high):  # so written, a NaN disagrees too
        listed = ", ".join(f"{name} {value:.7g}" for name, value in losses.items())
        raise Disagreement(f"{workload}: losses differ after {STEPS} steps: {listed}")
