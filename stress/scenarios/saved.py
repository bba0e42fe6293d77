"""A tensor that a graph has saved is written to by another thread: noticed, or harmless."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter_ns
from typing import Any

import numpy as np

import engine
from engine.errors import SavedValueChangedError
from stress.core.outcome import acceptable, forbidden
from stress.core.scenario import Observation, Params, Scenario
from stress.scenarios.common import (
    Array,
    Way,
    always,
    at_typical,
    everywhere,
    quick_in,
    tally,
    times,
)
from stress.scenarios.nesting import Fixture, watched

__all__ = ["WRITTEN"]

Span = tuple[int, int]  # when something began and ended
ROUNDS = 12  # in a trial; explored, the first two, in which nobody waits


@dataclass(slots=True)
class Round:
    """A graph that has saved ``factor``. The writer alone writes ``written``, actor 0 the rest."""

    number: int
    leaf: engine.Tensor
    factor: engine.Tensor
    lock: AbstractContextManager[object]
    forward: Span = (0, 0)
    backward: Span = (0, 0)
    written: Span = (0, 0)
    product: Array = field(default_factory=lambda: np.empty(0))  # the factor, as forward read it
    result: Array | None = None  # None: refused


@dataclass(frozen=True, slots=True)
class Written:
    """One trial. ``told``: the write may begin; ``done``: it is over. Queues."""

    fixture: Fixture
    way: Way
    rounds: Sequence[Round]
    told: Any
    done: Any


def start(fixture: Fixture) -> Written:
    """Factors of twos; a write makes them threes."""
    params = fixture.params
    rounds = [fresh(params, number) for number in range(times(params, ROUNDS, 2))]
    way = Way(params.mode, len(rounds))
    return Written(fixture, way, rounds, engine.sync.queue(), engine.sync.queue())


def fresh(params: Params, number: int) -> Round:
    """A round that nothing has happened in."""
    leaf = engine.ones(params.size, dtype=params.dtype, requires_grad=True)
    factor = engine.full((params.size,), 2.0, dtype=params.dtype)
    return Round(number, leaf, factor, engine.sync.lock())


class Halves(engine.function.Function):  # type: ignore[misc]
    """A product whose rule reads what was saved in two goes; a scheduler may step in between."""

    @staticmethod
    def forward(ctx: Any, leaf: engine.Tensor, factor: engine.Tensor, lock: Any) -> engine.Tensor:
        """Save the factor."""
        ctx.save_for_backward(factor)
        ctx.lock = lock
        return leaf * factor

    @staticmethod
    def backward(ctx: Any, g: engine.Tensor) -> tuple[engine.Tensor, None, None]:
        """The gradient of the leaf, half by half."""
        (factor,) = ctx.saved_tensors
        result = np.empty_like(g.numpy())
        for half in np.array_split(np.arange(result.size), 2):
            with ctx.lock:
                pass
            result[half] = factor.numpy()[half] * g.numpy()[half]
        return engine.from_numpy(result), None, None


def timed(action: Callable[[], None]) -> Span:
    """When ``action`` began and ended."""
    began = perf_counter_ns()
    action()
    return began, perf_counter_ns()


def walk_or_write(state: Written, index: int) -> None:
    """Actor 0 goes forward and backward; the other writes when told.

    Two times of six actor 0 tells it before forward, so that the two may meet; else after. Two
    times it waits for the write before it goes backward, so that it lies between.
    """
    for this in state.rounds:
        waits, beside = this.number % 6 // 2 == 1, this.number % 6 // 2 == 2
        if index == 1:
            state.told.get()
            this.written = timed(partial(write, this.factor))
            state.done.put(None)
            continue
        outputs: list[engine.Tensor] = []
        if beside:
            state.told.put(None)
        this.forward = timed(partial(go_forward, this, outputs))
        this.product = outputs[0].detach().numpy().copy()
        if not beside:
            state.told.put(None)
        if waits:
            state.done.get()
        this.backward = timed(partial(go_backward, state.way, this, outputs[0]))
        if not waits:
            state.done.get()


def go_forward(this: Round, outputs: list[engine.Tensor]) -> None:
    """Save the factor: in a node of the engine's, or in one whose rule is a user's."""
    own = this.number % 2
    product = Halves.apply(this.leaf, this.factor, this.lock) if own else this.leaf * this.factor
    outputs.append(product)


def write(factor: engine.Tensor) -> None:
    """A write in place: counted, as it is no parameter that is shared on purpose."""
    with engine.no_grad():
        factor.add_(1.0)


def go_backward(way: Way, this: Round, output: engine.Tensor) -> None:
    """The gradient of the leaf is the factor, unless that was written to."""
    with suppress(SavedValueChangedError):
        result = way.one(output, this.leaf, engine.ones_like(output))
        this.result = way.read(this.leaf) if result is None else result


def judge(state: Written) -> Observation:
    """Refused, or right: a write that fell between forward and backward must be refused."""
    return Observation(tally(state.fixture.trap, Counter(map(fate, state.rounds))))


def fate(this: Round) -> str:
    """What became of one round. The gradient is the factor that the forward has read."""
    if this.result is None:
        return "refused"
    if this.forward[1] <= this.written[0] and this.written[1] < this.backward[0]:
        return "not noticed"
    return "right" if np.array_equal(this.result, this.product) else "wrong"


WRITTEN = Scenario(
    15,
    "saved.written",
    "a value that a graph has saved is written to by another thread: refused, or harmless",
    "backwards",
    start,
    walk_or_write,
    judge,
    everywhere(
        always(
            acceptable("refused", "the backward raises SavedValueChangedError"),
            acceptable("right", "the write came too late for the rule, or before the forward"),
            forbidden("not noticed", "a write between forward and backward raises"),
            forbidden("wrong", "versions are noted before a forward, and looked at around a rule"),
            forbidden("touched *", "a functional gradient reads and writes no .grad"),
        )
    ),
    prepare=watched,
    crew=lambda params: 2,
    sizes=lambda edge: (10_000, 1_000_000),
    minimum=lambda params: 200,
    tags=at_typical(quick_in("locked")),
)
