"""Graphs side by side, with nothing in common: they do not disturb each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

import engine
from engine.nn import functional
from stress.core.outcome import acceptable, forbidden
from stress.core.scenario import Observation, Params, Scenario
from stress.oracles.trap import GradTrap
from stress.scenarios.common import (
    FUNCTIONAL,
    Array,
    Way,
    always,
    arrays,
    everywhere,
    private,
    quick_in,
    same_bits,
    times,
    trapped,
)

__all__ = ["DISJOINT"]


@dataclass(frozen=True, slots=True)
class Task:
    """A small training step of one thread: its weights, its examples. Immutable."""

    weights: tuple[Array, ...]
    inputs: Array
    targets: Array


@dataclass(frozen=True, slots=True)
class Apart:
    """What the trials share: the threads' tasks, and what each gives when it runs alone."""

    params: Params
    tasks: Sequence[Task]
    expected: Sequence[tuple[Array, ...]]
    trap: GradTrap | None


@dataclass(frozen=True, slots=True)
class Side:
    """One trial. ``wrong``: actor *i* alone writes item *i*.

    ``ways``: each actor has its own, or else its contributions would wait for lower tickets of the
    others, and it does not.
    """

    fixture: Apart
    ways: Sequence[Way]
    wrong: list[int]


STEPS = 5  # of each actor in a trial
FEATURES, HIDDEN, CLASSES = 64, 32, 10


def task_of(params: Params, index: int) -> Task:
    """Thread ``index``'s task, from the seed: ``params.size`` numbers go in."""
    random = np.random.default_rng([params.seed, index])
    rows = max(1, params.size // FEATURES)
    shapes = ((HIDDEN, FEATURES), (HIDDEN,), (CLASSES, HIDDEN), (CLASSES,))
    weights = tuple(random.normal(0, 0.1, shape).astype(params.dtype) for shape in shapes)
    inputs = random.normal(size=(rows, FEATURES)).astype(params.dtype)
    return Task(weights, inputs, random.integers(0, CLASSES, rows))


def gradients(way: Way, task: Task) -> tuple[Array, ...]:
    """The gradients of one step, on leaves of its own."""
    w1, b1, w2, b2 = leaves = [engine.tensor(array, requires_grad=True) for array in task.weights]
    inputs, targets = engine.from_numpy(task.inputs), engine.from_numpy(task.targets)
    logits = functional.linear(functional.tanh(functional.linear(inputs, w1, b1)), w2, b2)
    loss = functional.cross_entropy(logits, targets)
    return way([loss], leaves) or arrays([leaf.grad for leaf in leaves])


@contextmanager
def apart(params: Params) -> Iterator[Apart]:
    """Every task is run once alone, without workers, before the threads begin."""
    tasks = [task_of(params, index) for index in range(params.threads)]
    with engine.WorkerPool(0):
        expected = [gradients(Way("functional"), task) for task in tasks]
    with trapped(params) as trap:
        yield Apart(params, tasks, expected, trap)


def start_apart(fixture: Apart) -> Side:
    """Nothing is wrong yet."""
    params = fixture.params
    return Side(fixture, [Way(params.mode) for _ in fixture.tasks], [0] * params.threads)


def step_apart(state: Side, index: int) -> None:
    """Run the same step again and again; each time it must give the same bits."""
    fixture = state.fixture
    for _ in range(times(fixture.params, STEPS)):
        got = gradients(state.ways[index], fixture.tasks[index])
        if not same_bits(got, fixture.expected[index]):
            state.wrong[index] += 1


def judge_apart(state: Side) -> Observation:
    """Deviations from the serial bits."""
    steps = times(state.fixture.params, STEPS)
    samples, wrong = steps * len(state.wrong), sum(state.wrong)
    if state.fixture.trap is not None:
        return private(state.fixture.trap, samples, wrong)
    fates = {"kept": samples - wrong, "wrong": wrong}
    return Observation({fate: times for fate, times in fates.items() if times})


UNDISTURBED = always(
    acceptable("kept", "the bits of a run alone"),
    forbidden("wrong", "graphs that share nothing do not disturb each other"),
)

DISJOINT = Scenario(
    9,
    "disjoint.networks",
    "each thread trains a network of its own; the bits are those of a run alone",
    "backwards",
    start_apart,
    step_apart,
    judge_apart,
    {**everywhere(UNDISTURBED), "functional": FUNCTIONAL},
    prepare=apart,
    tags=quick_in("locked"),
)
