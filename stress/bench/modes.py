"""What the accumulation modes cost: the whole training step in each of them, in turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median

from threadpoolctl import threadpool_limits

import engine
from stress.bench.measure import Ratio, alternate, ratio
from stress.bench.ours import batch, forward, trainable
from stress.bench.report import Bar, spread
from stress.bench.workloads import LEARNING_RATE, Mlp, Problem, Step
from stress.core.child import Child, Report
from stress.report.terminal import Table

__all__ = ["MODES", "ModeTimes", "mode_bars", "mode_step", "mode_table", "time_modes"]

MODES = ("racy", "locked", "ordered", "reproducible")
BACKWARDS = (1, 4)  # a step; from the second on there is something to add to
# Thousands of steps on one batch converge, and then gradients are subnormal numbers: ten times as
# slow, in all modes.
SLOWLY = 1e-3
LIMIT = 60.0  # seconds that a child gets beyond its measurement
# The slower mode, what it is held against, and how many times the time it may take.
BARS = (("locked", "racy", 1.05), ("ordered", "locked", 1.10), ("reproducible", "locked", 1.50))


@dataclass(frozen=True, slots=True)
class ModeTimes:
    """What a step of so many backwards took in each mode. Immutable.

    ``seconds``: the median by mode. ``ratios["a vs b"]``: how many times the time of b a takes.
    """

    workload: str
    backwards: int
    seconds: dict[str, float]
    ratios: dict[str, Ratio]


def mode_step(problem: Problem, mode: str, backwards: int) -> Step:
    """The training step in one mode: its batch ``backwards`` times, gradients added up."""
    parameters = trainable(problem)
    inputs, targets = batch(problem)
    optimizer = engine.optim.SGD(parameters, lr=SLOWLY * LEARNING_RATE / backwards)

    def step() -> engine.Tensor:
        optimizer.zero_grad()
        for _ in range(backwards):
            loss = forward(parameters, inputs, targets)
            loss.backward(accumulation=mode)
        optimizer.step()
        return loss

    return step


def time_modes(mlp: Mlp, seconds: float) -> list[ModeTimes]:
    """Time each mode, for ``seconds`` altogether, in a fresh process of its own."""
    with Child() as child:
        found: list[ModeTimes] = child.call(perform, (mlp, seconds), seconds + LIMIT)
    return found


def perform(task: tuple[Mlp, float], report: Report) -> list[ModeTimes]:
    """The child's part."""
    mlp, seconds = task
    return [time_here(mlp, backwards, seconds / len(BACKWARDS)) for backwards in BACKWARDS]


def time_here(mlp: Mlp, backwards: int, seconds: float) -> ModeTimes:
    """Time each mode in this process."""
    make = partial(mode_step, Problem(mlp), backwards=backwards)
    with threadpool_limits(1), engine.WorkerPool(0):
        blocks = alternate({mode: make(mode) for mode in MODES}, seconds)
    ratios = {f"{a} vs {b}": ratio(blocks[a], blocks[b]) for a, b, _ in BARS}
    medians = {mode: median(times) for mode, times in blocks.items()}
    return ModeTimes(mlp.name, backwards, medians, ratios)


def mode_bars(times: Sequence[ModeTimes]) -> list[Bar]:
    """The modes' speeds against what they are held against, and what was promised."""
    return [
        Bar(
            f"speed of {mode} vs {other}, {each.workload}, {each.backwards} backward a step",
            1 / each.ratios[f"{mode} vs {other}"].median,
            round(1 / most, 2),
        )
        for each in times
        for mode, other, most in BARS
    ]


def mode_table(times: Sequence[ModeTimes]) -> Table:
    """A row for each mode and number of backwards."""
    against = {mode: other for mode, other, _ in BARS}
    rows = [
        (
            str(each.backwards) if mode == MODES[0] else "",
            mode,
            f"{each.seconds[mode] * 1e6:.1f}",
            f"{spread(each.ratios[f'{mode} vs {against[mode]}'])} x {against[mode]}"
            if mode in against
            else "-",
        )
        for each in times
        for mode in MODES
    ]
    title = f"One training step of {times[0].workload} by accumulation mode (median [95 %])"
    columns = ("backwards a step", "mode", "µs", "time")
    return Table(title, columns, rows, frozenset({"mode"}))
