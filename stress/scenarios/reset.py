"""Resets race accumulation: ``zero_grad()`` and ``take_grad()`` are atomic against it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

import engine
from stress.core.outcome import acceptable, forbidden, interesting
from stress.core.scenario import Observation, Scenario
from stress.oracles.coding import Coding, Decoded
from stress.scenarios.accumulate import Fixture, coded, named
from stress.scenarios.common import EXACT, Array, Way, always, fresh_leaf

__all__ = ["TAKE", "ZERO"]


@dataclass(frozen=True, slots=True)
class State:
    """One trial. ``taken``: only the last actor appends to it."""

    fixture: Fixture
    way: Way
    leaf: engine.Tensor
    taken: list[Array]


def start(fixture: Fixture) -> State:
    """A leaf without a gradient."""
    return State(fixture, Way(fixture.params.mode), fresh_leaf(fixture.params), [])


def accumulate(state: State, index: int) -> Iterator[None]:
    """Contribute what is actor ``index``'s to contribute; the last actor resets at each yield.

    It does so between its contributions, and leaves some after its last reset, so that what a
    reset spares or tears is still to be seen at the end.
    """
    fixture, params = state.fixture, state.fixture.params
    resets = index == params.threads - 1
    for number in range(fixture.each):
        gradient = fixture.gradients[index * fixture.each + number]
        state.way.one(state.leaf.reshape(-1), state.leaf, gradient)
        if resets and number % 4 == 1:
            yield


def add_and_zero(state: State, index: int) -> None:
    """Everybody accumulates; the last actor also zeroes now and then."""
    for _ in accumulate(state, index):
        state.leaf.zero_grad(set_to_none=True)


def add_and_take(state: State, index: int) -> None:
    """Everybody accumulates; the last actor also takes what is there now and then."""
    for _ in accumulate(state, index):
        taken = state.leaf.take_grad()
        if taken is not None:
            state.taken.append(taken.numpy())


def decode(state: State) -> Decoded:
    """What was taken and what is left, added up and read."""
    params = state.fixture.params
    parts = list(state.taken)
    if state.leaf.grad is not None:
        parts.append(state.leaf.grad.numpy())
    total = np.sum(parts, axis=0) if parts else np.zeros(params.size, params.dtype)
    return Coding(params.dtype).decode(total, len(state.fixture.gradients))


def judge_zero(state: State) -> Observation:
    """Each contribution is there, or was zeroed away, but in all elements alike."""
    decoded = decode(state)
    seen = Counter(decoded.outcomes)
    seen["zeroed"] = seen.pop("lost", 0)  # to be missing everywhere is what zeroing is for
    note = decoded.describe(lambda index: named(state.fixture, index))
    return Observation(+seen, note=note if decoded.torn or decoded.doubled else "")


def judge_take(state: State) -> Observation:
    """Taken + left = produced."""
    decoded = decode(state)
    offered = decoded.count * state.fixture.params.size
    note = decoded.describe(lambda index: named(state.fixture, index))
    return Observation(decoded.outcomes, decoded.missing, offered, note=note)


NEVER_RAISES = forbidden("raised *", "resetting and accumulating at once never raises")

ZERO = Scenario(
    11,
    "reset.zero",
    "zero_grad(set_to_none=True) while others accumulate",
    "contributions",
    start,
    add_and_zero,
    judge_zero,
    {
        "racy": always(
            acceptable("kept", "came after the last zeroing"),
            acceptable("zeroed", "came before a zeroing, or raced with one"),
            interesting("torn", "racy: met another contribution, or a zeroing half-way"),
            forbidden("doubled", "racy may lose, but counts no contribution twice"),
            NEVER_RAISES,
        ),
        **dict.fromkeys(
            EXACT,
            always(
                acceptable("kept", "came after the last zeroing"),
                acceptable("zeroed", "came before a zeroing"),
                forbidden("torn", "zero_grad is atomic against accumulation: all elements or none"),
                forbidden("doubled", "no contribution counts twice"),
                NEVER_RAISES,
            ),
        ),
    },
    prepare=coded,
    minimum=lambda params: 1_000,
)

TAKE = Scenario(
    11,
    "reset.take",
    "take_grad() while others accumulate: taken + left = produced",
    "contributions",
    start,
    add_and_take,
    judge_take,
    {
        "racy": always(
            acceptable("kept", "taken or left, once"),
            interesting("lost", "racy: overwritten in every element"),
            interesting("torn", "racy: overwritten in some elements"),
            forbidden("doubled", "no contribution is both taken and left"),
            NEVER_RAISES,
        ),
        **dict.fromkeys(
            EXACT,
            always(
                acceptable("kept", "taken or left, exactly once"),
                forbidden("lost", "taken + left = produced"),
                forbidden("torn", "take_grad is atomic against accumulation: all elements or none"),
                forbidden("doubled", "no contribution is both taken and left"),
                NEVER_RAISES,
            ),
        ),
    },
    prepare=coded,
    minimum=lambda params: 1_000,
)
