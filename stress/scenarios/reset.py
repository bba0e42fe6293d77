"""What touches ``.grad`` while others accumulate: resets, takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

import numpy as np

import engine
from stress.core.outcome import acceptable, forbidden, interesting, required
from stress.core.scenario import Observation, Params, Scenario
from stress.oracles.coding import Coding, Decoded
from stress.oracles.history import Recorder, bag, explain, linearize
from stress.scenarios.accumulate import Fixture, coded, named
from stress.scenarios.common import (
    EXACT,
    Array,
    Way,
    always,
    around,
    at_typical,
    fresh_leaf,
    quick_in,
    times,
)

__all__ = ["HISTORY", "TAKE", "THIRD", "ZERO", "State", "accumulate", "start"]


@dataclass(frozen=True, slots=True)
class State:
    """One trial. ``taken``: only the last actor appends to it.

    ``wrong``: functional gradients that are not as expected, appended in any thread: atomic.
    """

    fixture: Fixture
    way: Way
    leaf: engine.Tensor
    taken: list[Array]
    wrong: list[int] = field(default_factory=list)


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
        result = state.way.one(state.leaf.reshape(-1), state.leaf, gradient)
        if result is not None and not np.array_equal(result, gradient.numpy()):
            state.wrong.append(number)
        if resets and resets_after(params, number):
            yield


def resets_after(params: Params, number: int) -> bool:
    """Whether the actor that resets does so after this contribution."""
    return params.explored or number % 4 == 1


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
    if state.way.mode != "ordered":  # there, what comes early is added after its call has returned
        seen["spared"] = len(reset_away(state) - set(decoded.lost))
    note = decoded.describe(lambda index: named(state.fixture, index))
    return Observation(+seen, note=note if decoded.torn or decoded.doubled else "")


def reset_away(state: State) -> set[int]:
    """What the actor that zeroes had itself contributed when it did so last."""
    fixture, params = state.fixture, state.fixture.params
    first = (params.threads - 1) * fixture.each
    last = max((n for n in range(fixture.each) if resets_after(params, n)), default=-1)
    return set(range(first, first + last + 1))


def judge_take(state: State) -> Observation:
    """Taken + left = produced."""
    decoded = decode(state)
    offered = decoded.count * state.fixture.params.size
    note = decoded.describe(lambda index: named(state.fixture, index))
    return Observation(decoded.outcomes, decoded.missing, offered, note=note)


SPARED = forbidden("spared", "zero_grad leaves nothing that its own thread had added before")
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
            SPARED,
            NEVER_RAISES,
        ),
        **dict.fromkeys(
            EXACT,
            always(
                acceptable("kept", "came after the last zeroing"),
                acceptable("zeroed", "came before a zeroing"),
                forbidden("torn", "zero_grad is atomic against accumulation: all elements or none"),
                forbidden("doubled", "no contribution counts twice"),
                SPARED,
                NEVER_RAISES,
            ),
        ),
    },
    prepare=coded,
    minimum=lambda params: 1_000,
    sizes=around,
    tags=at_typical(quick_in("racy", "locked")),
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
    sizes=around,
    tags=at_typical(quick_in("racy", "locked")),
)


# -- 10: somebody who contributes nothing zeroes ---------------------------------------------------

ZEROINGS = 8


def one_more(params: Params) -> int:
    """Those who accumulate, and one who does not."""
    return params.threads + 1


def add_or_zero(state: State, index: int) -> None:
    """The last actor zeroes in place, the others accumulate."""
    params = state.fixture.params
    if index < params.threads:
        for _ in accumulate(state, index):
            pass
        return
    for _ in range(times(params, ZEROINGS)):
        state.leaf.zero_grad(set_to_none=False)


def judge_third(state: State) -> Observation:
    """What is left of each actor's contributions is the last of them, whole."""
    if state.way.mode == "functional":
        wrong = len(state.wrong)
        fates = {"unaffected": state.fixture.each * state.fixture.params.threads - wrong}
        return Observation(fates | ({"wrong": wrong} if wrong else {}))
    fixture, decoded = state.fixture, decode(state)
    fates = Counter(decoded.outcomes)
    fates["zeroed"] = fates.pop("lost", 0)
    outside = [
        actor
        for actor in range(fixture.params.threads)
        if not is_suffix(decoded, range(actor * fixture.each, (actor + 1) * fixture.each))
    ]
    if outside:
        fates["outside"] = len(outside)
    note = "; ".join(f"of actor {actor} not the last are left" for actor in outside)
    return Observation(+fates, note=note)


def is_suffix(decoded: Decoded, mine: range) -> bool:
    """Whether those of ``mine`` that were zeroed came before all that were not."""
    gone = [index in decoded.lost for index in mine]
    return gone == sorted(gone, reverse=True)


THIRD = Scenario(
    10,
    "reset.third",
    "a third thread zeroes .grad in place while others accumulate",
    "contributions",
    start,
    add_or_zero,
    judge_third,
    {
        "racy": always(
            acceptable("kept", "came after the last zeroing"),
            required("zeroed", "came before a zeroing, or raced with one"),
            interesting("torn", "racy: met another contribution, or a zeroing half-way"),
            interesting("outside", "racy: lost to another contribution, not to a zeroing"),
            forbidden("doubled", "racy may lose, but counts no contribution twice"),
            NEVER_RAISES,
        ),
        **dict.fromkeys(
            EXACT,
            always(
                acceptable("kept", "came after the last zeroing"),
                required("zeroed", "came before a zeroing"),
                forbidden("torn", "zero_grad is atomic against accumulation"),
                forbidden("outside", "a zeroing takes all that came before it, or nothing"),
                forbidden("doubled", "no contribution counts twice"),
                NEVER_RAISES,
            ),
        ),
        "functional": always(
            acceptable("unaffected", "a functional gradient reads no .grad"),
            forbidden("wrong", "a functional gradient depends on its own call alone"),
            NEVER_RAISES,
        ),
    },
    prepare=coded,
    crew=one_more,
    minimum=lambda params: 1_000,
    sizes=around,
    tags=at_typical(quick_in("locked")),
)


# -- 11: every take is explained -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Recorded:
    """One trial, with all calls that were made of ``.grad``."""

    state: State
    recorder: Recorder


def start_recorded(fixture: Fixture) -> Recorded:
    """Nothing was called yet."""
    return Recorded(start(fixture), Recorder())


STEPS = 4  # of each actor: the search for an order is short


def record(recorded: Recorded, index: int) -> None:
    """Add and take in turn."""
    state = recorded.state
    first, leaf = index * state.fixture.each, state.leaf
    for c in range(first, first + times(state.fixture.params, min(STEPS, state.fixture.each))):
        gradient = state.fixture.gradients[c]
        recorded.recorder("add", c, partial(state.way.one, leaf.reshape(-1), leaf, gradient))
        recorded.recorder("take", None, partial(contents, state))


def contents(state: State) -> frozenset[int] | None:
    """Take what is there, and name it; None where it is torn or doubled."""
    taken = state.leaf.take_grad()
    if taken is None:
        return frozenset()
    total = len(state.fixture.gradients)
    decoded = Coding(state.fixture.params.dtype).decode(taken.numpy(), total)
    if decoded.torn or decoded.doubled or decoded.strange:
        return None
    return frozenset(range(total)) - set(decoded.lost)


def judge_history(recorded: Recorded) -> Observation:
    """Is there an order in which each take finds what was added since the one before?"""
    calls = recorded.recorder.calls
    explained = linearize(calls, bag, frozenset()) is not None
    key = "explained" if explained else "unexplained"
    return Observation({key: 1}, note="" if explained else explain(calls))


HISTORY = Scenario(
    11,
    "reset.history",
    "backwards and take_grad() in turn: some order of them explains what every take found",
    "histories",
    start_recorded,
    record,
    judge_history,
    dict.fromkeys(  # not in `ordered`: what comes early is added later than its call returns
        ("locked", "reproducible"),
        always(
            acceptable("explained", "each take found what was added since the one before"),
            forbidden("unexplained", "accumulation and take_grad are single steps"),
            NEVER_RAISES,
        ),
    ),
    prepare=coded,
)
