"""Hogwild: threads that train shared parameters without a lock still find the minimum."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import sleep

import numpy as np

import engine
from engine import hogwild
from engine.nn import functional
from engine.optim import SGD
from stress.core.outcome import acceptable, forbidden, interesting
from stress.core.scenario import Observation, Params, Scenario, one_actor
from stress.scenarios.common import Array, Declare, always, quick_in

__all__ = ["DENSE", "SNAPSHOT", "SPARSE"]

BATCH = 16
EPOCHS = 4
ROWS = 512
TOLERANCE = 1.5  # times the loss that one thread ends with, or as much as rounding allows


@dataclass(frozen=True, slots=True)
class Problem:
    """Least squares: examples, and how to predict. Immutable. ``serial``: the loss of one thread.

    ``loss(weight, *batch)`` is convex in the weight, and 0 at its minimum.
    """

    params: Params
    data: tuple[Array, Array]
    loss: Callable[[engine.Tensor, engine.Tensor, engine.Tensor], engine.Tensor]
    rate: float
    width: int
    serial: float = 0.0


@dataclass(slots=True)
class Run:
    """One trial; written by its one actor."""

    problem: Problem
    loss: float = 0.0
    steps: int = 0
    stale: int = 0


def dense_loss(w: engine.Tensor, x: engine.Tensor, y: engine.Tensor) -> engine.Tensor:
    """Every step moves every weight."""
    return mean_square(x @ w - y)


def sparse_loss(w: engine.Tensor, ids: engine.Tensor, y: engine.Tensor) -> engine.Tensor:
    """A step moves the rows of its examples alone."""
    return mean_square(functional.embedding(ids, w, sparse=True).sum(axis=1) - y)


def mean_square(x: engine.Tensor) -> engine.Tensor:
    """Of all elements."""
    result: engine.Tensor = (x * x).mean()
    return result


@contextmanager
def dense(params: Params) -> Iterator[Problem]:
    """A few features, all of them in every example."""
    random = np.random.default_rng(params.seed)
    width = max(1, params.size // ROWS)
    x = random.normal(size=(ROWS, width)) / np.sqrt(width)
    y = x @ random.normal(size=(width, 1))
    yield solved(Problem(params, (x.astype("f4"), y.astype("f4")), dense_loss, 0.2 * width, width))


@contextmanager
def sparse(params: Params) -> Iterator[Problem]:
    """Many features, three of them in an example."""
    random = np.random.default_rng(params.seed)
    width = max(8, params.size // 100)
    ids = random.integers(0, width, (ROWS, 3))
    y = random.normal(size=(width, 1))[ids].sum(axis=1)
    yield solved(Problem(params, (ids, y.astype("f4")), sparse_loss, 0.5, width))


def solved(problem: Problem) -> Problem:
    """The problem, with the loss that a single thread ends with."""
    run = Run(problem)
    train(run, "serial")
    return Problem(
        problem.params, problem.data, problem.loss, problem.rate, problem.width, run.loss
    )


def train(run: Run, mode: str) -> None:
    """Train from zeros."""
    problem = run.problem
    weight = engine.zeros(problem.width, 1, requires_grad=True)
    result = hogwild.train(
        lambda *batch: problem.loss(weight, *batch), problem.data, SGD([weight], lr=problem.rate),
        threads=problem.params.threads, mode=mode, epochs=EPOCHS, batch_size=BATCH,
        seed=problem.params.seed,
    )  # fmt: skip
    run.steps = sum(result.staleness.values())  # those that were written
    run.stale = sum(times for late, times in result.staleness.items() if late)
    with engine.no_grad():
        run.loss = problem.loss(weight, *map(engine.from_numpy, problem.data)).item()


def act(run: Run, index: int) -> None:
    """The threads are those of ``hogwild.train``."""
    train(run, run.problem.params.mode)


def judge(run: Run) -> Observation:
    """As near to the minimum as one thread comes, with every step made."""
    problem, wanted = run.problem, EPOCHS * -(-ROWS // BATCH)
    scale = float(np.mean(problem.data[1] ** 2))  # the loss that training begins with
    bound = TOLERANCE * problem.serial + 0.02 * scale
    key = "converged" if run.loss <= bound else "slower" if run.loss < scale else "diverged"
    seen = {key: 1} | ({} if run.steps == wanted else {"steps missing": 1})
    note = "" if key == "converged" else f"loss {run.loss:.3g}, of one thread {problem.serial:.3g}"
    return Observation(seen, overlapped=run.stale > 0, note=note)


CONVERGES: Declare = always(
    acceptable("converged", "as near to the minimum as a single thread comes"),
    interesting("slower", "farther from the minimum than a single thread: stale gradients"),
    forbidden("diverged", "on a convex problem with few threads Hogwild converges"),
    forbidden("steps missing", "every example is used exactly once an epoch"),
)


def of_problem(name: str, title: str, prepare: Callable[[Params], object]) -> Scenario:
    """A scenario of a problem."""
    return Scenario(
        14, name, title, "trainings", Run, act, judge,
        {"racy": CONVERGES, "locked": CONVERGES}, prepare=prepare, crew=one_actor,  # type: ignore[arg-type]
        minimum=lambda params: 5, tags=quick_in("racy"), explore=lambda params: (),
    )  # fmt: skip


DENSE = of_problem("hogwild.dense", "least squares, every step moves every weight", dense)
SPARSE = of_problem("hogwild.sparse", "least squares, a step moves a few weights", sparse)


# -- 14: snapshots of what is trained --------------------------------------------------------------


PAUSE = 2e-4  # seconds between two snapshots: the steps wait for them


@dataclass(slots=True)
class Watched:
    """One trial: two weights that every step moves alike.

    ``over``: set by the actor that trains, when it has; ``seen``: the other alone writes it.
    """

    params: Params
    weights: tuple[engine.Tensor, engine.Tensor]
    seen: Counter[str]
    over: bool = False


def start_watched(params: Params) -> Watched:
    """Zeros."""
    first, second = (engine.zeros(params.size, requires_grad=True) for _ in range(2))
    return Watched(params, (first, second), Counter())


def train_or_look(run: Watched, index: int) -> None:
    """One trains with threads of its own; the other takes snapshots until that is over."""
    if index == 1:
        while not run.over:
            run.seen[whole(*hogwild.snapshot(run.weights))] += 1
            sleep(PAUSE)
        return
    first, second = run.weights
    try:
        hogwild.train(
            lambda x: (first + second).sum() * x.mean(), (np.ones((ROWS, 1), "f4"),),
            SGD(run.weights, lr=1.0), threads=run.params.threads, mode=run.params.mode,
            epochs=1, batch_size=BATCH,
        )  # fmt: skip
    finally:
        run.over = True


def whole(first: engine.Tensor, second: engine.Tensor) -> str:
    """Every step is in all elements of both weights, or in none."""
    a, b = first.numpy(), second.numpy()
    if (a != a[0]).any() or (b != b[0]).any():
        return "torn"
    return "whole" if a[0] == b[0] else "between two writes"


def judge_watched(run: Watched) -> Observation:
    """What was seen, and at the end every step: each has subtracted 1."""
    steps = -(-ROWS // BATCH)
    made = all(np.all(weight.detach().numpy() == -steps) for weight in run.weights)
    return Observation(run.seen if made else {**run.seen, "steps lost": 1})


SNAPSHOT = Scenario(
    14,
    "hogwild.snapshot",
    "snapshots while threads train two weights alike: each step is in both or in none",
    "snapshots",
    start_watched,
    train_or_look,
    judge_watched,
    {
        "locked": always(
            acceptable("whole", "both weights have moved by the same steps"),
            forbidden("steps lost", "every write is made under the lock of its parameter"),
            forbidden("*", "a snapshot sees no step half-written"),
        )
    },
    crew=lambda params: 2,
    minimum=lambda params: 50,
    tags=quick_in("locked"),
    explore=lambda params: (),
)
