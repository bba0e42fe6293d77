"""Backwards in the middle of backwards: in hooks, under locks of users, in finalizers."""

from __future__ import annotations

import gc
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from random import Random
from typing import Any

import numpy as np

import engine
from stress.core.outcome import Outcome, acceptable, forbidden, interesting
from stress.core.scenario import Observation, Params, Scenario
from stress.oracles.count import count
from stress.oracles.trap import GradTrap
from stress.scenarios.accumulate import STRANGE
from stress.scenarios.common import (
    EXACT,
    Declare,
    Way,
    always,
    fresh_leaf,
    observed,
    quick_in,
    tally,
    times,
    trapped,
)

__all__ = ["ABBA", "COLLECTED", "DEEP", "HOOKED"]

MANY = 10_000  # tickets that may wait: nested backwards wait for the one that they are in


@dataclass(frozen=True, slots=True)
class Fixture:
    """What the trials of one run share. Immutable, but for the trap."""

    params: Params
    trap: GradTrap | None


@contextmanager
def watched(params: Params) -> Iterator[Fixture]:
    """The trap, in the mode that has one."""
    with trapped(params) as trap:
        yield Fixture(params, trap)


@dataclass(slots=True)
class Trial:
    """One trial: two leaves, and how often each was contributed to.

    ``counts``: a name appended for each contribution, in any thread: atomic. ``wrong``: likewise,
    results that are not as expected; and ``dropped``, the points at which garbage died. ``lock``: a
    user's.
    """

    fixture: Fixture
    way: Way
    leaves: Sequence[engine.Tensor]
    lock: AbstractContextManager[Any]
    counts: list[int] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    handles: list[Any] = field(default_factory=list)
    output: engine.Tensor | None = None
    dropped: list[str] = field(default_factory=list)


def start(fixture: Fixture) -> Trial:
    """Two fresh leaves."""
    leaves = [fresh_leaf(fixture.params) for _ in range(2)]
    return Trial(fixture, Way(fixture.params.mode, MANY), leaves, engine.sync.lock())


def contribute(trial: Trial, *which: int, through: Callable[[Any], object] | None = None) -> None:
    """One backward of ones to these leaves, with the hook ``through`` on its way."""
    leaves = [trial.leaves[number] for number in which]
    with engine.enable_grad():  # a hook runs without
        outputs = [leaf * 1.0 for leaf in leaves]
    if through is not None:
        outputs[0].register_hook(through)
    results = trial.way(outputs, leaves, [engine.ones_like(leaf) for leaf in leaves])
    trial.wrong += ["wrong" for result in results or () if not np.all(result == 1.0)]
    trial.counts += which


def judge(trial: Trial) -> Observation:
    """Each leaf holds what was contributed to it."""
    counts, seen = Counter(trial.counts), Counter(trial.wrong)
    for number, leaf in enumerate(trial.leaves):
        seen["kept"] += counts[number]
        if trial.fixture.trap is None:
            counted = count(trial.way.read(leaf), counts[number])
            seen["kept"] -= counted.worst
            seen.update(lost=counted.worst, doubled=counted.most, strange=counted.strange)
    return Observation(tally(trial.fixture.trap, seen))


SOUND = (
    acceptable("kept", "the contribution counts exactly once"),
    forbidden("doubled", "nothing counts twice, in racy neither"),
    STRANGE,
    forbidden("wrong", "a functional gradient depends on its own call alone"),
    forbidden("touched *", "a functional gradient reads and writes no .grad"),
)
LOSSY: Declare = always(interesting("lost", "racy: overwritten by another backward"), *SOUND)
LOSSLESS: Declare = always(forbidden("lost", "outside of racy nothing is lost"), *SOUND)


def nesting(
    number: int, name: str, title: str, act: Callable[[Trial, int], None], *more: Outcome
) -> Scenario:
    """A scenario in which backwards run in odd places; what they contribute counts all the same."""
    outcomes = {
        "racy": lambda params: (*LOSSY(params), *more),
        **dict.fromkeys((*EXACT, "functional"), lambda params: (*LOSSLESS(params), *more)),
    }
    return Scenario(
        number,
        name,
        title,
        "contributions",
        start,
        act,
        judge,
        outcomes,
        prepare=watched,
        tags=quick_in("locked"),
    )


# -- 23: backwards in hooks in backwards -----------------------------------------------------------

DEPTH = 200  # every fortieth level gets a stack of its own


def dive(trial: Trial, index: int) -> None:
    """A backward whose hook runs a backward, and so on; with a pool of as few workers as can be."""
    with engine.WorkerPool(1 + index % 2, heavy=0):
        deeper(trial, times(trial.fixture.params, DEPTH, 2))


def deeper(trial: Trial, depth: int, g: object = None) -> None:
    """One level."""
    contribute(trial, 0, through=partial(deeper, trial, depth - 1) if depth else None)


DEEP = nesting(23, "nesting.deep", "backwards in hooks of backwards, 200 levels deep", dive)


# -- 25: hooks that do what hooks may do -----------------------------------------------------------


def hook_and_walk(trial: Trial, index: int) -> None:
    """All walk backwards whose hook takes the user's lock, and does all sorts of things."""
    for _ in range(times(trial.fixture.params, 5)):
        contribute(trial, index % 2, through=partial(meddle, trial, (index + 1) % 2))


def meddle(trial: Trial, other: int, g: object) -> None:
    """Under the user's lock: a backward to the leaf of the others, and hooks come and go."""
    with trial.lock:
        contribute(trial, other)
        handle = trial.leaves[other].register_hook(lambda g: None)
        trial.handles.append(handle)
        if len(trial.handles) > 1:
            trial.handles.pop(0).remove()


HOOKED = nesting(
    25,
    "nesting.hooked",
    "hooks take a lock of the user, run backwards under it, and register and remove hooks",
    hook_and_walk,
)


# -- 26: two leaves in opposite order --------------------------------------------------------------


def cross(trial: Trial, index: int) -> None:
    """Contribute to both leaves: half of the actors to the one first, half to the other."""
    for _ in range(times(trial.fixture.params, 20)):
        contribute(trial, *((0, 1) if index % 2 else (1, 0)))


ABBA = nesting(
    26,
    "nesting.abba",
    "backwards commit to two leaves in opposite order: no deadlock",
    cross,
)


# -- 34: finalizers that run backwards -------------------------------------------------------------


class Garbage:
    """Its finalizer runs in the middle of anything; of a circle that only the collector frees."""

    def __init__(self, trial: Trial, *, circle: bool) -> None:
        self.trial, self.me = trial, self if circle else None

    def __del__(self) -> None:
        contribute(self.trial, 0, 1)
        self.trial.leaves[1].register_hook(lambda g: None).remove()


EVERY = 7  # points of the engine, of which one lets garbage die: drawn, or it would be the same one


class Here(threading.local):
    """What this thread litters, None in the middle of a finalizer. Thread-local."""

    trial: Trial | None = None

    def __init__(self) -> None:
        self.random = Random(0)


here = Here()


def drop(point: str, subject: object) -> None:
    """Let garbage die now and then: without the GIL the collector comes too seldom for that.

    None inside of a finalizer: else each would bring about the next, without end.
    """
    trial = here.trial
    if trial is not None and here.random.randrange(EVERY) == 0:
        here.trial = None
        trial.dropped.append(point)
        Garbage(trial, circle=False)
        here.trial = trial


@contextmanager
def collecting(params: Params) -> Iterator[Fixture]:
    """The collector is called as often as it lets itself be."""
    before = gc.get_threshold()
    with watched(params) as fixture, observed(drop):
        gc.set_threshold(10, 2, 2)
        try:
            yield fixture
        finally:
            gc.set_threshold(*before)


def litter(trial: Trial, index: int) -> None:
    """Contribute, and leave garbage behind that contributes when it is collected."""
    here.trial = trial
    try:
        for _ in range(times(trial.fixture.params, 10)):
            Garbage(trial, circle=True)
            contribute(trial, 0)
    finally:
        here.trial = None


def judge_collected(trial: Trial) -> Observation:
    """The same, when all garbage is gone. Where none died in a backward nothing has met."""
    gc.collect()
    return replace(judge(trial), overlapped=None if trial.dropped else False)


COLLECTED = Scenario(
    34,
    "nesting.collected",
    "finalizers run backwards and touch hooks, whatever the thread they interrupt is at",
    "contributions",
    start,
    litter,
    judge_collected,
    {"racy": LOSSY, **dict.fromkeys((*EXACT, "functional"), LOSSLESS)},
    prepare=collecting,
    minimum=lambda params: 1_000,
    explore=lambda params: (),
    tags=quick_in("locked"),
)
