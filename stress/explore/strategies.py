"""Who runs next: by a list, by dice, or by priorities that change now and then."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

from stress.explore.trial import Schedule

__all__ = ["DEPTHS", "Follow", "Priorities", "Walk", "alternatives"]

DEPTHS = (1, 2, 3, 4)  # of bugs, tried in turn where the depth is not given


class Follow:
    """Decides as ``decisions`` say, and after their end for whoever goes on by default.

    Where a thread that it should choose cannot run it says so in ``problem``, and goes on by
    default.
    """

    def __init__(self, decisions: Sequence[int] = b"") -> None:
        self._decisions, self._made = decisions, 0
        self.problem = ""

    def choose(self, options: Sequence[int], costs: Sequence[int]) -> int:
        """The next of the list."""
        number = self._made
        self._made += 1
        if number >= len(self._decisions):
            return options[0]
        wanted = self._decisions[number]
        if wanted in options:
            return wanted
        self.problem = self.problem or (
            f"decision {number}: thread {wanted} is to go on, and only {sorted(options)} can"
        )
        return options[0]

    def strictly(self) -> str:
        """How the schedule differed from the list, from its first to its last decision; "" if not.

        Called when it has ended.
        """
        if not self.problem and self._made != len(self._decisions):
            return f"{self._made} decisions were made, and the list has {len(self._decisions)}"
        return self.problem


class Walk:
    """Every thread that can run is as likely as any other."""

    def __init__(self, seed: str) -> None:
        self._random = Random(seed)

    def choose(self, options: Sequence[int], costs: Sequence[int]) -> int:
        """Any."""
        return self._random.choice(options)


class Priorities:
    """PCT: threads have random priorities, and at ``depth`` - 1 random steps the one that runs
    falls behind those that have not fallen; who of the fallen goes on first is random as well.
    Finds a bug of that depth among ``threads`` threads and ``steps`` decisions, at most, with
    probability 1 / (threads * steps ** (depth - 1)) or more.

    Burckhardt, Kothari, Musuvathi, Nagarakatte: A Randomized Scheduler with Probabilistic
    Guarantees of Finding Bugs, ASPLOS 2010.
    """

    def __init__(self, seed: str, depth: int, steps: int) -> None:
        self._random = Random(seed)
        self._falls = {self._random.randrange(max(1, steps)): -rank for rank in range(depth - 1)}
        self._priority: dict[int, float] = {}
        self._made = 0

    def choose(self, options: Sequence[int], costs: Sequence[int]) -> int:
        """The one of highest priority."""
        for option in options:
            if option not in self._priority:
                self._priority[option] = 1 + self._random.random()
        if self._made in self._falls:
            highest = max(options, key=self._priority.__getitem__)
            self._priority[highest] = self._falls[self._made]
        self._made += 1
        return max(options, key=self._priority.__getitem__)


def alternatives(schedule: Schedule, given: int, bound: float) -> Iterator[tuple[int, bytes]]:
    """The beginnings of schedules that differ from ``schedule`` in one decision, their last.

    Of the decisions from number ``given`` on, those before were given to it; each comes with what
    it costs, if that is within ``bound``. Begun with nothing and continued with each of them, this
    reaches every schedule within the bound exactly once.
    """
    chosen, spent = schedule.chosen, 0
    for number, (options, costs, made, _) in enumerate(schedule.decisions):
        if number >= given:
            for option, cost in zip(options, costs, strict=True):
                if option != made and spent + cost <= bound:
                    yield spent + cost, chosen[:number] + bytes([option])
        if made != options[0]:  # which costs nothing
            spent += costs[options.index(made)]
