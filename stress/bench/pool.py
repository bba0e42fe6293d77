"""What the pool is worth: one backward over heavy branches, and a crowd of submitted ones.

On a shared machine two cores are seldom worth two, so the ceiling is measured in turn with the
backward: the same products of matrices in plain NumPy, by one thread and by two.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import median, quantiles
from time import perf_counter

import numpy as np
from threadpoolctl import threadpool_limits

import engine
from stress.bench.measure import Ratio, alternate, ratio
from stress.bench.report import QUIET, Bar, spread
from stress.core.child import Child, Report
from stress.report.terminal import Table

__all__ = [
    "NAME",
    "PoolTimes",
    "Waits",
    "bare",
    "branches",
    "crowd",
    "pool_bars",
    "pool_caveats",
    "pool_table",
    "time_pool",
    "waits_table",
]

NAME = "pool"  # for --only
BRANCHES, SIZE = 8, 800  # products of SIZE x SIZE matrices: ten milliseconds each
CROWD, WORKERS = 1000, 2  # tasks in flight, and who runs them
SPEEDUP_BAR = 1.7
ONE, TWO = "backward, 1 thread", "backward, 2 threads"
BARE_ONE, BARE_TWO = "NumPy, 1 thread", "NumPy, 2 threads"
LIMIT = 60.0  # seconds that a child gets beyond its measurement


@dataclass(frozen=True, slots=True)
class Waits:
    """How long submitted tasks waited until they began, in seconds. Immutable.

    ``overtaken``: the most tasks that began before an older one; two workers that take tasks in
    order still note their begins in either order.
    """

    tasks: int
    workers: int
    middle: float
    slowest_percent: float
    longest: float
    overtaken: int


@dataclass(frozen=True, slots=True)
class PoolTimes:
    """One backward over heavy branches on one thread and on two, and a crowd. Immutable.

    ``seconds``: the median by kind; ``ceiling``: what two threads of plain NumPy gain.
    """

    seconds: dict[str, float]
    speedup: Ratio
    ceiling: Ratio
    waits: Waits


def time_pool(seconds: float) -> PoolTimes:
    """Measure for about ``seconds``, in a fresh process of its own."""
    with Child() as child:
        found: PoolTimes = child.call(perform, seconds, seconds + LIMIT)
    return found


def perform(seconds: float, report: Report) -> PoolTimes:
    """The child's part."""
    with threadpool_limits(1):
        backward = branches(BRANCHES, SIZE)
        kinds = {
            ONE: on(0, backward),
            TWO: on(1, backward),
            BARE_ONE: bare(1, BRANCHES, SIZE),
            BARE_TWO: bare(2, BRANCHES, SIZE),
        }
        blocks = alternate(kinds, seconds)
        return PoolTimes(
            {kind: median(times) for kind, times in blocks.items()},
            ratio(blocks[ONE], blocks[TWO]),
            ratio(blocks[BARE_ONE], blocks[BARE_TWO]),
            crowd(CROWD, WORKERS),
        )


def branches(count: int, size: int) -> Callable[[], None]:
    """A backward over so many independent products of matrices."""
    rng = np.random.default_rng(0)

    def matrix() -> engine.Tensor:
        return engine.tensor(rng.random((size, size), np.float32), requires_grad=True)

    x = matrix()
    losses = [(x @ matrix()).tanh().sum() for _ in range(count)]
    loss: engine.Tensor = sum(losses[1:], losses[0])
    return lambda: loss.backward(retain_graph=True)


def bare(threads: int, count: int, size: int) -> Callable[[], None]:
    """The products of that backward, two for each branch, in plain threads."""
    x = np.random.default_rng(0).random((size, size), np.float32)

    def work(_: int) -> None:
        for _ in range(2 * count // threads):
            x @ x

    def call() -> None:
        with ThreadPoolExecutor(threads) as workers:
            list(workers.map(work, range(threads)))

    return call


def on(workers: int, backward: Callable[[], None]) -> Callable[[], None]:
    """The backward, helped by so many workers. Starting them is part of it: 0.1 ms."""

    def call() -> None:
        with engine.WorkerPool(workers):
            backward()

    return call


def crowd(tasks: int, workers: int) -> Waits:
    """Submit so many backwards at once, and see when each begins."""
    x = engine.ones(1000, requires_grad=True)
    losses = [(x * k).tanh().sum() for k in range(tasks)]
    begun: list[tuple[float, int]] = []

    def task(number: int) -> None:
        begun.append((perf_counter(), number))
        losses[number].backward()

    submitted = []
    with engine.WorkerPool(workers, max_in_flight=tasks):
        for number in range(tasks):
            submitted.append(perf_counter())
            engine.submit(task, number)
    waited = sorted(moment - submitted[number] for moment, number in begun)
    return Waits(
        tasks, workers, median(waited), quantiles(waited, n=100)[-1], waited[-1],
        overtaken([number for _, number in sorted(begun)]),
    )  # fmt: skip


def overtaken(order: Sequence[int]) -> int:
    """The most younger ones that any has seen begin before itself.

    >>> overtaken([0, 1, 2, 3]), overtaken([1, 2, 0, 3])
    (0, 2)
    """
    return max(place - number for place, number in enumerate(order)) if order else 0


def pool_bars(times: PoolTimes) -> list[Bar]:
    """What was promised of the pool."""
    what = f"1 thread vs 2, one backward over {BRANCHES} heavy branches"
    return [Bar(what, times.speedup.median, SPEEDUP_BAR)]


def pool_caveats(times: PoolTimes) -> list[str]:
    """Whether the machine had two cores to give."""
    if times.ceiling.median >= QUIET:
        return []
    return [
        f"caution, {NAME}: two threads of plain NumPy reached only {times.ceiling.median:.2f}x of "
        "one; the cores were busy, and no speed-up could show"
    ]


def pool_table(times: PoolTimes) -> Table:
    """How long the backward takes on one thread and on two."""
    gains = {TWO: spread(times.speedup), BARE_TWO: spread(times.ceiling)}
    rows = [
        (kind, f"{seconds * 1e3:.1f}", gains.get(kind, "-"))
        for kind, seconds in times.seconds.items()
    ]
    title = f"One backward over {BRANCHES} products of {SIZE} x {SIZE} matrices (median [95 %])"
    return Table(title, ("what", "ms", "times faster"), rows, frozenset({"what"}))


def waits_table(waits: Waits) -> Table:
    """How evenly submitted backwards wait."""
    figures = (waits.middle, waits.slowest_percent, waits.longest)
    row = (*(f"{seconds * 1e3:.1f}" for seconds in figures), str(waits.overtaken))
    title = f"{waits.tasks} submitted backwards, {waits.workers} workers: from submit to begin, ms"
    return Table(title, ("median", "99 % under", "longest", "overtaken by"), [row], frozenset())
