"""Modes of threads: carried to whoever helps, and seen by nobody else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import engine
from stress.core.outcome import acceptable, forbidden
from stress.core.scenario import Observation, Params, Scenario
from stress.scenarios.common import Way, always, everywhere, fresh_leaf, quick_in, tally, times
from stress.scenarios.nesting import Fixture, watched

__all__ = ["CARRIED", "ISOLATED"]

Seen = tuple[Any, ...]

WHOSE: ContextVar[int | None] = ContextVar("WHOSE", default=None)  # which actor has set it


def modes() -> Seen:
    """What this thread sees of what is carried."""
    errors = tuple(sorted(np.geterr().items()))
    return engine.is_grad_enabled(), engine.is_inference_mode_enabled(), errors, WHOSE.get()


# -- 30: a worker sees the caller's modes ----------------------------------------------------------

ERRORS = ("ignore", "warn", "raise", "call")  # NumPy's, one for each actor in turn


@dataclass(slots=True)
class Carried:
    """One trial. ``seen``: (actor, what a hook or a task saw), appended in any thread: atomic.

    ``expected``: what each actor has set; ``after``: whether it found that again at the end. Actor
    *i* alone writes item *i* of both.
    """

    fixture: Fixture
    way: Way
    expected: list[tuple[Seen, Seen]]
    after: list[bool]
    seen: list[tuple[int, str, Seen]] = field(default_factory=list)


def callers(params: Params) -> int:
    """One where every schedule is tried: its worker has hooks and tasks of different modes."""
    return times(params, params.threads)


def start_carried(fixture: Fixture) -> Carried:
    """Nobody has seen anything."""
    params = fixture.params
    none: list[tuple[Seen, Seen]] = [((), ())] * callers(params)
    return Carried(fixture, Way(params.mode), none, [False] * callers(params))


def carry(state: Carried, index: int) -> None:
    """Set modes, and look from hooks of a backward, and from submitted tasks, what they see."""
    wanted: Any = ERRORS[index % len(ERRORS)]
    before, token = modes(), WHOSE.set(index)
    helpers = max(1, state.fixture.params.threads - 1)
    with engine.WorkerPool(helpers, heavy=0), np.errstate(all=wanted):
        walk(state, index)
        with engine.set_grad_enabled(index % 2 == 0):
            in_tasks = modes()
            handles = [engine.submit(modes) for _ in range(times(state.fixture.params, 3))]
            state.seen += [(index, "task", handle.result()) for handle in handles]
        with engine.no_grad():
            in_hooks = modes()  # a backward that is not recorded
        state.expected[index] = in_hooks, in_tasks
    WHOSE.reset(token)
    state.after[index] = modes() == before


def walk(state: Carried, index: int) -> None:
    """One backward of several branches, each with a hook that looks around."""
    leaf = fresh_leaf(state.fixture.params)
    branches = [leaf.exp() * 1.0 for _ in range(times(state.fixture.params, 6, 2))]
    for branch in branches:
        branch.register_hook(lambda g: state.seen.append((index, "hook", modes())))
    Way(state.way.mode)(branches, [leaf], [engine.ones_like(branch) for branch in branches])


def judge_carried(state: Carried) -> Observation:
    """Everybody saw the modes of the actor that it worked for."""
    seen: Counter[str] = Counter()
    for index, where, what in state.seen:
        wanted = state.expected[index][where == "task"]
        seen["as set" if what == wanted else f"other modes in a {where}"] += 1
    seen["changed afterwards"] = state.after.count(False)
    return Observation(tally(state.fixture.trap, seen))


CARRIED = Scenario(
    30,
    "modes.carried",
    "hooks and tasks in workers see recording, np.errstate and context of whom they work for",
    "sightings",
    start_carried,
    carry,
    judge_carried,
    everywhere(
        always(
            acceptable("as set", "a worker takes over the modes of the backward or task it runs"),
            forbidden("other modes *", "no mode of one task reaches another"),
            forbidden("changed afterwards", "a thread has its own modes again at the end"),
            forbidden("touched *", "a functional gradient reads and writes no .grad"),
        )
    ),
    prepare=watched,
    crew=callers,
    minimum=lambda params: 500,
    tags=quick_in("locked"),
)


# -- 31: a thread that flips its modes -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Isolated:
    """One trial. ``wrong``: actor *i* alone writes item *i*."""

    fixture: Fixture
    ways: Sequence[Way]
    leaf: engine.Tensor
    wrong: list[int]


GRAPHS = 20  # that an actor builds


def start_isolated(fixture: Fixture) -> Isolated:
    """One leaf for all."""
    params = fixture.params
    ways = [Way(params.mode) for _ in range(params.threads)]
    return Isolated(fixture, ways, fresh_leaf(params), [0] * params.threads)


def build_or_flip(state: Isolated, index: int) -> None:
    """The last actor flips its modes, the others build graphs and walk them."""
    flips = index == state.fixture.params.threads - 1
    for _ in range(times(state.fixture.params, GRAPHS)):
        state.wrong[index] += not (flip(state.leaf) if flips else build(state, index))


def flip(leaf: engine.Tensor) -> bool:
    """Whether every mode says what was set last."""
    with engine.no_grad():
        off = (leaf * 2.0).requires_grad
        with engine.enable_grad():
            on = (leaf * 2.0).requires_grad
        with engine.inference_mode():
            without = (leaf * 2.0).requires_grad
    return (off, on, without) == (False, True, False)


def build(state: Isolated, index: int) -> bool:
    """Whether a graph is built, and has the gradient that it should have."""
    leaf = fresh_leaf(state.fixture.params)
    output = leaf * 2.0 + state.leaf.detach()
    if not output.requires_grad:
        return False
    result = state.ways[index].one(output, leaf, engine.ones_like(output))
    return bool(np.all((state.ways[index].read(leaf) if result is None else result) == 2.0))


def judge_isolated(state: Isolated) -> Observation:
    """Nobody saw the flips of another."""
    wrong = sum(state.wrong)
    samples = times(state.fixture.params, GRAPHS) * state.fixture.params.threads
    return Observation(tally(state.fixture.trap, {"own": samples - wrong, "foreign": wrong}))


ISOLATED = Scenario(
    31,
    "modes.isolated",
    "one thread turns recording off and on while others build graphs",
    "graphs",
    start_isolated,
    build_or_flip,
    judge_isolated,
    everywhere(
        always(
            acceptable("own", "a thread records as it was told itself"),
            forbidden("foreign", "modes are thread-local"),
            forbidden("touched *", "a functional gradient reads and writes no .grad"),
        )
    ),
    prepare=watched,
    minimum=lambda params: 500,
    tags=quick_in("locked"),
)
