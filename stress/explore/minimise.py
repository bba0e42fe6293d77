"""Make a schedule smaller: leave out interruptions, then take the first that does as well."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic

from stress.explore.scheduler import Chooser
from stress.explore.strategies import Follow, alternatives
from stress.explore.trial import Schedule

__all__ = ["Minimal", "minimise"]

Switches = dict[int, int]  # by the number of a decision, who goes on other than by default


@dataclass(frozen=True, slots=True)
class Minimal:
    """The smallest schedule that was found, and how. Immutable.

    ``done``: there is none of fewer preemptions; otherwise time was up.
    """

    schedule: Schedule
    before: int
    tried: int
    done: bool

    @property
    def words(self) -> str:
        """What was done, in words."""
        after = self.schedule.preemptions
        how = "fewer do not suffice" if self.done else "time was up: there may be a smaller one"
        return f"{self.before} → {after} preemptions after {self.tried} schedules; {how}"


class Deviate:
    """Decides by default but for ``switches``; where one is not possible, by default as well."""

    def __init__(self, switches: Mapping[int, int]) -> None:
        self._switches, self._made = switches, 0

    def choose(self, options: Sequence[int], costs: Sequence[int]) -> int:
        """The default, or the switch that stands here."""
        wanted = self._switches.get(self._made, options[0])
        self._made += 1
        return wanted if wanted in options else options[0]


class Search:
    """Tries smaller schedules, and keeps the smallest that comes to the same."""

    def __init__(
        self,
        run: Callable[[Chooser], Schedule],
        start: Schedule,
        ends: float,
        report: Callable[[int], object],
    ) -> None:
        self._run, self._ends, self._report = run, ends, report
        self.best, self.key = start, fate(start)
        self.tried = 0

    @property
    def late(self) -> bool:
        """Whether time is up."""
        return monotonic() > self._ends

    def run(self, chooser: Chooser) -> Schedule:
        """Run one."""
        self.tried += 1
        self._report(self.tried)
        return self._run(chooser)

    def accepts(self, switches: Switches) -> bool:
        """Whether these switches come to the same, and make a smaller schedule."""
        if self.late:
            return False
        schedule = self.run(Deviate(switches))
        if fate(schedule) != self.key or weight(schedule) >= weight(self.best):
            return False
        self.best = schedule
        return True

    def fewer(self) -> None:
        """Delta debugging: leave out half of the switches, a quarter, ... one."""
        parts = 2
        while not self.late and (switches := list(switches_of(self.best).items())):
            parts = min(parts, len(switches))
            size = -(-len(switches) // parts)
            starts = range(0, len(switches), size)
            if any(self.accepts(dict(switches[:i] + switches[i + size :])) for i in starts):
                parts = 2
            elif size == 1:
                return
            else:
                parts *= 2

    def first(self) -> bool:
        """The first of all schedules, those of few preemptions first, that comes to the same.

        So schedules that come to the same become the same. False if time was up.
        """
        levels: list[deque[bytes]] = [deque() for _ in range(self.best.preemptions + 1)]
        levels[0].append(b"")
        while (level := next((level for level in levels if level), None)) is not None:
            if self.late:
                return False
            beginning = level.popleft()
            schedule = self.run(Follow(beginning))
            if fate(schedule) == self.key:
                self.best = schedule
                return True
            for cost, other in alternatives(schedule, len(beginning), len(levels) - 1):
                levels[cost].append(other)
        return True


def switches_of(schedule: Schedule) -> Switches:
    """Where it does not do what it would do by default."""
    return {
        number: decision.chosen
        for number, decision in enumerate(schedule.decisions)
        if decision.chosen != decision.options[0]
    }


def weight(schedule: Schedule) -> tuple[int, int]:
    """Smaller is better: preemptions, then switches."""
    return schedule.preemptions, len(switches_of(schedule))


def fate(schedule: Schedule) -> frozenset[str]:
    """The outcomes, however often each was seen."""
    return frozenset(schedule.outcomes)


def minimise(
    run: Callable[[Chooser], Schedule],
    decisions: bytes,
    seconds: float,
    report: Callable[[int], object] = lambda tried: None,
) -> Minimal:
    """The smallest schedule with the outcomes of ``decisions`` that ``seconds`` suffice to find.

    ``run`` runs one. Delta debugging: Zeller, Hildebrandt: Simplifying and Isolating
    Failure-Inducing Input, IEEE TSE 2002.
    """
    start = run(Deviate(dict(enumerate(decisions))))
    search = Search(run, start, monotonic() + seconds, report)
    search.fewer()
    done = search.first()
    return Minimal(search.best, start.preemptions, search.tried, done)
