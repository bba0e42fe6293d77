"""Run a scenario under real threads, trial after trial, and measure whether they truly met.

The runner owns the threads; the scenario owns none. Every trial goes through two meetings: all
actors are released together, and all have returned before the arbiter looks. What is shared
between the actors' threads is written by actor 0 alone, outside of the two meetings.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from time import monotonic, perf_counter_ns
from traceback import format_exception
from typing import Any

from stress.core.chaos import chaos
from stress.core.errors import said
from stress.core.outcome import Expect, grade
from stress.core.rendezvous import Broken, rendezvous, start_line
from stress.core.result import Loss, Result, Verdict, decide, tabulate
from stress.core.scenario import Observation, Params, Scenario, Skip
from stress.core.stats import Rate
from stress.core.tactics import PLAIN, Tactics, switching
from stress.gilprobe import gil_enabled

__all__ = ["Budget", "crew_of", "raised_in", "run"]

Progress = Callable[[int], None]  # called with the number of samples so far

NOTES = 5  # so many examples in words are kept


@dataclass(frozen=True, slots=True)
class Budget:
    """How long to run: ``seconds``, and longer, up to ``patience``, while evidence is missing.

    In a child, ``limit`` seconds without another trial are a hang.
    """

    seconds: float = 1.0
    patience: float = 10.0
    limit: float = 30.0


@dataclass(slots=True)
class Tally:
    """What was seen so far. Written by actor 0 alone, between two trials."""

    outcomes: Counter[str] = field(default_factory=Counter)
    rate: Rate = field(default_factory=Rate)
    overlapped: int = 0
    notes: list[str] = field(default_factory=list)

    def add(self, seen: Observation, overlapped: bool) -> None:
        """Count one trial."""
        self.outcomes.update(seen.outcomes)
        self.rate.add(int(seen.lost), int(seen.offered), sum(seen.outcomes.values()))
        self.overlapped += overlapped
        if seen.note and len(self.notes) < NOTES and seen.note not in self.notes:
            self.notes.append(seen.note)

    @property
    def loss(self) -> Loss | None:
        """The measured loss; None where the scenario offers nothing that could be lost."""
        rate = self.rate
        if not rate.offered:
            return None
        ends = rate.interval
        return Loss(rate.lost, rate.offered, rate.value, ends.low, ends.high)


class Team:
    """The threads of one run, actor 0 leading.

    ``state``, ``over``, ``tally``, ``failure``: written by actor 0 between the meetings ``finish``
    and ``start``, where every other actor waits at ``start``; the meetings order them.
    ``stacks``: likewise; of the first exception that fails the run.
    ``spans``, ``raised``, ``entered``: actor *i* writes item *i* alone.
    ``stop``: atomic; set by the thread that called ``run``, or by a broken meeting.
    """

    def __init__(
        self, scenario: Scenario, params: Params, budget: Budget, fixture: Any, sync: str
    ) -> None:
        self.scenario, self.budget, self.fixture = scenario, budget, fixture
        self.crew = crew_of(scenario, params)
        self.minimum = scenario.minimum(params)
        self.outcomes = scenario.declared(params)
        self.required = [o.key for o in self.outcomes if o.expect is Expect.REQUIRED]
        self.start = start_line(self.crew, sync)
        self.finish = rendezvous(self.crew, sync)
        self.state: Any = None
        self.over = self.stop = False
        self.tally = Tally()
        self.failure: BaseException | None = None
        self.stacks = ""
        self.spans = [(0, 0)] * self.crew
        self.raised: list[BaseException | None] = [None] * self.crew
        self.entered = [0] * self.crew
        self.process = os.getpid()
        self.began = monotonic()

    def play(self, index: int) -> None:
        """The life of actor ``index``'s thread."""
        try:
            while True:
                if index == 0:
                    self.set_up()
                self.start.wait(index)
                if self.over:
                    return
                self.act(index)
                self.finish.wait(index)
                if index == 0:
                    self.judge()
        except Broken:
            return
        finally:  # whatever ended this thread, nobody is to wait for it
            self.start.abort()
            self.finish.abort()

    def set_up(self) -> None:
        """Decide whether there is another trial, and build its state."""
        elapsed = monotonic() - self.began
        enough = elapsed >= self.budget.seconds and self.convincing
        if self.stop or self.failure or enough or elapsed >= self.budget.patience:
            self.over = True
            return
        try:
            self.state = self.scenario.setup(self.fixture)
        except BaseException as error:  # SystemExit too, here and below: or nobody would hear of it
            self.failure, self.over = error, True

    def act(self, index: int) -> None:
        """Run one actor; its span is measured inside its own thread."""
        self.raised[index] = None
        entered = perf_counter_ns()
        try:
            self.scenario.actor(self.state, index)
        except BaseException as error:  # SystemExit too: what an actor raises is an outcome
            self.raised[index] = error
        self.spans[index] = (entered, perf_counter_ns())
        self.entered[index] += 1
        if os.getpid() != self.process:  # the actor forked, and the fork came back: alone, for ever
            os._exit(0)

    def judge(self) -> None:
        """Let the arbiter look at the trial, and count it."""
        try:
            seen = raised_in(self.raised) or self.scenario.seen(self.state)
            self.keep_stack()
            together = overlapped(self.spans) if seen.overlapped is None else seen.overlapped
            self.tally.add(seen, together)
        except BaseException as error:  # also where what the arbiter returned cannot be counted
            self.failure = error

    def keep_stack(self) -> None:
        """Keep where an actor raised what fails the run: a message alone seldom says so."""
        for error in self.raised:
            if error is not None and not self.stacks and self.failing([raised_key(error)]):
                self.stacks = "".join(format_exception(error))

    @property
    def convincing(self) -> bool:
        """Whether there is all the evidence that a verdict asks for. Called by actor 0."""
        seen = self.tally.outcomes
        if self.failing(+seen):
            return True
        shown = all(seen[key] for key in self.required)
        return shown and self.tally.overlapped > 0 and self.samples >= self.minimum

    def failing(self, keys: Iterable[str]) -> bool:
        """Whether one of these outcomes is forbidden, or nobody declared it."""
        return any(grade(self.outcomes, key).expect.fails for key in keys)

    @property
    def samples(self) -> int:
        """Samples so far; a number that may be one trial old when another thread reads it."""
        return self.tally.rate.samples


def crew_of(scenario: Scenario, params: Params) -> int:
    """The number of actors. Raises ``ValueError`` where it is none."""
    crew = scenario.crew(params)
    if not isinstance(crew, int) or crew < 1:
        raise ValueError(f"crew(params) must be a whole number from 1 on, got {crew!r}")
    return crew


def overlapped(spans: list[tuple[int, int]]) -> bool:
    """Whether any two spans have a moment in common."""
    return any(later[0] < earlier[1] for earlier, later in pairwise(sorted(spans)))


def raised_key(error: BaseException) -> str:
    """The outcome that an exception of an actor is."""
    return f"raised {type(error).__name__}"


def raised_in(raised: list[BaseException | None]) -> Observation | None:
    """An observation of the exceptions of one trial, if there were any."""
    errors = [(index, error) for index, error in enumerate(raised) if error is not None]
    if not errors:
        return None
    keys = Counter(raised_key(error) for _, error in errors)
    note = "; ".join(f"actor {index}: {said(error)}" for index, error in errors)
    return Observation(keys, note=note)


def run(
    scenario: Scenario,
    params: Params,
    budget: Budget | None = None,
    progress: Progress | None = None,
    tactics: Tactics = PLAIN,
) -> Result:
    """Run ``scenario`` under real threads until ``budget`` is spent, and judge it.

    Calls ``progress(samples)`` a few times a second. An exception of the scenario's own
    set-up or arbiter is the verdict ERROR. A scenario that hangs hangs here: run it in a child
    (``stress.core.child``) to have that reported. No thread of the runner is left behind.
    """
    blank = Result(scenario.number, scenario.name, params, unit=scenario.unit, tactics=tactics)
    try:
        with (
            switching(tactics.switch_interval),
            chaos(tactics.chaos, params.seed),
            scenario.prepare(params) as fixture,
        ):
            team = Team(scenario, params, budget or Budget(), fixture, tactics.sync)
            perform(team, progress or (lambda samples: None))
    except Skip as skipped:
        return replace(blank, verdict=Verdict.SKIPPED.value, reason=str(skipped))
    seconds = monotonic() - team.began
    return conclude(team, replace(blank, seconds=seconds, gil=gil_enabled()))


def perform(team: Team, progress: Progress) -> None:
    """Start the team, report while it works, and see it end."""
    threads = [
        threading.Thread(target=team.play, args=(index,), name=f"actor-{index}", daemon=True)
        for index in range(team.crew)
    ]
    for thread in threads:
        thread.start()
    try:
        while threads[0].is_alive():
            threads[0].join(0.2)
            progress(team.samples)
    finally:
        team.stop = True
        for thread in threads:
            thread.join()


def conclude(team: Team, blank: Result) -> Result:
    """The result of a run that ended by itself."""
    tally = team.tally
    if team.failure is not None:
        error = team.failure
        reason = f"the scenario's own code raised {said(error)}"
        return replace(blank, reason=reason, stacks="".join(format_exception(error)))
    trials = tally.rate.trials
    overlap = tally.overlapped / trials if trials else 0.0
    rows = tabulate(team.outcomes, tally.outcomes)
    idle = [index for index, times in enumerate(team.entered) if not times]
    odd = unasked(blank)
    verdict, reason = decide(rows, overlap=overlap, minimum=team.minimum, idle=idle, odd=odd)
    return replace(
        blank, verdict=verdict.value, reason=reason, samples=team.samples, trials=trials,
        overlap=overlap, loss=tally.loss, rows=rows, notes=tuple(tally.notes), stacks=team.stacks,
    )  # fmt: skip


def unasked(result: Result) -> str:
    """What was not as ``result.tactics`` asks for; "" if all was."""
    if result.gil is None or result.tactics.granted(result.gil):
        return ""
    state, asked = "on" if result.gil else "off", result.tactics.gil
    return (
        f"--gil {asked}, but the GIL was {state} here: `-X gil` or an extension module decides so"
    )
