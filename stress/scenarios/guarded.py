"""What only shows where much comes together: long chains, and sums of many terms."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import fsum

import numpy as np

import engine
from engine.nn import functional
from stress.core.outcome import acceptable, forbidden
from stress.core.scenario import Observation, Params, Scenario
from stress.oracles.trap import GradTrap
from stress.scenarios.common import (
    EXACT,
    Array,
    Way,
    always,
    everywhere,
    fresh_leaf,
    quick_in,
    same_bits,
    tally,
    times,
    trapped,
)

__all__ = ["CARRIED", "DEEP", "ROWS"]


@dataclass(frozen=True, slots=True)
class Fixture:
    """What the trials of one run share. Immutable, but for the trap.

    ``swallowed``: names of errors that finalizers raised, and Python only reports; appended to by
    any thread: atomic.
    """

    params: Params
    trap: GradTrap | None
    swallowed: list[str]


@contextmanager
def watched(params: Params) -> Iterator[Fixture]:
    """The trap, in the mode that has one; and what happens in finalizers. Process-wide."""
    swallowed: list[str] = []

    def keep(args: sys.UnraisableHookArgs) -> None:
        swallowed.append(args.exc_type.__name__)

    before, sys.unraisablehook = sys.unraisablehook, keep
    try:
        with trapped(params) as trap:
            yield Fixture(params, trap, swallowed)
    finally:
        sys.unraisablehook = before


# -- 32: a long chain ------------------------------------------------------------------------------

LINKS = 2_000


@dataclass(frozen=True, slots=True)
class Chains:
    """One trial. ``right``: actor *i* alone writes item *i*."""

    fixture: Fixture
    right: list[bool]


def start_chains(fixture: Fixture) -> Chains:
    """Nothing yet."""
    return Chains(fixture, [False] * fixture.params.threads)


def descend(state: Chains, index: int) -> None:
    """Build a long chain, walk it, and let it go."""
    way, leaf = Way(state.fixture.params.mode), fresh_leaf(state.fixture.params)
    x = leaf * 1.0
    for _ in range(LINKS):
        x = x + 1.0
    result = way.one(x, leaf, engine.ones_like(x))
    del x
    total = way.read(leaf) if result is None else result
    state.right[index] = bool(np.all(total == 1.0))


def judge_chains(state: Chains) -> Observation:
    """Every chain gave its gradient."""
    right = sum(state.right)
    fates = {"kept": right, "wrong": len(state.right) - right}
    swallowed, state.fixture.swallowed[:] = list(state.fixture.swallowed), ()
    fates |= {f"swallowed {error}": swallowed.count(error) for error in swallowed}
    return Observation(tally(state.fixture.trap, fates))


DEEP = Scenario(
    32,
    "guarded.deep",
    f"a chain of {LINKS:,} nodes in each thread: walked and freed without a deep stack",
    "chains",
    start_chains,
    descend,
    judge_chains,
    everywhere(
        always(
            acceptable("kept", "depth costs no stack"),
            forbidden("*", "neither the walk nor the end of a graph is recursive"),
        )
    ),
    prepare=watched,
    sizes=lambda edge: (1,),
    minimum=lambda params: 10,
    explore=lambda params: (),
)


# -- 1: more terms than fit without a carry --------------------------------------------------------

TERMS = 80  # of one sign, and as large as they can be where the exact sum is cut


@dataclass(frozen=True, slots=True)
class Terms:
    """What the trials of one run share: contributions, and the bits of their sum. Immutable."""

    params: Params
    gradients: Sequence[engine.Tensor]
    exact: Array


@dataclass(frozen=True, slots=True)
class Summed:
    """One trial."""

    fixture: Terms
    way: Way
    leaf: engine.Tensor


@contextmanager
def many(params: Params) -> Iterator[Terms]:
    """Numbers just below a power of two that is a multiple of 48, with bits down to 2**-5."""
    random = np.random.default_rng(params.seed)
    parts = random.integers(2**52, 2**53, (TERMS, params.size)) / 2.0**5
    exact = np.array([fsum(column) for column in parts.T.tolist()])
    yield Terms(params, [engine.from_numpy(part) for part in parts], exact)


def start_many(fixture: Terms) -> Summed:
    """A fresh leaf."""
    params = fixture.params
    leaf = engine.zeros(params.size, dtype=params.dtype, requires_grad=True)
    return Summed(fixture, Way(params.mode), leaf)


def add_many(state: Summed, index: int) -> None:
    """Contribution *c* is that of actor *c* modulo their number."""
    for gradient in state.fixture.gradients[index :: state.fixture.params.threads]:
        state.way.one(state.leaf.reshape(-1), state.leaf, gradient)


def judge_many(state: Summed) -> Observation:
    """The bits of the exact sum, or others."""
    same = same_bits([state.way.read(state.leaf)], [state.fixture.exact])
    return Observation({"exact" if same else "other bits": 1})


CARRIED = Scenario(
    1,
    "guarded.carried",
    f"the exact sum of {TERMS} terms of one sign: more than a limb holds without a carry",
    "sums",
    start_many,
    add_many,
    judge_many,
    {
        "reproducible": always(
            acceptable("exact", "the exact sum, rounded once"),
            forbidden("*", "however many terms come, the sum is exact"),
        )
    },
    prepare=many,
    sizes=lambda edge: (1_000,),
    minimum=lambda params: 10,
    explore=lambda params: (),
)


# -- 3: rows that are looked up again and again ----------------------------------------------------

LOOKED_UP = (0, 1, 0, 2, 0, 1)  # rows of a table, some of them several times


@dataclass(frozen=True, slots=True)
class Lookups:
    """One trial. ``table``: a leaf whose gradients are rows."""

    params: Params
    way: Way
    table: engine.Tensor

    @property
    def each(self) -> int:
        """Backwards of one actor."""
        return times(self.params, 20)


def start_rows(params: Params) -> Lookups:
    """A fresh table."""
    shape = (max(LOOKED_UP) + 1, params.size)
    table = engine.zeros(*shape, dtype=params.dtype, requires_grad=True)
    return Lookups(params, Way(params.mode), table)


def look_up(state: Lookups, index: int) -> None:
    """Backwards of lookups: a row's gradients of one backward come several times, too."""
    for _ in range(state.each):
        rows = functional.embedding(np.array(LOOKED_UP), state.table, sparse=True)
        state.way([rows], [state.table], [engine.ones_like(rows)])


def judge_rows(state: Lookups) -> Observation:
    """Each row has a one for each time that it was looked up."""
    assert state.table.grad is not None
    total: Array = np.asarray(state.table.grad.to_dense())
    backwards = state.each * state.params.threads
    wanted = backwards * np.bincount(LOOKED_UP)[:, None]
    lost, doubled = bool(np.any(total < wanted)), bool(np.any(total > wanted))
    fates = {"kept": 0 if lost or doubled else backwards, "lost": lost, "doubled": doubled}
    return Observation(tally(None, fates))


ROWS = Scenario(
    3,
    "guarded.rows",
    "threads look up rows of one table, the same ones again and again: the sum counts them",
    "backwards",
    start_rows,
    look_up,
    judge_rows,
    dict.fromkeys(
        EXACT,
        always(
            acceptable("kept", "a row counts as often as it was looked up"),
            forbidden("*", "outside of racy no row is lost or counted twice"),
        ),
    ),
    sizes=lambda edge: (8,),
    explore=lambda params: (replace(params, size=1, explored=True),),
    tags=quick_in("locked"),
)
