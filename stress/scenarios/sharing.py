"""Several backwards of one graph, of one part of it, or on one leaf in different modes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

import engine
from engine.errors import GraphReleasedError
from stress.core.outcome import Outcome, acceptable, forbidden, interesting, required
from stress.core.scenario import Observation, Params, Scenario, quick
from stress.oracles.trap import GradTrap
from stress.scenarios.accumulate import RACES, Fixture, State, coded, decode_all, start_ones
from stress.scenarios.common import (
    ANY,
    EXACT,
    FUNCTIONAL,
    Array,
    Way,
    always,
    around,
    at_typical,
    everywhere,
    fresh_leaf,
    quick_in,
    same_bits,
    tally,
    times,
    trapped,
)

__all__ = ["FUNCTIONS", "MIXED", "RELEASED", "RETAINED", "TWICE"]


# -- 6, 8: without retain_graph, exactly one backward has what the graph has saved -----------------


@dataclass(frozen=True, slots=True)
class Shared:
    """What the trials of one run share. Immutable, but for the trap."""

    params: Params
    trap: GradTrap | None


@dataclass(frozen=True, slots=True)
class Contest:
    """One trial: a root for each actor. ``fates``: actor *i* alone writes item *i*."""

    fixture: Shared
    way: Way
    leaf: engine.Tensor
    roots: Sequence[engine.Tensor]
    fates: list[str]


@contextmanager
def shared(params: Params) -> Iterator[Shared]:
    """Nothing but the trap."""
    with trapped(params) as trap:
        yield Shared(params, trap)


def part_of(leaf: engine.Tensor) -> engine.Tensor:
    """Some nodes that save what they need; the gradient of their sum is 4 in every element."""
    x = leaf + 1.0
    return x * x * 2.0


def contest(fixture: Shared, roots: Sequence[engine.Tensor], leaf: engine.Tensor) -> Contest:
    """A trial with these roots."""
    return Contest(fixture, Way(fixture.params.mode), leaf, roots, [""] * len(roots))


def start_twice(fixture: Shared) -> Contest:
    """One root for all."""
    leaf = fresh_leaf(fixture.params)
    return contest(fixture, [part_of(leaf)] * fixture.params.threads, leaf)


def start_released(fixture: Shared) -> Contest:
    """Roots of their own, above a part that they share."""
    leaf = fresh_leaf(fixture.params)
    part = part_of(leaf)
    return contest(fixture, [part * 1.0 for _ in range(fixture.params.threads)], leaf)


def compete(state: Contest, index: int) -> None:
    """One backward without ``retain_graph``."""
    root = state.roots[index]
    try:
        result = state.way.one(root, state.leaf, engine.ones_like(root))
    except GraphReleasedError:
        state.fates[index] = "refused"
    else:
        state.fates[index] = "won" if result is None or np.all(result == 4.0) else "wrong"


def judge_contest(state: Contest) -> Observation:
    """Exactly one has won, and what it computed is right."""
    trap, fates = state.fixture.trap, state.fates
    won = fates.count("won")
    key = "one won" if won == 1 else f"{won} won"
    right = trap is not None or np.all(state.way.read(state.leaf) == 4.0 * won)
    wrong = "wrong" in fates or not right
    return Observation(tally(trap, {key: 1, "wrong": wrong}))


ONE_WINS = everywhere(
    always(
        acceptable("one won", "one backward has what the graph saved, the others are refused"),
        forbidden("* won", "what a graph has saved is consumed exactly once"),
        forbidden("wrong", "whoever is not refused computes the right gradient"),
        forbidden("touched *", "a functional gradient reads and writes no .grad"),
    )
)

RELEASED = Scenario(
    6,
    "sharing.released",
    "backwards of several roots above one part, without retain_graph: one wins",
    "contests",
    start_released,
    compete,
    judge_contest,
    ONE_WINS,
    prepare=shared,
    tags=quick_in("locked"),
)

TWICE = Scenario(
    8,
    "sharing.twice",
    "backwards of one root from several threads, without retain_graph: one wins",
    "contests",
    start_twice,
    compete,
    judge_contest,
    ONE_WINS,
    prepare=shared,
    tags=quick_in("locked"),
)


# -- 7: with retain_graph, all of them are right ---------------------------------------------------


@dataclass(frozen=True, slots=True)
class Kept:
    """One trial. ``output``: of the one graph; ``wrong``: actor *i* alone writes item *i*."""

    state: State
    output: engine.Tensor


def start_retained(fixture: Fixture) -> Kept:
    """A graph that saves something; its gradient is what comes in."""
    state = start_ones(fixture)
    x = state.leaf + 1.0
    return Kept(state, x * x * 0.5)


def add_retained(kept: Kept, index: int) -> None:
    """Walk the one graph again and again."""
    state, fixture = kept.state, kept.state.fixture
    for gradient in fixture.gradients[index * fixture.each : (index + 1) * fixture.each]:
        results = state.way([kept.output], [state.leaf], [gradient], retain=True)
        state.check(index, results[0] if results else None, gradient)


def judge_retained(kept: Kept) -> Observation:
    """Every contribution of every walk arrived."""
    state = kept.state
    if state.fixture.trap is None:
        return decode_all(state)
    wrong = sum(state.wrong)
    fates = {"kept": state.offered - wrong, "wrong": wrong}
    return Observation(tally(state.fixture.trap, fates))


RACY_LOSS = (
    acceptable("kept", "the contribution is in every element"),
    interesting("lost", "racy: overwritten in every element"),
    interesting("torn", "racy: overwritten in some elements, kept in others"),
    forbidden("*", "racy may lose, but counts nothing twice and invents nothing"),
)

RETAINED = Scenario(
    7,
    "sharing.retained",
    "one graph walked by several threads again and again, with retain_graph",
    "contributions",
    start_retained,
    add_retained,
    judge_retained,
    {
        "racy": always(*RACY_LOSS),
        **dict.fromkeys(
            EXACT,
            always(
                acceptable("kept", "every walk gives the whole gradient, and it counts once"),
                forbidden("*", "walks of one graph do not disturb each other"),
            ),
        ),
        "functional": FUNCTIONAL,
    },
    prepare=coded,
    sizes=around,
    tags=at_typical(quick_in("locked")),
)


# -- 37: modes that meet on one leaf ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Mixed:
    """One trial. ``ways``: of the actors, the first is racy."""

    state: State
    ways: Sequence[Way]


def start_mixed(fixture: Fixture) -> Mixed:
    """Actor 0 is racy, the others are not."""
    state = start_ones(fixture)
    ways = [Way("racy")] + [state.way] * (fixture.params.threads - 1)
    return Mixed(state, ways)


def add_mixed(mixed: Mixed, index: int) -> None:
    """As ever, each in its own mode."""
    state, fixture = mixed.state, mixed.state.fixture
    for gradient in fixture.gradients[index * fixture.each : (index + 1) * fixture.each]:
        mixed.ways[index].one(state.leaf.reshape(-1), state.leaf, gradient)


def judge_mixed(mixed: Mixed) -> Observation:
    """The final array names what is missing."""
    return decode_all(mixed.state)


UNLOCKED = "the racy thread takes no lock, so the lock of the other does not help"


def mixed_codes(params: Params) -> Sequence[Outcome]:
    """A lock protects those who take it; that the racy one does not must show on large arrays."""
    tears = params.size > RACES or (params.explored and params.size > 1)
    shows = required if tears and params.mode != "reproducible" else interesting
    return (
        acceptable("kept", "the contribution is in every element"),
        shows("torn", "the racy thread takes no lock, so the lock of the other does not help"),
        interesting(
            "lost", "the racy thread takes no lock, so the lock of the other does not help"
        ),
        forbidden("*", "racy may lose, but counts nothing twice and invents nothing"),
    )


MIXED = Scenario(
    37,
    "sharing.mixed",
    "one thread racy, the others not, on one leaf: a lock protects only those who take it",
    "contributions",
    start_mixed,
    add_mixed,
    judge_mixed,
    dict.fromkeys(EXACT, mixed_codes),
    prepare=coded,
    sizes=lambda edge: (10_000, 1_000_000),
    minimum=lambda params: 1_000 if params.size <= RACES else 100,
    tags=lambda params: quick(params) if params.mode == "locked" and params.size > RACES else ANY,
)


# -- 38: functional gradients of one graph ---------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Functions:
    """What the trials share: inputs, and the gradients that a single thread finds. Immutable."""

    params: Params
    leaves: Sequence[engine.Tensor]
    expected: tuple[Array, ...]
    trap: GradTrap | None


@dataclass(frozen=True, slots=True)
class Calls:
    """One trial. ``wrong``: actor *i* alone writes item *i*."""

    fixture: Functions
    output: engine.Tensor
    wrong: list[int]


def of_inputs(leaves: Sequence[engine.Tensor]) -> engine.Tensor:
    """A graph in which both inputs meet several times."""
    x, y = leaves
    met: engine.Tensor = (x * y).tanh() + (x - y) * x.exp()
    return met


@contextmanager
def functions(params: Params) -> Iterator[Functions]:
    """The inputs of all trials, and the bits of a run alone."""
    random = np.random.default_rng(params.seed)
    parts = random.normal(size=(2, params.size)).astype(params.dtype)
    leaves = [engine.tensor(part, requires_grad=True) for part in parts]
    with engine.WorkerPool(0):
        expected = gradients_of(of_inputs(leaves), leaves)
    with trapped(params) as trap:
        yield Functions(params, leaves, expected, trap)


def gradients_of(output: engine.Tensor, leaves: Sequence[engine.Tensor]) -> tuple[Array, ...]:
    """The functional gradients, of a graph that others walk as well."""
    results = Way("functional")([output], leaves, [engine.ones_like(output)], retain=True)
    assert results is not None
    return results


def start_functions(fixture: Functions) -> Calls:
    """One graph for all."""
    return Calls(fixture, of_inputs(fixture.leaves), [0] * fixture.params.threads)


CALLS = 5  # of each actor in a trial


def call(state: Calls, index: int) -> None:
    """The same gradients again and again; each time the same bits."""
    fixture = state.fixture
    for _ in range(times(fixture.params, CALLS)):
        got = gradients_of(state.output, fixture.leaves)
        state.wrong[index] += not same_bits(got, fixture.expected)


def judge_calls(state: Calls) -> Observation:
    """Deviations from the bits of a run alone, and whatever the trap caught."""
    params, wrong = state.fixture.params, sum(state.wrong)
    samples = times(params, CALLS) * params.threads
    return Observation(tally(state.fixture.trap, {"kept": samples - wrong, "wrong": wrong}))


FUNCTIONS = Scenario(
    38,
    "sharing.functional",
    "functional gradients of one graph on shared inputs: the bits of a run alone, .grad untouched",
    "gradients",
    start_functions,
    call,
    judge_calls,
    {"functional": FUNCTIONAL},
    prepare=functions,
)
