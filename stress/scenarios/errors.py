"""Backwards that fail or are cancelled: which error is raised, and what is written all the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

import engine
from engine.errors import CancelledError
from engine.sync import Empty
from stress.core.outcome import acceptable, forbidden, interesting
from stress.core.scenario import Observation, Params, Scenario, one_actor
from stress.oracles.order import NodeLog, overlapping
from stress.oracles.trap import GradTrap
from stress.scenarios.common import (
    EXACT,
    Array,
    Declare,
    Way,
    always,
    everywhere,
    fresh_leaf,
    observed,
    quick_in,
    tally,
    times,
    trapped,
)

__all__ = ["CANCELLED", "ONE", "TWO"]


class Planned(Exception):
    """What the hooks of these scenarios raise."""


@dataclass(frozen=True, slots=True)
class Watched:
    """What the trials of one run share."""

    params: Params
    log: NodeLog
    trap: GradTrap | None


@contextmanager
def watched(params: Params) -> Iterator[Watched]:
    """Log every node that runs, in whatever thread."""
    log = NodeLog()
    with observed(log), trapped(params) as trap:
        yield Watched(params, log, trap)


# -- 20, 21: an error in a node, errors in two -----------------------------------------------------

BRANCHES = 6


@dataclass(slots=True)
class Failing:
    """One trial. ``raised``: the branches whose hook raised, appended to in any thread: atomic.

    ``bells``: how the hooks of branches that fail meet. Everything else belongs to the one actor.
    """

    fixture: Watched
    fails: tuple[int, ...]
    way: Way
    leaves: Sequence[engine.Tensor]
    bells: Sequence[object] = ()
    raised: list[int] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    kept: Array | None = None
    met: bool = False


def start_failing(fixture: Watched, *, fails: tuple[int, ...]) -> Failing:
    """Leaves that have a gradient already, so that a backward that fails could spoil it."""
    fixture.log.take()
    leaves = [fresh_leaf(fixture.params) for _ in range(BRANCHES)]
    for leaf in leaves if fixture.trap is None else ():
        leaf.grad = engine.ones_like(leaf)
    return Failing(fixture, fails, Way(fixture.params.mode), leaves)


def fail(state: Failing, branch: int, g: object) -> None:
    """The hook: wait a moment for the other one that fails, then raise."""
    if branch not in state.fails:
        return
    for other, bell in zip(state.fails, state.bells, strict=True):
        if other != branch:
            bell.put(None)  # type: ignore[attr-defined]
    if len(state.fails) > 1:
        with suppress(Empty):  # on its own, if no other thread has come for the other branch
            mine = state.bells[state.fails.index(branch)]
            mine.get(timeout=0.05)  # type: ignore[attr-defined]
    state.raised.append(branch)
    raise Planned(branch)


def run_failing(state: Failing, index: int) -> None:
    """A backward that fails, and then one that does not, with the same pool."""
    params = state.fixture.params
    state.bells = [engine.sync.queue() for _ in state.fails]
    with engine.WorkerPool(max(1, params.threads - 1), heavy=0):
        branches = [leaf.exp() * 1.0 for leaf in state.leaves]
        for number, branch in enumerate(branches):
            branch.register_hook(partial(fail, state, number))
        try:
            state.way(branches, state.leaves, [engine.ones_like(b) for b in branches])
            state.seen.append("no error")
        except Planned as error:
            state.seen += check_error(state, error)
        state.kept = None if state.fixture.trap else gradients(state)
        state.met = overlapping(state.fixture.log.take())
        state.seen += check_pool(state)


def gradients(state: Failing) -> Array:
    """All that is in ``.grad`` of the leaves."""
    return np.concatenate([state.way.read(leaf) for leaf in state.leaves])


def check_error(state: Failing, error: Planned) -> list[str]:
    """The branch that a single thread would have met first: the newest; the others in notes."""
    first, notes = error.args[0], "\n".join(getattr(error, "__notes__", ()))
    wrong = [] if first == max(state.raised) else ["not the first"]
    untold = [b for b in state.raised if b != first and f"Planned({b})" not in notes]
    return wrong + ["an error is lost"] * bool(untold)


def check_pool(state: Failing) -> list[str]:
    """Pool and way are of use afterwards: a ticket, say, is not waited for."""
    leaf = fresh_leaf(state.fixture.params)
    branches = [leaf.exp() for _ in range(BRANCHES)]
    results = state.way(branches, [leaf], [engine.ones_like(b) for b in branches])
    total = results[0] if results else state.way.read(leaf)
    return [] if np.all(total == BRANCHES) else ["pool of no use"]


def judge_failing(state: Failing) -> Observation:
    """Everything about the error is as promised, and no ``.grad`` has changed."""
    trap = state.fixture.trap
    seen = dict.fromkeys(state.seen, 1)
    if trap is None:
        assert state.kept is not None
        now = gradients(state)
        if not np.array_equal(now, state.kept):
            seen["written after the raise"] = 1
        if not np.all(now == 1.0):
            seen["written"] = 1
    allowed = {"written"} if state.fixture.params.mode == "racy" else set()
    if not seen.keys() - allowed:
        seen["as promised"] = 1
    return Observation(tally(trap, seen), overlapped=state.met)


PROMISED = (
    acceptable("as promised", "the first error by sequence, the others told, the pool usable"),
    forbidden("written after the raise", "when a backward raises, its workers have stopped"),
    forbidden("*", "an error is raised, the first by sequence, with the others in its notes"),
)

FAILURES: dict[str, Declare] = {
    "racy": always(interesting("written", "racy: what arrived before the error stays"), *PROMISED),
    **dict.fromkeys(
        (*EXACT, "functional"),
        always(forbidden("written", "a backward that raises changes no .grad"), *PROMISED),
    ),
}


def failure(number: int, name: str, title: str, *fails: int) -> Scenario:
    """A scenario in which the hooks of these branches raise."""
    return Scenario(
        number, name, title, "backwards", partial(start_failing, fails=fails), run_failing,
        judge_failing, FAILURES, prepare=watched, crew=one_actor, minimum=lambda params: 20,
        tags=quick_in("locked"),
    )  # fmt: skip


# The pool's worker is offered the newest branch; the caller goes on with the one before it.
ONE = failure(20, "errors.one", "a node raises while workers are busy with others", 2)
TWO = failure(21, "errors.two", "two nodes raise at once: one is raised, none is lost", 5, 4)


# -- 22: cancelled in the middle -------------------------------------------------------------------

CHAIN = 8  # nodes that a task may be stopped at


@dataclass(frozen=True, slots=True)
class Submitted:
    """One trial: backwards, which one actor submits and awaits, and another cancels.

    ``given``: a queue of handles from the one to the other. ``answers``: of ``cancel``; the second
    actor alone writes it. ``fates``: the first alone.
    """

    fixture: Watched
    way: Way
    leaves: Sequence[engine.Tensor]
    given: Any
    answers: list[bool]
    fates: list[str]


def start_submitted(fixture: Watched) -> Submitted:
    """A leaf for each backward."""
    params = fixture.params
    leaves = [fresh_leaf(params) for _ in range(times(params, 8))]
    return Submitted(fixture, Way(params.mode), leaves, engine.sync.queue(), [], [])


def submitted(way: Way, leaf: engine.Tensor) -> engine.Handle:
    """A task of several nodes."""
    x = leaf + 0.0
    for _ in range(CHAIN):
        x = x * 1.0
    seed = engine.ones_like(x)
    if way.mode == "functional":
        return engine.submit(engine.grad, [x], [leaf], [seed])
    with engine.accumulation(way.mode, way.tickets):
        return engine.submit(x.backward, seed)


def await_or_cancel(state: Submitted, index: int) -> None:
    """One submits and awaits, the other cancels."""
    if index == 1:
        state.answers.extend(state.given.get().cancel() for _ in state.leaves)
        return
    with engine.WorkerPool(1):  # its end waits for the worker: what is written late is written
        handles = [submitted(state.way, leaf) for leaf in state.leaves]
        for handle in handles:
            state.given.put(handle)
        state.fates.extend(map(fate, handles))


def fate(handle: engine.Handle) -> str:
    """How a task ended."""
    try:
        result = handle.result()
    except CancelledError:
        return "cancelled"
    return "done" if result is None or np.all(result[0].numpy() == 1.0) else "wrong"


def judge_submitted(state: Submitted) -> Observation:
    """``cancel`` tells the truth: cancelled is unwritten, done is written, and nothing is half."""
    seen: dict[str, int] = {}
    trap = state.fixture.trap
    for leaf, told, end in zip(state.leaves, state.answers, state.fates, strict=True):
        key = end if told == (end == "cancelled") else f"told {told}, but {end}"
        if trap is None and key in ("done", "cancelled"):
            whole = np.all(state.way.read(leaf) == float(key == "done"))
            key = key if whole else f"{key}, but .grad says otherwise"
        seen[key] = seen.get(key, 0) + 1
    return Observation(tally(trap, seen))


TRUTH = (
    acceptable("done", "it came too late: the task is done, and what it computed is written"),
    acceptable("cancelled", "the task has ended, and nothing of it is written"),
    forbidden("*", "cancel() says whether the task is written, and result() says the same"),
)

CANCELLED = Scenario(
    22,
    "errors.cancelled",
    "submitted backwards are cancelled while they run: cancelled and unwritten, or done",
    "tasks",
    start_submitted,
    await_or_cancel,
    judge_submitted,
    everywhere(always(*TRUTH)),
    prepare=watched,
    crew=lambda params: 2,
    tags=quick_in("locked"),
)
