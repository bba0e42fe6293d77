"""Make a schedule smaller: fewer actors and elements, fewer interruptions, the first such one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from time import monotonic

from stress.core.scenario import Params, Scenario
from stress.explore.scheduler import Chooser
from stress.explore.strategies import Follow, alternatives
from stress.explore.trial import Schedule

__all__ = ["Minimal", "Run", "minimise", "smaller"]

LOOK = 2  # preemptions to try with fewer actors, at least: one that is gone may have saved one

Run = Callable[[Chooser], Schedule]
Open = Callable[[Params], AbstractContextManager[Run]]

Fate = frozenset[str]  # outcomes, however often each was seen


@dataclass(frozen=True, slots=True)
class Minimal:
    """The smallest schedule that was found, and how. Immutable.

    ``schedule``: of the configuration ``params``; ``before``: what it was made of, in ``whole``.
    ``done``: there is none of fewer actors, elements or preemptions; otherwise time was up.
    """

    whole: Params
    before: Schedule
    params: Params
    schedule: Schedule
    tried: int
    done: bool

    @property
    def words(self) -> str:
        """What was done, in words."""
        changes = [f"{name} {old} → {new}" for name, old, new in self.figures[:2] if old != new]
        changes.append(f"{self.before.preemptions} → {self.schedule.preemptions} preemptions")
        how = "fewer do not suffice" if self.done else "time was up: there may be a smaller one"
        return f"{', '.join(changes)} after {self.tried:,} schedules; {how}"

    @property
    def figures(self) -> tuple[tuple[str, int, int], ...]:
        """What there was before, and what there is after."""
        before, after = self.before, self.schedule
        return (
            ("threads", self.whole.threads, self.params.threads),
            ("size", self.whole.size, self.params.size),
            ("preemptions", before.preemptions, after.preemptions),
            ("decisions", len(before.decisions), len(after.decisions)),
            ("steps", len(before.events), len(after.events)),
        )


class InOrder:
    """Decides for the first of ``threads`` that can go on and is not used up; then by default."""

    def __init__(self, threads: Sequence[int]) -> None:
        self._left = list(threads)

    def choose(self, options: Sequence[int], costs: Sequence[int]) -> int:
        """The first of those left."""
        place = next((i for i, thread in enumerate(self._left) if thread in options), None)
        return options[0] if place is None else self._left.pop(place)


class Search:
    """Tries smaller schedules for as long as there is time.

    ``key``: what they have to come to; ``calm``: without any interruption it comes to that as well.
    """

    def __init__(
        self, key: Fate, default: Fate, ends: float, report: Callable[[int], object]
    ) -> None:
        self.key, self.calm, self._report = key, key == default, report
        self.ends = ends
        self.tried = 0

    @property
    def late(self) -> bool:
        """Whether time is up."""
        return monotonic() > self.ends

    def run(self, run: Run, chooser: Chooser) -> Schedule:
        """Run one."""
        self.tried += 1
        self._report(self.tried)
        return run(chooser)

    def fewer(self, run: Run, best: Schedule) -> Schedule:
        """Delta debugging: spare half of the interruptions, a quarter, ... one."""
        parts = 2
        while not self.late and (places := interruptions(best)):
            size = -(-len(places) // min(parts, len(places)))
            chunks = [places[i : i + size] for i in range(0, len(places), size)]
            found = next((made for some in chunks if (made := self.spared(run, best, some))), None)
            if found is None and size == 1:
                return best
            best, parts = (best, parts * 2) if found is None else (found, 2)
        return best

    def spared(self, run: Run, best: Schedule, places: Sequence[int]) -> Schedule | None:
        """``best`` without interruptions at ``places``, if it comes to the same and is smaller."""
        for without in (sooner, later):
            order = list(best.chosen)
            for place in reversed(places):
                without(order, place, best.decisions[place].options[0])
            if self.late:
                return None
            schedule = self.run(run, InOrder(order))
            if fate(schedule) == self.key and weight(schedule) < weight(best):
                return schedule
        return None

    def first(self, run: Run, bound: int) -> Schedule | None:
        """The first of all schedules that comes to the same; None: there is none, or time was up.

        Those of few preemptions come first. Of as many, the lexicographically smallest: decision
        by decision, to go on by default comes before a switch, and that to a thread of a low
        number before others. So schedules that come to the same become the same. Nothing smaller
        is missed: what continues a beginning is larger than the beginning itself.
        """
        waiting: list[tuple[int, bytes, bytes]] = [(0, b"", b"")]
        while waiting and not self.late:
            _, _, beginning = heappop(waiting)
            schedule = self.run(run, Follow(beginning))
            if fate(schedule) == self.key:
                return schedule
            for item in continued(schedule, len(beginning), bound):
                heappush(waiting, item)
        return None

    def first_of(self, opened: Open, params: Params, bound: int) -> Schedule | None:
        """The first in one of the smaller configurations.

        None, too, where the scenario is not made for that: it raises, or comes to the same when
        nobody is interrupted, and did not do so before.
        """
        with suppress(Exception), opened(params) as run:
            if self.calm or fate(self.run(run, Follow())) != self.key:
                return self.first(run, bound)
        return None


def continued(schedule: Schedule, given: int, bound: int) -> Iterator[tuple[int, bytes, bytes]]:
    """What to try after ``schedule``: cost, the places of what was chosen among options, and it."""
    places = bytes(decision.options.index(decision.chosen) for decision in schedule.decisions)
    for cost, other in alternatives(schedule, given, bound):
        last = len(other) - 1
        place = schedule.decisions[last].options.index(other[last])
        yield cost, places[:last] + bytes([place]), other


def interruptions(schedule: Schedule) -> list[int]:
    """The numbers of the decisions that cost something."""
    return [number for number, decision in enumerate(schedule.decisions) if decision.cost]


def sooner(order: list[int], place: int, thread: int) -> None:
    """Let ``thread``, interrupted at ``place``, go on there as far as it later does at once."""
    begin = next((i for i in range(place, len(order)) if order[i] == thread), len(order))
    end = next((i for i in range(begin, len(order)) if order[i] != thread), len(order))
    order[place:end] = order[begin:end] + order[place:begin]


def later(order: list[int], place: int, thread: int) -> None:
    """Let what ``thread`` did just before ``place`` wait until it goes on."""
    begin = place
    while begin and order[begin - 1] == thread:
        begin -= 1
    again = next((i for i in range(place, len(order)) if order[i] == thread), len(order))
    order[begin:again] = order[place:again] + order[begin:place]


def weight(schedule: Schedule) -> tuple[int, int]:
    """Smaller is better: preemptions, then decisions for another thread than by default."""
    other = sum(decision.chosen != decision.options[0] for decision in schedule.decisions)
    return schedule.preemptions, other


def fate(schedule: Schedule) -> Fate:
    """The outcomes, however often each was seen."""
    return frozenset(schedule.outcomes)


def smaller(scenario: Scenario, params: Params) -> list[Params]:
    """The configurations of fewer threads or elements that are explored, the smallest first.

    Not those in which there are more actors than threads: their number is not free.
    """
    asked = Params(params.mode, seed=params.seed, dtype=params.dtype)
    offered = [
        other
        for threads in range(1, params.threads + 1)
        for other in scenario.explore(replace(asked, threads=threads))
        if other.threads == threads and other.size <= params.size and other != params
    ]
    alike = (p for p in offered if replace(p, threads=params.threads, size=params.size) == params)
    fit = (other for other in alike if scenario.crew(other) <= other.threads)
    return sorted(fit, key=lambda other: (other.threads, other.size))


def minimise(
    opened: Open,
    whole: Params,
    fewer: Sequence[Params],
    decisions: bytes,
    seconds: float,
    report: Callable[[int], object] = lambda tried: None,
) -> Minimal:
    """The smallest schedule with the outcomes of ``decisions`` that ``seconds`` suffice to find.

    ``opened(params)`` makes what runs a schedule of a configuration, for a block: of ``whole``, of
    which ``decisions`` are, or of one of ``fewer`` threads or elements, the smallest first. Delta
    debugging: Zeller, Hildebrandt: Simplifying and Isolating Failure-Inducing Input, IEEE TSE 2002.
    """
    with opened(whole) as run:
        before = run(follow := Follow(decisions))
        if problem := follow.strictly():
            raise ValueError(f"not as decided: {problem}")
        search = Search(fate(before), fate(run(Follow())), ends := monotonic() + seconds, report)
        best = search.fewer(run, before)
    done = True
    for left, params in zip(range(len(fewer), 0, -1), fewer, strict=True):
        search.ends = monotonic() + (ends - monotonic()) / (left + 1)
        found = search.first_of(opened, params, max(best.preemptions, LOOK))
        if found is not None:
            return Minimal(whole, before, params, found, search.tried, done)
        done = done and not search.late
    search.ends = ends
    with opened(whole) as run:
        found = search.first(run, best.preemptions)
    return Minimal(whole, before, whole, found or best, search.tried, done and found is not None)
