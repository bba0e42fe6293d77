"""One schedule of a scenario: set up, act and judge under a scheduler in control."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import numpy as np

import engine
from stress.core.errors import said
from stress.core.outcome import Expect, Outcome, grade
from stress.core.runner import crew_of, raised_in
from stress.core.scenario import Observation, Params, Scenario
from stress.explore.primitives import Controlled
from stress.explore.scheduler import (
    CROWDED,
    MOST,
    PATIENCE,
    STEPS,
    Abort,
    Chooser,
    Control,
    Decision,
    Event,
    Strand,
)
from stress.explore.troupe import Troupe

__all__ = ["CHUNKS", "STUCK", "Ending", "Lab", "Schedule"]

STUCK = "stuck"  # the outcome of a thread that waits for what is not in control
CHUNKS = 2  # parts of an unlocked addition in place, each read and stored by itself
SHOWN = 8  # elements of a gradient that are shown
ACTOR = "actor "  # how the names of actors begin
TIDY = 200  # schedules between two collections of garbage, and between two sets of threads

# The classes of outcomes, the worst first.
WORST = (
    Expect.FORBIDDEN, Expect.UNKNOWN, Expect.REQUIRED, Expect.INTERESTING, Expect.ACCEPTABLE,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Schedule:
    """What one schedule came to. Immutable.

    ``table``: of a deadlock, for each thread its name, what it waits for, who holds that, and what
    it holds itself. ``stack``: what a thread out of control is doing.
    """

    outcomes: Mapping[str, int]
    note: str
    decisions: tuple[Decision, ...]
    events: tuple[Event, ...]
    threads: tuple[str, ...]
    table: tuple[tuple[str, str, str, str], ...] = ()
    stack: str = ""

    @property
    def key(self) -> str:
        """All of its outcomes, in words."""
        return ", ".join(
            key if times == 1 else f"{times} {key}" for key, times in sorted(self.outcomes.items())
        )

    @property
    def chosen(self) -> bytes:
        """The decisions alone: the numbers of threads."""
        return bytes(decision.chosen for decision in self.decisions)

    @property
    def preemptions(self) -> int:
        """What its decisions cost."""
        return sum(decision.cost for decision in self.decisions)

    @property
    def races(self) -> bool:
        """Whether at some decision an actor that had begun could go on, and another thread as well.

        Who of several begins first is no race: an actor must have come to a point. Whatever a
        thread does, its first event is its begin.
        """
        begun: dict[int, int] = {}
        for step, event in enumerate(self.events):
            begun.setdefault(event.thread, step)
        actors = {index for index in begun if self.threads[index].startswith(ACTOR)}
        for decision in self.decisions:
            others = set(decision.options) - {0}
            under_way = {index for index in others & actors if begun[index] < decision.step}
            if len(others) > 1 and under_way:
                return True
        return False

    def worst(self, outcomes: Sequence[Outcome]) -> Outcome:
        """The worst of what it showed, of the declared ``outcomes``."""
        graded = [grade(outcomes, key) for key in self.outcomes]
        return min(graded, key=lambda outcome: WORST.index(outcome.expect))


@dataclass(slots=True)
class Ending:
    """Where a schedule stands when nobody goes on and no thread is unwound yet.

    ``state``: the scenario's. ``raised``: by each actor. ``seen``: by the arbiter. ``errors``: of
    set-up or arbiter. ``threads``: by name, the frame that each is in that has not ended.
    """

    state: Any = None
    raised: list[BaseException | None] = field(default_factory=list)
    seen: list[Observation] = field(default_factory=list)
    errors: list[BaseException] = field(default_factory=list)
    threads: dict[str, FrameType] = field(default_factory=dict)


class Points:
    """The engine's hook: every point of it is one of the scheduler's."""

    chunks = CHUNKS

    def __init__(self, control: Control, before: engine.sync.Hook | None, values: bool) -> None:
        self._control, self._before, self._values = control, before, values

    def __call__(self, point: str, subject: object) -> None:
        if self._before is not None:
            self._before(point, subject)
        self._control.point(point, subject, shown(subject) if self._values else "")


def shown(subject: object) -> str:
    """The gradient that ``subject`` has, if it is short.

    Not of a Tensor, which takes a lock to read it: that would be a point that the schedule lacks.
    """
    if isinstance(subject, engine.Tensor):
        return ""
    grad: Any = getattr(subject, "grad", None)
    short = isinstance(grad, np.ndarray) and grad.size <= SHOWN
    return " ".join(str(grad).split()) if short else ""


class Crew:
    """All actors: the first thread waits for their end."""

    kind = "actors"

    def __init__(self, actors: Sequence[Strand]) -> None:
        self._left = list(actors)

    def free(self, strand: Strand) -> bool:
        """Whether all have ended."""
        left = self._left  # asked at every point: who has ended is asked once
        while left and left[-1].ended:
            left.pop()
        return not left

    def holder(self) -> str:
        """Those that have not."""
        return ", ".join(actor.name for actor in self._left if not actor.ended)


class Lab:
    """Runs schedules of one scenario in one configuration. Externally synchronised.

    A ``with`` block: it holds the scenario's fixture. Process-wide: one at a time, while nothing
    else uses the engine. ``values``: what leaves hold is in the events, too. ``steps`` and
    ``patience``: from when on a schedule is endless, or a thread out of control. ``fresh``: no
    thread is used in more than one schedule. ``look``: called at the end of each.
    """

    def __init__(
        self,
        scenario: Scenario,
        params: Params,
        *,
        values: bool = False,
        steps: int = STEPS,
        patience: float = PATIENCE,
        fresh: bool = False,
        look: Callable[[Ending], object] | None = None,
    ) -> None:
        self.scenario, self.params = scenario, params
        self._look = look
        self._fresh = fresh
        self._values, self._steps, self._patience = values, steps, patience
        self.outcomes = scenario.declared(params)
        self._crew = crew_of(scenario, params)
        self._runs = 0

    def __enter__(self) -> Lab:
        with ExitStack() as stack:  # all is undone where ``prepare`` raises: ``Skip``, say
            stack.enter_context(collector_off())
            self._troupe = Troupe(self._fresh)
            stack.callback(self._troupe.close)
            self._fixture = stack.enter_context(self.scenario.prepare(self.params))
            # The first schedule would make the default pool, with the cores of this machine.
            self._alone: AbstractContextManager[Any] = engine.WorkerPool(0)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def run(self, chooser: Chooser) -> Schedule:
        """Run one schedule. Raises what the scenario's own set-up or arbiter raises."""
        self._runs += 1
        if self._runs % TIDY == 0:
            self._troupe.send_away()  # who stays keeps memory; without the GIL more and more of it
            gc.collect()
        control = Control(chooser, self._troupe, steps=self._steps, patience=self._patience)
        ending = Ending()
        with (
            reports(control),
            engine.sync.hooked(Points(control, engine.sync.hook, self._values)),
            engine.sync.controlled(Controlled(control)),
        ):
            control.run(
                lambda: self._trial(control, ending), lambda: self._look_at(control, ending)
            )
        if ending.errors:
            raise ending.errors[0]
        return conclude(control, ending)

    def _look_at(self, control: Control, ending: Ending) -> None:
        """Let whoever asked for it look at the end."""
        ending.raised = list(ending.raised)  # without what unwinding makes actors raise
        if self._look is not None:
            frames = sys._current_frames()
            left = [strand for strand in control.strands if not strand.ended]
            ending.threads = {strand.name: frames[strand.player.number] for strand in left}
            self._look(ending)

    def _trial(self, control: Control, ending: Ending) -> None:
        """The first thread: it starts the actors, waits for them, and judges."""
        raised: list[BaseException | None] = [None] * self._crew
        ending.raised = raised
        try:
            with self._alone:
                ending.state = state = self.scenario.setup(self._fixture)
                actors = Crew([
                    control.start(self._actor(state, index, raised), f"{ACTOR}{index}")
                    for index in range(self._crew)
                ])  # fmt: skip
                first = control.here()
                assert first is not None
                control.wait(first, actors)
                ending.seen.append(raised_in(raised) or self.scenario.seen(state))
        except Abort:
            raise
        except BaseException as error:  # SystemExit too: or the trial would come to nothing
            ending.errors.append(error)

    def _actor(
        self, state: Any, index: int, raised: list[BaseException | None]
    ) -> Callable[[], None]:
        def act() -> None:
            try:
                with self._alone:
                    self.scenario.actor(state, index)
            except Abort:
                raise
            except BaseException as error:  # SystemExit too: what an actor raises is an outcome
                raised[index] = error

        return act


def conclude(control: Control, ending: Ending) -> Schedule:
    """What a schedule came to; raises ``ValueError`` for one that no list can write down."""
    if control.failure == CROWDED:
        raise ValueError(
            f"more than {MOST} threads in one schedule, and decisions can name no more: under "
            "control (`params.explored`) start fewer"
        )
    seen = ending.seen[0] if ending.seen else raised_in(ending.raised)
    outcomes: dict[str, int] = dict(seen.outcomes) if seen is not None else {}
    note = seen.note if seen is not None else ""
    if control.failure:
        outcomes[control.failure] = 1
        why = "; ".join(map(blocked, control.table))
        if control.stack:
            why = f"{control.running} is stuck in {control.stack.strip()}"
        note = f"{why}; {note}" if note and not ending.seen else why
    for error in control.reported:
        key = f"reported {type(error).__name__}"
        outcomes[key] = outcomes.get(key, 0) + 1
        note = note or said(error)
    return Schedule(
        outcomes, note, tuple(control.decisions), tuple(control.events),
        tuple(strand.name for strand in control.strands), tuple(control.table), control.stack,
    )  # fmt: skip


def blocked(row: tuple[str, str, str, str]) -> str:
    """One thread of a deadlock, in words."""
    name, waits, holder, holds = row
    words = f"{name} waits for {waits or 'its turn'}"
    words += f" of {holder}" if holder else ""
    return words + (f" and holds {holds}" if holds else "")


@contextmanager
def reports(control: Control) -> Iterator[None]:
    """Collect what threads report, instead of printing it, for the block. Process-wide."""

    def keep(args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None and not control.aborting:
            control.reported.append(args.exc_value)

    before, threading.excepthook = threading.excepthook, keep
    try:
        yield
    finally:
        threading.excepthook = before


@contextmanager
def collector_off() -> Iterator[None]:
    """No collection of garbage at a moment that nobody decided, for the block. Process-wide."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
