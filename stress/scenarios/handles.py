"""Handles keep their word: that of a hook takes it out, that of a task ends it when time is up."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from threading import get_ident
from time import monotonic, sleep
from typing import Any

import numpy as np

import engine
from engine.errors import DeadlineError
from stress.core.outcome import Outcome, acceptable, forbidden
from stress.core.scenario import Observation, Params, Scenario
from stress.scenarios.common import (
    Declare,
    Way,
    always,
    everywhere,
    fresh_leaf,
    quick_in,
    tally,
    times,
)
from stress.scenarios.nesting import Fixture, watched

__all__ = ["DEADLINE", "REMOVED"]


@dataclass(slots=True)
class Trial:
    """One trial. ``shared``: a tensor of the graph of all; ``seen``: appended to by any thread."""

    fixture: Fixture
    way: Way
    leaf: engine.Tensor
    shared: engine.Tensor
    seen: list[str] = field(default_factory=list)


def start(fixture: Fixture) -> Trial:
    """A leaf, and what all graphs begin with."""
    leaf = fresh_leaf(fixture.params)
    return Trial(fixture, Way(fixture.params.mode), leaf, leaf * 1.0)


def judge(trial: Trial) -> Observation:
    """What was seen."""
    fates = {fate: trial.seen.count(fate) for fate in dict.fromkeys(trial.seen)}
    return Observation(tally(trial.fixture.trap, fates))


def promising(*more: Outcome) -> dict[str, Declare]:
    """The outcomes, the same in every mode."""
    kept = acceptable("kept", "the handle's word was kept")
    none = forbidden("touched *", "a functional gradient reads and writes no .grad")
    return everywhere(always(kept, none, *more))


# -- 25: hooks come and go -------------------------------------------------------------------------


def come_and_go(trial: Trial, index: int) -> None:
    """Hook the tensor that all hook, and walk; take the hook out, and walk again."""
    with engine.WorkerPool(0):  # so a hook is called by the thread whose backward it is
        for _ in range(times(trial.fixture.params, 10)):
            callers: list[int] = []
            handle = trial.shared.register_hook(lambda g, add=callers.append: add(get_ident()))
            walk(trial)
            called = callers.count(get_ident())
            handle.remove()
            walk(trial)
            trial.seen.append(FATES.get((called, callers.count(get_ident()) - called), "twice"))


FATES = {(1, 0): "kept", (0, 0): "never called", (0, 1): "called late", (1, 1): "not removed"}


def walk(trial: Trial) -> None:
    """A backward through what is shared."""
    output = trial.shared * 1.0
    trial.way([output], [trial.leaf], [engine.ones_like(output)], retain=True)


def functional_alone(params: Params) -> tuple[Params, ...]:
    """Hooks know nothing of modes; without the others there are fewer schedules."""
    return (replace(params, size=1, explored=True),) if params.mode == "functional" else ()


REMOVED = Scenario(
    25,
    "handles.removed",
    "threads add hooks to one tensor and take them out: called once, and not after that",
    "hooks",
    start,
    come_and_go,
    judge,
    promising(
        forbidden("never called", "a hook that is registered is called by the next backward"),
        forbidden("not removed", "a backward that begins after remove() does not call the hook"),
        forbidden("*", "a hook is called once by each backward"),
    ),
    prepare=watched,
    minimum=lambda params: 200,
    explore=functional_alone,
    tags=quick_in("locked"),
)


# -- 22: time is up --------------------------------------------------------------------------------

SHORT, LONG = 0.003, 60.0  # seconds that a task is given


def overstay(trial: Trial, index: int) -> None:
    """A task that is held in the middle until its time is up, and one that has time enough."""
    with engine.WorkerPool(1):
        for _ in range(times(trial.fixture.params, 3)):
            trial.seen += [held(trial, SHORT), held(trial, LONG)]


def held(trial: Trial, seconds: float) -> str:
    """Submit a backward, hold it until a moment after ``SHORT``, and see how it ended."""
    leaf, gate = fresh_leaf(trial.fixture.params), engine.sync.queue()
    x = leaf * 1.0
    x.register_hook(lambda g: gate.get())
    way = Way(trial.fixture.params.mode)  # its own: nothing is to wait for tickets of others
    handle = submitted(way, x, leaf, seconds)
    until = monotonic() + SHORT + 1e-3
    while monotonic() < until:
        sleep(1e-3)
    gate.put(None)
    ended, result = outcome(handle)
    if ended != ("stopped" if seconds == SHORT else "in time"):
        return "overstayed" if ended == "in time" else "stopped too early"
    if trial.fixture.trap is None:
        result = way.read(leaf)
    wanted = 1.0 if ended == "in time" else 0.0
    return "kept" if result is None or np.all(result == wanted) else "half written"


def submitted(way: Way, x: engine.Tensor, leaf: engine.Tensor, seconds: float) -> engine.Handle:
    """The task."""
    seed = engine.ones_like(x)
    if way.mode == "functional":
        return engine.submit(engine.grad, [x], [leaf], [seed], timeout=seconds)
    with engine.accumulation(way.mode, way.tickets):
        return engine.submit(x.backward, seed, timeout=seconds)


def outcome(handle: engine.Handle) -> tuple[str, Any]:
    """How a task ended, and its functional gradient, where there is one."""
    try:
        results = handle.result()
    except DeadlineError:
        return "stopped", None
    return "in time", None if results is None else results[0].numpy()


DEADLINE = Scenario(
    22,
    "handles.deadline",
    "submitted backwards whose time is up in the middle: ended, and nothing written",
    "tasks",
    start,
    overstay,
    judge,
    promising(
        forbidden("overstayed", "a task ends when its time is up, at its next node"),
        forbidden("half written", "nothing of a task is written whose time was up, or all of it"),
        forbidden("*", "a task that has time enough is done"),
    ),
    prepare=watched,
    minimum=lambda params: 40,
    explore=lambda params: (),  # it is about clocks
    tags=quick_in("locked"),
)
