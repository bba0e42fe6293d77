"""Many backwards meet one leaf: what becomes of their contributions?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

import engine
from stress.core.outcome import Outcome, acceptable, forbidden, interesting, required
from stress.core.scenario import Observation, Params, Scenario, quick
from stress.gilprobe import gil_enabled
from stress.oracles.coding import Coding
from stress.oracles.count import count
from stress.oracles.trap import GradTrap
from stress.scenarios.common import (
    ANY,
    EXACT,
    FUNCTIONAL,
    Array,
    Way,
    always,
    everywhere,
    fresh_leaf,
    private,
    quick_in,
    scattered,
    times,
    trapped,
)

__all__ = ["FIRST", "ONES", "SCATTERED", "SIZES", "Fixture", "coded", "coded_gradients", "named"]


# Elements from which on collisions are so frequent that a racy run without one has no power.
LOSS_SHOWS = 1_000_000


# Elements from which on a racy run has to show its loss where there is no GIL, or else is
# inconclusive. With it an addition of so few is over before the system has woken another thread.
RACES = 10_000


def shows_loss(params: Params) -> bool:
    """Whether a racy run without a loss has no power."""
    return params.size >= (LOSS_SHOWS if gil_enabled() else RACES)


@dataclass(frozen=True, slots=True)
class Fixture:
    """What the trials of one run share. Immutable, but for the trap.

    ``each``: contributions of one actor. ``gradients``: those of all actors, actor by actor.
    """

    params: Params
    each: int
    gradients: Sequence[engine.Tensor]
    trap: GradTrap | None


@dataclass(frozen=True, slots=True)
class State:
    """One trial. ``wrong``: actor *i* alone writes item *i*; ``outputs``: immutable.

    ``array``: what ``.grad`` was at the beginning, if it was there.
    """

    fixture: Fixture
    way: Way
    leaf: engine.Tensor
    outputs: Sequence[engine.Tensor]
    wrong: list[int]
    array: Array | None = None

    @property
    def offered(self) -> int:
        """Contributions of all actors together."""
        return self.fixture.each * len(self.wrong)

    def check(self, index: int, result: Array | None, expected: engine.Tensor) -> None:
        """Count a functional result that is not as expected."""
        if result is not None and not np.array_equal(result, expected.numpy()):
            self.wrong[index] += 1


# -- 1: ones, counted ------------------------------------------------------------------------------


@contextmanager
def ones(params: Params) -> Iterator[Fixture]:
    """One gradient for all; few contributions a trial where it is large, so trials stay short."""
    each = times(params, 50 if params.size < 100_000 else 10)
    with trapped(params) as trap:
        yield Fixture(params, each, [engine.ones(params.size, dtype=params.dtype)], trap)


def start_ones(fixture: Fixture) -> State:
    """A fresh leaf; explored, with a gradient: the first is written under its lock in any mode."""
    params = fixture.params
    leaf = fresh_leaf(params)
    array = None
    if params.explored and params.mode != "functional":
        leaf.grad = engine.zeros_like(leaf)
        array = leaf.grad.numpy()
    return State(fixture, Way(params.mode), leaf, (), [0] * params.threads, array)


def add_ones(state: State, index: int) -> None:
    """Next to nothing but accumulation: a view is the whole graph, so threads meet all the time."""
    fixture, leaf = state.fixture, state.leaf
    (gradient,) = fixture.gradients
    for _ in range(fixture.each):
        result = state.way.one(leaf.reshape(-1), leaf, gradient)
        state.check(index, result, gradient)


def count_ones(state: State) -> Observation:
    """Sum = number of contributions, or else as many are missing as the worst element says."""
    if state.fixture.trap is not None:
        return private(state.fixture.trap, state.offered, sum(state.wrong))
    assert state.leaf.grad is not None
    total = state.leaf.grad.numpy()
    counted = count(total, state.offered)
    fates = {"kept": state.offered - counted.worst - counted.most, "lost": counted.worst,
             "doubled": counted.most, "strange": counted.strange}  # fmt: skip
    note = f"up to {counted.worst} contributions missing from an element" if counted.worst else ""
    seen = {fate: times for fate, times in fates.items() if times}
    if state.array is not None and not np.shares_memory(state.array, total):
        seen["rebound"] = 1
    return Observation(seen, counted.lost, state.offered * total.size, note=note)


def racy_ones(params: Params) -> Sequence[Outcome]:
    """Losing is allowed in racy mode, and on large arrays it must show."""
    shows = required if shows_loss(params) or params.explored else interesting
    return (
        acceptable("kept", "the contribution is in every element"),
        shows("lost", "racy: a concurrent in-place addition was overwritten"),
        forbidden("doubled", "racy may lose, but counts no contribution twice"),
        STRANGE,
        REBOUND,
    )


STRANGE = forbidden("strange", "every element is the sum of some set of contributions")

REBOUND = forbidden("rebound", "what is added to a .grad is added in place, as in PyTorch")

ALL_COUNT = always(
    acceptable("kept", "every contribution counts exactly once"),
    forbidden("lost", "outside of racy nothing is lost"),
    forbidden("doubled", "nothing counts twice"),
    STRANGE,
    REBOUND,
)

ONES = Scenario(
    1,
    "accumulate.ones",
    "threads run backwards of ones into one leaf; the sum counts them",
    "contributions",
    start_ones,
    add_ones,
    count_ones,
    {
        "racy": racy_ones,
        **dict.fromkeys(EXACT, ALL_COUNT),
        "functional": FUNCTIONAL,
    },
    prepare=ones,
    sizes=lambda edge: (10_000, LOSS_SHOWS),
    minimum=lambda params: 20_000 if params.size <= 10_000 and params.mode == "locked" else 200,
    tags=lambda params: quick(params) if params.mode == "racy" or params.size < LOSS_SHOWS else ANY,
)


# -- 2: the first write ----------------------------------------------------------------------------


def coded_gradients(params: Params, total: int) -> list[engine.Tensor]:
    """Gradient *c* holds the code of contribution *c* in every element."""
    code = Coding(params.dtype)
    return [engine.from_numpy(np.full(params.size, code.value(c))) for c in range(total)]


@contextmanager
def pair(params: Params) -> Iterator[Fixture]:
    """One contribution for each of two actors."""
    with trapped(params) as trap:
        yield Fixture(params, 1, coded_gradients(params, 2), trap)


def start_first(fixture: Fixture) -> State:
    """A leaf whose ``.grad`` is None, and graphs that pass the caller's array through unchanged."""
    leaf = fresh_leaf(fixture.params)
    return State(fixture, Way(fixture.params.mode), leaf, [leaf + 0.0, leaf + 0.0], [0, 0])


def write_first(state: State, index: int) -> None:
    """One backward: both actors find ``.grad`` to be None."""
    fixture = state.fixture
    gradient = fixture.gradients[index]
    result = state.way.one(state.outputs[index], state.leaf, gradient)
    state.check(index, result, gradient)


def judge_first(state: State) -> Observation:
    """Both contributions arrived, in an array of the leaf's own."""
    fixture = state.fixture
    if fixture.trap is not None:
        return private(fixture.trap, 2, sum(state.wrong))
    assert state.leaf.grad is not None
    total = state.leaf.grad.numpy()
    decoded = Coding(fixture.params.dtype).decode(total, 2)
    seen = dict(decoded.outcomes)
    if any(np.shares_memory(total, gradient.numpy()) for gradient in fixture.gradients):
        seen["aliased"] = 1
    note = decoded.describe("actor {}".format)
    return Observation(seen, decoded.missing, 2 * total.size, note=note)


FIRST_WRITE = always(
    acceptable("kept", "both contributions are there"),
    forbidden("lost", "the first .grad is made under the leaf's lock, in racy mode too"),
    forbidden("torn", "with two threads, one makes the gradient and the other adds to it"),
    forbidden("doubled", "no contribution counts twice"),
    forbidden("aliased", ".grad never is an array of the caller"),
)

FIRST = Scenario(
    2,
    "accumulate.first",
    "two threads meet a leaf whose .grad is None",
    "contributions",
    start_first,
    write_first,
    judge_first,
    {**everywhere(FIRST_WRITE), "functional": FUNCTIONAL},
    prepare=pair,
    crew=lambda params: 2,
    minimum=lambda params: 400,
    tags=quick_in("racy", "locked"),
)


# -- 3: sizes on both sides of NumPy's threshold ---------------------------------------------------


@contextmanager
def coded(params: Params) -> Iterator[Fixture]:
    """As many contributions as one array can tell apart, shared out evenly."""
    each = times(params, max(1, Coding(params.dtype).capacity // params.threads))
    with trapped(params) as trap:
        yield Fixture(params, each, coded_gradients(params, each * params.threads), trap)


def add_codes(state: State, index: int) -> None:
    """A view as the whole graph: next to nothing but the accumulation itself."""
    fixture, leaf = state.fixture, state.leaf
    for gradient in fixture.gradients[index * fixture.each : (index + 1) * fixture.each]:
        state.way.one(leaf.reshape(-1), leaf, gradient)


def named(fixture: Fixture, contribution: int) -> str:
    """Whose contribution it was."""
    return f"thread {contribution // fixture.each} #{contribution % fixture.each}"


def decode_all(state: State) -> Observation:
    """The final array names what is missing."""
    fixture = state.fixture
    assert state.leaf.grad is not None
    total = state.leaf.grad.numpy()
    decoded = Coding(fixture.params.dtype).decode(total, state.offered)
    note = decoded.describe(lambda index: named(fixture, index))
    return Observation(decoded.outcomes, decoded.missing, state.offered * total.size, note=note)


def racy_codes(params: Params) -> Sequence[Outcome]:
    """Losing is allowed in racy mode; on large arrays collisions tear, and that must show."""
    return torn(shows_loss(params) or (params.explored and params.size > 1))


def torn(must: bool) -> Sequence[Outcome]:
    """What racy may do; ``must``: tearing is so likely that it has to show."""
    shows = required if must else interesting
    return (
        acceptable("kept", "the contribution is in every element"),
        shows("torn", "racy: overwritten in some elements, kept in others"),
        interesting("lost", "racy: overwritten in every element"),
        forbidden("doubled", "racy may lose, but counts no contribution twice"),
        STRANGE,
    )


ALL_KEPT = always(
    acceptable("kept", "every contribution counts exactly once"),
    forbidden("*", "outside of racy nothing is lost, torn or doubled"),
)


def of_sizes(params: Params) -> frozenset[str]:
    """Quick: racy everywhere but where there is nothing to tear, the others where it is likely."""
    if params.mode == "racy":
        return quick(params) if params.size > 1 else ANY
    return quick(params) if params.size == RACES else ANY


SIZES = Scenario(
    3,
    "accumulate.sizes",
    "coded contributions, on both sides of the size at which NumPy lets go of the GIL",
    "contributions",
    start_ones,
    add_codes,
    decode_all,
    {
        "racy": racy_codes,
        **dict.fromkeys(EXACT, ALL_KEPT),
    },
    prepare=coded,
    sizes=lambda edge: (1, edge - 1, edge, 10_000, 1_000_000),
    minimum=lambda params: 1_000 if params.size < LOSS_SHOWS else 200,
    tags=of_sizes,
)


def start_scattered(fixture: Fixture) -> State:
    """A leaf whose ``.grad`` lies all over memory."""
    state = start_ones(fixture)
    state.leaf.grad = scattered(fixture.params)
    return state


SCATTERED = Scenario(
    3,
    "accumulate.scattered",
    "coded contributions to a .grad that NumPy adds to by pieces: racy tears on every build",
    "contributions",
    start_scattered,
    add_codes,
    decode_all,
    {
        "racy": lambda params: torn(not params.explored or params.size > 1),
        **dict.fromkeys(EXACT, ALL_KEPT),
    },
    prepare=coded,
    minimum=lambda params: 1_000,
    tags=quick_in("racy", "locked"),
)
