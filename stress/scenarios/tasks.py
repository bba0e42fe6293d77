"""Tasks submitted to a pool that threads share: their order, waking up, waiting, resizing."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import inf
from time import perf_counter_ns

import numpy as np

import engine
from engine.errors import WaitTimeoutError
from stress.core.outcome import Outcome, acceptable, forbidden, interesting
from stress.core.scenario import Observation, Params, Scenario
from stress.oracles.count import count
from stress.oracles.history import Call, explain, fifo, linearize
from stress.oracles.trap import GradTrap
from stress.scenarios.accumulate import STRANGE
from stress.scenarios.common import (
    Way,
    always,
    everywhere,
    fresh_leaf,
    quick_in,
    tally,
    times,
    trapped,
)

__all__ = ["FAIR", "HISTORY", "INSIDE", "RESIZED", "WOKEN"]

PATIENCE = 20.0  # seconds until a task that has not ended is one that nobody woke up for


@dataclass(frozen=True, slots=True)
class Pool:
    """What the trials of one run share. Immutable, but for the trap."""

    params: Params
    trap: GradTrap | None


@contextmanager
def pool(params: Params) -> Iterator[Pool]:
    """The trials use the pool of the process; no thread of it is left at the end."""
    with trapped(params) as trap:
        try:
            yield Pool(params, trap)
        finally:
            engine.set_num_workers(0)


@dataclass(slots=True)
class Trial:
    """One trial. ``seen``: what came out, appended to by any thread: atomic; so ``waits``, in s."""

    fixture: Pool
    way: Way
    leaf: engine.Tensor
    handles: list[engine.Handle] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)


def start(fixture: Pool) -> Trial:
    """A pool of fresh threads: one fewer than there are actors."""
    params = fixture.params
    engine.set_num_workers(max(1, params.threads - 1))
    return Trial(fixture, Way(params.mode), fresh_leaf(params))


def contribute(trial: Trial) -> str:
    """One backward of ones: what a task does."""
    result = trial.way.one(trial.leaf * 1.0, trial.leaf, engine.ones_like(trial.leaf))
    return "done" if result is None or np.all(result == 1.0) else "wrong"


def judge(trial: Trial) -> Observation:
    """What the tasks say, and whether ``.grad`` has counted those that ended well."""
    engine.set_num_workers(0)
    seen = Counter(trial.seen)
    if trial.fixture.trap is None:
        counted = count(trial.way.read(trial.leaf), seen["done"])
        seen["lost"] = 0 if trial.fixture.params.mode == "racy" else counted.worst
        seen.update(doubled=counted.most, strange=counted.strange)
    return Observation(tally(trial.fixture.trap, seen))


WELL = (
    acceptable("done", "the task has run once, and what it computed has been added"),
    forbidden("lost", "what a task that ended well has computed is in .grad"),
    forbidden("doubled", "no task counts twice, in racy neither"),
    STRANGE,
    forbidden("wrong", "a functional gradient depends on its own call alone"),
    forbidden("touched *", "a functional gradient reads and writes no .grad"),
)

Act = Callable[[Trial, int], None]


def of_tasks(
    number: int, name: str, title: str, act: Act, *more: Outcome, least: int = 100
) -> Scenario:
    """A scenario of tasks in the pool of the process; they end as ``WELL`` says."""
    return Scenario(
        number, name, title, "tasks", start, act, judge, everywhere(always(*more, *WELL)),
        prepare=pool, minimum=lambda params: least, tags=quick_in("locked"),
    )  # fmt: skip


# -- 18: a worker that goes to sleep as a task comes -----------------------------------------------

ROUNDS = 25


def wake(trial: Trial, index: int) -> None:
    """Submit a task just as the worker has done the one before, and only wait: do not help."""
    for _ in range(times(trial.fixture.params, ROUNDS)):
        trial.seen.append(unaided(engine.submit(contribute, trial)))


def unaided(handle: engine.Handle) -> str:
    """How a task ends that only the pool runs: who waits with a limit does not help."""
    try:
        return str(handle.result(timeout=PATIENCE))
    except WaitTimeoutError:
        return "asleep"


WOKEN = of_tasks(
    18,
    "tasks.woken",
    "a task comes as the last worker goes to sleep: somebody runs it",
    wake,
    forbidden("asleep", "a worker that goes to sleep sees the task, or is woken for it"),
)


# -- 24: tasks that wait for tasks of their own pool -----------------------------------------------

DEEP = 3  # tasks in tasks


def nest(trial: Trial, index: int) -> None:
    """Submit a task that submits two, and so on, each waiting for its own."""
    depth = times(trial.fixture.params, DEEP)
    trial.seen.extend(engine.submit(nested, trial, depth).result())


def nested(trial: Trial, depth: int) -> list[str]:
    """Contribute, and wait for two tasks that do so; explored, for one."""
    two = times(trial.fixture.params, 2) if depth else 0
    below = [engine.submit(nested, trial, depth - 1) for _ in range(two)]
    return [contribute(trial), *(seen for handle in below for seen in handle.result())]


INSIDE = of_tasks(
    24,
    "tasks.inside",
    "tasks submit tasks to their own small pool and wait for them: no deadlock",
    nest,
)


# -- 27: the pool is resized and shut down meanwhile -----------------------------------------------

SIZES = (1, 3, 0, 2)  # that the pool is given, one after the other


def resize(trial: Trial, index: int) -> None:
    """The last actor resizes the pool; the others submit to it, and to one that was shut down."""
    params = trial.fixture.params
    if index == params.threads - 1:
        for workers in SIZES:
            engine.set_num_workers(workers)
        return
    with engine.WorkerPool(1) as mine:
        mine.shutdown()
        trial.handles.append(engine.submit(contribute, trial))  # run inline: no thread is left
        mine.shutdown()
    several = [engine.submit(contribute, trial) for _ in range(times(params, 10))]
    trial.seen += [handle.result() for handle in several[::2]]
    trial.seen += [unaided(handle) for handle in (*several[1::2], *trial.handles)]


RESIZED = of_tasks(
    27,
    "tasks.resized",
    "the pool is resized and shut down while it is used, twice and before use: tasks end",
    resize,
    forbidden("asleep", "a pool that ends does what it was given; after that nothing is queued"),
)


# -- 36: many callers ------------------------------------------------------------------------------

CALLERS = 8
PATIENT = 200  # times the median: so much longer than others nobody waits, or he starves
SHORT = 0.05  # seconds: nobody calls that starving, however quick the others are


def callers(params: Params) -> int:
    """More than there are workers."""
    return 2 if params.explored else CALLERS


def queue_up(trial: Trial, index: int) -> None:
    """Many short backwards; each waits its turn."""
    for _ in range(times(trial.fixture.params, 10)):
        began = perf_counter_ns()
        trial.seen.append(engine.submit(contribute, trial).result(timeout=PATIENCE))
        trial.waits.append((perf_counter_ns() - began) / 1e9)


def judge_waits(trial: Trial) -> Observation:
    """How long callers waited, and who waited far longer than the others did in the same trial.

    A limit in seconds would measure the machine: a busy one makes all wait alike.
    """
    seen = judge(trial).outcomes
    middle, worst = map(float, np.quantile(trial.waits, (0.5, 0.99)))
    limit = inf if trial.fixture.params.explored else max(SHORT, PATIENT * middle)
    starving = sum(wait > limit for wait in trial.waits)
    note = f"{1 / middle:,.0f} a second and caller; median {middle * 1e3:.2f} ms, 99 % within "
    return Observation(
        {**seen, **({"late": starving} if starving else {})}, note=f"{note}{worst * 1e3:.2f} ms"
    )


FAIR = Scenario(
    36,
    "tasks.fair",
    "many callers submit short backwards to few workers: nobody starves",
    "tasks",
    start,
    queue_up,
    judge_waits,
    everywhere(
        always(
            interesting("late", f"a caller waited {PATIENT} times longer than half of the others"),
            *WELL,
        )
    ),
    prepare=pool,
    crew=callers,
    minimum=lambda params: 400,
    tags=quick_in("locked"),
)


# -- 17: the history of the queue ------------------------------------------------------------------


@dataclass(slots=True)
class Queue:
    """One trial. ``calls``: of the queue, appended to by any thread: atomic.

    ``trial``: what each task contributes to. ``free``: since when each thread has had nothing to
    do; written by that thread alone.
    """

    trial: Trial
    calls: list[Call] = field(default_factory=list)
    free: dict[int, int] = field(default_factory=dict)


PUTS = 3  # of each actor: the search for an order is short


def start_queue(fixture: Pool) -> Queue:
    """Two workers."""
    trial = start(fixture)
    engine.set_num_workers(2)
    return Queue(trial)


def put(queue: Queue, index: int) -> None:
    """Submit tasks, and wait for them without helping."""
    handles: list[engine.Handle] = []
    for number in range(times(queue.trial.fixture.params, PUTS)):
        name = f"{index}.{number}"
        began = perf_counter_ns()
        handles.append(engine.submit(got, queue, name))
        queue.calls.append(Call("put", name, None, began, perf_counter_ns()))
    for handle in handles:
        handle.result(timeout=PATIENCE)


def got(queue: Queue, name: str) -> None:
    """The task: some worker has just taken it, at some time since it had nothing to do."""
    now, thread = perf_counter_ns(), threading.get_ident()
    queue.calls.append(Call("get", None, name, queue.free.get(thread, 0), now))
    queue.trial.seen.append(contribute(queue.trial))
    queue.free[thread] = perf_counter_ns()


def judge_queue(queue: Queue) -> Observation:
    """Is there an order of puts and gets in which the oldest task is taken first, each once?"""
    seen = judge(queue.trial).outcomes
    bad = {key: count for key, count in seen.items() if key != "done"}
    names: Sequence[str] = [call.argument for call in queue.calls if call.name == "put"]
    taken = [call.result for call in queue.calls if call.name == "get"]
    if sorted(taken) != sorted(names):
        return Observation({"not each once": 1, **bad}, note=explain(queue.calls))
    explained = linearize(queue.calls, fifo, ()) is not None
    key = "explained" if explained else "unexplained"
    return Observation({key: 1, **bad}, note="" if explained else explain(queue.calls))


HISTORY = Scenario(
    17,
    "tasks.history",
    "threads submit to one pool of two workers: some order explains who took what when",
    "histories",
    start_queue,
    put,
    judge_queue,
    everywhere(
        always(
            acceptable("explained", "the oldest task first, and each once"),
            forbidden("unexplained", "workers take the oldest task first"),
            forbidden("not each once", "no task is lost, none runs twice"),
            *WELL,
        )
    ),
    prepare=pool,
    tags=quick_in("locked"),
)
