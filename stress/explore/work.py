"""What child processes do: run a batch of schedules, each twice; run one schedule many times."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic

from stress.core.child import Report
from stress.core.outcome import Outcome
from stress.core.scenario import Params, Scenario, Skip
from stress.core.source import load
from stress.explore.minimise import Minimal, Run, minimise, smaller
from stress.explore.scheduler import Chooser
from stress.explore.strategies import DEPTHS, Follow, Priorities, Walk, alternatives
from stress.explore.trial import STUCK, Ending, Lab, Schedule

__all__ = ["Batch", "Example", "Replayed", "Request", "Tally", "Target", "difference", "repeat",
           "run_batch", "shrink"]  # fmt: skip

EVERY = 10  # schedules between two signs of life
IN_PLACE = "grad.store"  # the point of an addition that has parts where there are several rows


@dataclass(frozen=True, slots=True)
class Target:
    """One configuration of a scenario, by names: ``scenario`` in ``SCENARIOS`` of ``source``."""

    source: str
    scenario: str
    params: Params

    def find(self) -> Scenario:
        """The scenario itself."""
        return next(found for found in load(self.source) if found.name == self.scenario)


@dataclass(frozen=True, slots=True)
class Batch:
    """Schedules to run: with ``dfs``, one from each beginning; else those of these ``numbers``.

    ``seconds``: what has not begun after them is left. ``level``: what the beginnings cost.
    ``fresh``: each in new threads.
    """

    target: Target
    strategy: str
    level: int = 0
    bound: float = 2
    depth: int | None = None
    seed: int = 0
    beginnings: tuple[bytes, ...] = ()
    numbers: tuple[int, ...] = ()
    seconds: float = 1.0
    fresh: bool = False

    @property
    def items(self) -> Sequence[bytes | int]:
        """What there is to run."""
        return self.beginnings or self.numbers


@dataclass(frozen=True, slots=True)
class Example:
    """The first schedule that came to something. ``number``: the how-manieth it was."""

    number: int
    decisions: bytes
    note: str
    expect: str


@dataclass(slots=True)
class Tally:
    """What a number of schedules came to. ``outcomes``: in how many schedules each was seen.

    ``examples``: by all the outcomes of a schedule together. ``racing``: schedules in which an
    actor could be interrupted. ``in_place``: whether one of them added in place, so that its points
    depend on the size. ``unsteady``: how two runs of one schedule differed. ``skipped``: why the
    scenario does not apply here. ``todo``: beginnings that this has found, with what they cost;
    ``left``: those it had no time for.
    """

    schedules: int = 0
    racing: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    examples: dict[str, Example] = field(default_factory=dict)
    unsteady: str = ""
    skipped: str = ""
    in_place: bool = False
    todo: list[tuple[int, bytes]] = field(default_factory=list)
    left: Sequence[bytes | int] = ()

    def add(self, schedule: Schedule, outcomes: tuple[Outcome, ...]) -> str:
        """Count a schedule; the class of the worst it showed."""
        expect = schedule.worst(outcomes).expect
        self.schedules += 1
        self.racing += schedule.races
        self.in_place = self.in_place or any(event.point == IN_PLACE for event in schedule.events)
        self.outcomes.update(schedule.outcomes.keys())
        example = Example(self.schedules, schedule.chosen, schedule.note, expect.value)
        self.examples.setdefault(schedule.key, example)
        return expect.value

    @property
    def failed(self) -> bool:
        """Whether an outcome that fails was seen."""
        return any(e.expect in ("forbidden", "unknown") for e in self.examples.values())


def run_batch(batch: Batch, report: Report) -> Tally:
    """Run the schedules of ``batch``, until one fails, differs from itself, or time is up.

    What they leave is collected: batches that follow each other at once give the collector, which
    is off while they run, no moment of its own, and without the GIL it comes too late.
    """
    try:
        return run_all(batch, report)
    except Skip as reason:
        return Tally(skipped=str(reason) or "it does not apply here", left=batch.items)
    finally:
        gc.collect(0)  # all that is new


def run_all(batch: Batch, report: Report) -> Tally:
    """The same, where the scenario applies."""
    tally, ends = Tally(), monotonic() + batch.seconds
    items = batch.items
    with Lab(batch.target.find(), batch.target.params, fresh=batch.fresh) as lab:
        steps = 0
        if batch.strategy == "pct":
            first = lab.run(Follow())
            steps, tally.unsteady = longest(first), second_look(lab, first)
        choosers = strategy(batch, steps)
        for index, item in enumerate(items):
            if tally.failed or tally.unsteady or (index and monotonic() > ends):
                tally.left = items[index:]
                break
            chooser = choosers(item)
            schedule = lab.run(chooser)
            tally.add(schedule, tuple(lab.outcomes))
            tally.unsteady = getattr(chooser, "problem", "") or astray(schedule, item, batch.level)
            if STUCK not in schedule.outcomes:  # which would be as slow again
                tally.unsteady = tally.unsteady or second_look(lab, schedule)
            if isinstance(item, bytes):
                tally.todo += alternatives(schedule, len(item), batch.bound)
            if index % EVERY == 0:
                report(index)
    return tally


def longest(schedule: Schedule) -> int:
    """How many decisions another schedule may have: one at each step of the threads that race.

    This one has fewer, where threads ran alone after the ends of others.
    """
    return sum(event.thread != 0 for event in schedule.events)


def strategy(batch: Batch, steps: int) -> Callable[[bytes | int], Chooser]:
    """Makes who decides, for each item of the batch. ``steps``: decisions it has, at most."""
    if batch.strategy == "dfs":
        return lambda item: Follow(item if isinstance(item, bytes) else b"")
    if batch.strategy == "random":
        return lambda item: Walk(f"{batch.seed}:{item!r}")
    return lambda item: Priorities(f"{batch.seed}:{item!r}", depth(batch, item), steps)


def depth(batch: Batch, item: bytes | int) -> int:
    """The depth of the bugs that schedule ``item`` looks for."""
    return batch.depth or DEPTHS[int(item) % len(DEPTHS)]


def second_look(lab: Lab, schedule: Schedule) -> str:
    """Run ``schedule`` again, and say how that differs; "" if it does not."""
    chooser = Follow(schedule.chosen)
    again = lab.run(chooser)
    return difference(schedule, again) or chooser.strictly()


def astray(schedule: Schedule, item: bytes | int, cost: int) -> str:
    """How a schedule left its beginning, which an earlier one came through; "" if it did not.

    After it nobody is interrupted. So two runs may be alike, and yet not as those before.
    """
    if not isinstance(item, bytes):
        return ""
    if len(schedule.decisions) < len(item):
        made = len(schedule.decisions)
        return f"{made} decisions, where {len(item)} were made in a schedule that began alike"
    if schedule.preemptions != cost:
        cost_now = schedule.preemptions
        return f"{cost_now} preemptions, where a schedule that began alike had {cost}"
    return ""


def difference(first: Schedule, second: Schedule) -> str:
    """The first difference between two runs of a schedule; "" if there is none."""
    if (first.events, first.threads, first.key) == (second.events, second.threads, second.key):
        return ""
    for step, (one, two) in enumerate(zip(words(first), words(second), strict=False)):
        if one != two:
            return f"step {step} was {one!r}, and the second time {two!r}"
    if len(first.events) != len(second.events):
        return f"{len(first.events)} steps, and the second time {len(second.events)}"
    if first.key != second.key:
        return f"the outcome was {first.key!r}, and the second time {second.key!r}"
    return ""


def words(schedule: Schedule) -> Iterator[str]:
    """Its events, one after the other."""
    for thread, point, subject in schedule.events:
        yield f"{schedule.threads[thread]}: {point} {subject}".rstrip()


@dataclass(frozen=True, slots=True)
class Request:
    """A schedule to run ``times`` times, or to make smaller within ``seconds``.

    ``key``: what it came to when it was found, if known.
    """

    target: Target
    decisions: bytes
    key: str = ""
    times: int = 10
    seconds: float = 10.0


@dataclass(frozen=True, slots=True)
class Replayed:
    """What the runs of one schedule came to, and the last of them. ``problem``: the first time that
    one did not go as decided, or not as the others."""

    outcomes: dict[str, int]
    schedule: Schedule
    expect: str
    why: str
    problem: str


def repeat(
    request: Request, report: Report, look: Callable[[Ending], object] | None = None
) -> Replayed:
    """Run one schedule again and again, each time in new threads; ``look`` at the end of each."""
    seen: Counter[str] = Counter()
    problem, before = "", None
    scenario, params = request.target.find(), request.target.params
    with Lab(scenario, params, values=True, fresh=True, look=look) as lab:
        for number in range(request.times):
            chooser = Follow(request.decisions)
            schedule = lab.run(chooser)
            seen[schedule.key] += 1
            problem = problem or chooser.strictly() or difference(before or schedule, schedule)
            before = before or schedule
            report(number)
        worst = schedule.worst(lab.outcomes)
    return Replayed(dict(seen), schedule, worst.expect.value, worst.why, problem)


def shrink(request: Request, report: Report) -> Minimal:
    """A smaller schedule that comes to the same."""
    scenario, params = request.target.find(), request.target.params
    with Lab(scenario, params) as lab:
        fresh = bool(second_look(lab, lab.run(Follow(request.decisions))))

    @contextmanager
    def opened(params: Params) -> Iterator[Run]:
        with Lab(scenario, params, fresh=fresh) as lab:
            yield lab.run

    fewer = smaller(scenario, params)
    return minimise(opened, params, fewer, request.decisions, request.seconds, report)
