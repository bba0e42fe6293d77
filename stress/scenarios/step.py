"""Optimiser steps race backwards: no contribution is lost or used twice, no parameter is torn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

import engine
from engine.optim import SGD
from stress.core.outcome import Outcome, acceptable, forbidden, interesting
from stress.core.scenario import Observation, Params, Scenario
from stress.oracles.count import count
from stress.oracles.trap import GradTrap
from stress.scenarios.accumulate import STRANGE
from stress.scenarios.common import EXACT, Way, always, fresh_leaf, quick_in, tally, times, trapped

__all__ = ["STEP"]

EACH = 20  # contributions of an actor


@dataclass(frozen=True, slots=True)
class Fixture:
    """What the trials of one run share. Immutable, but for the trap."""

    params: Params
    gradient: engine.Tensor
    trap: GradTrap | None


@dataclass(frozen=True, slots=True)
class Training:
    """One trial. ``torn``: actor *i* alone writes item *i*."""

    fixture: Fixture
    way: Way
    weight: engine.Tensor
    optimizer: SGD
    torn: list[int]


@contextmanager
def ones(params: Params) -> Iterator[Fixture]:
    """Every gradient is ones."""
    with trapped(params) as trap:
        yield Fixture(params, engine.ones(params.size, dtype=params.dtype), trap)


def start(fixture: Fixture) -> Training:
    """A weight of zeros; a step of rate 1 subtracts the gradient, so the weight counts."""
    params = fixture.params
    weight = fresh_leaf(params)
    return Training(fixture, Way(params.mode), weight, SGD([weight], lr=1.0), [0] * params.threads)


def train(state: Training, index: int) -> None:
    """The ordinary loop, with step and zeroing in one, as threads that share weights have to."""
    weight, gradient = state.weight, state.fixture.gradient
    for _ in range(times(state.fixture.params, EACH)):
        result = state.way.one(weight.reshape(-1), weight, gradient)
        with weight.grad_lock:
            apply(state, None if result is None else engine.from_numpy(result))
            seen = weight.detach().numpy()
            state.torn[index] += bool((seen != seen[0]).any())


def apply(state: Training, gradient: engine.Tensor | None = None) -> None:
    """Move the weight by ``gradient``, or by ``.grad``, which is gone then."""
    if gradient is not None:
        state.optimizer.update(0, gradient.numpy())
        return
    state.optimizer.step()
    state.optimizer.zero_grad()


def judge(state: Training) -> Observation:
    """The weight has counted every contribution once, all elements alike at any time."""
    fixture = state.fixture
    offered = times(fixture.params, EACH) * fixture.params.threads
    caught = tally(fixture.trap, {})
    if fixture.trap is None:
        apply(state)  # what came after the last step
    total = -state.weight.detach().numpy()
    counted = count(total, offered)
    fates = {"used": offered - counted.worst - counted.most, "lost": counted.worst,
             "twice": counted.most, "strange": counted.strange,
             "torn": sum(state.torn)}  # fmt: skip
    seen = {fate: number for fate, number in fates.items() if number > 0} | caught
    lost = counted.lost
    return Observation(seen, lost, offered * int(np.size(total)))


def racy(params: Params) -> Sequence[Outcome]:
    """Backwards add without the lock under which the others step."""
    return (
        acceptable("used", "the weight was moved by the contribution, once"),
        interesting("lost", "racy: overwritten, or zeroed away between the step and the zeroing"),
        interesting("twice", "racy: it came after a step had read, and a zeroing was overwritten"),
        interesting("torn", "racy: a step met an addition half-way"),
        STRANGE,
    )


STEP = Scenario(
    13,
    "step.counted",
    "step() and zero_grad() under grad_lock while others accumulate: the weight counts",
    "contributions",
    start,
    train,
    judge,
    {
        "racy": racy,
        **dict.fromkeys(
            (*EXACT, "functional"),
            always(
                acceptable("used", "every contribution moved the weight exactly once"),
                forbidden("lost", "step and zero_grad under grad_lock are one step"),
                forbidden("twice", "step and zero_grad under grad_lock are one step"),
                forbidden("torn", "whoever holds grad_lock sees no half of a step"),
                STRANGE,
                forbidden("touched *", "a functional gradient reads and writes no .grad"),
            ),
        ),
    },
    prepare=ones,
    minimum=lambda params: 2_000,
    tags=quick_in("racy", "locked"),
)
