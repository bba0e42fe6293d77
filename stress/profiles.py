"""Profiles: how much time a run takes, and which configurations fit into it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from math import inf
from time import monotonic

from stress.core.runner import Budget

__all__ = ["LEAST", "LIMIT", "PROFILES", "Pace", "Profile"]

START = 0.06  # seconds that a process takes to start and to end
SHARE = 0.4  # of a budget is planned for; the rest waits for evidence that is late
SHORTEST = 0.02  # seconds; in less nothing is seen
PARTS = 4  # of what is to spare that one configuration may take
LIMIT = 30.0  # seconds without another trial are a hang
LEAST = 1.0  # seconds that this may be set to: a run tells of its progress five times a second
PATIENCE = 10  # times its time, and at least seconds, a configuration may wait for evidence


@dataclass(frozen=True, slots=True)
class Profile:
    """What a run may take. Immutable.

    ``budget``: seconds for all of it, once it has started. ``seconds``: for one configuration,
    where the budget does not say less. ``needs`` and ``bars``: tags that a configuration must have,
    must not have. ``sample``: of each scenario only one configuration, drawn from the seed.
    ``forks``: processes for each configuration. ``exploring``: seconds on top for schedules in
    control, of at most ``preemptions``. ``meaning``: what it is for.
    """

    meaning: str
    budget: float
    seconds: float = inf
    needs: frozenset[str] = frozenset()
    bars: frozenset[str] = frozenset()
    sample: bool = False
    forks: int = 1
    exploring: float = 0.0
    preemptions: int = 0

    @property
    def share(self) -> float:
        """The part of all its time that is for real threads."""
        return self.budget / (self.budget + self.exploring)

    def fits(self, tags: Collection[str]) -> bool:
        """Whether a configuration with these tags belongs to it."""
        return self.needs.issubset(tags) and self.bars.isdisjoint(tags)


QUICK, SLOW = frozenset({"quick"}), frozenset({"slow"})

PROFILES = {
    "smoke": Profile(
        "10 s, before a commit: one configuration of each quick scenario",
        budget=8,
        seconds=0.3,
        needs=QUICK,
        bars=SLOW,
        sample=True,
    ),
    "quick": Profile("1 min, for CI: all that is quick", 55, 0.5, QUICK, SLOW),
    "default": Profile("10 min: all that is not slow", 590, 1.0, bars=SLOW),
    "nightly": Profile(
        "1 h: everything, in two processes each; then every schedule of up to 3 preemptions",
        budget=1800,
        forks=2,
        exploring=1800,
        preemptions=3,
    ),
}


class Pace:
    """Shares the time of a run out to its jobs, as they come. Externally synchronised.

    Each gets its ``seconds``, less where time is short. One that lacks evidence then may take four
    times its part of what is to spare: most need none of theirs. One that does nothing for
    ``limit`` seconds hangs.
    """

    def __init__(
        self, jobs: int, budget: float, seconds: float = inf, limit: float = LIMIT
    ) -> None:
        self.ends, self.limit = monotonic() + budget, limit
        self.seconds = min(seconds, max(SHORTEST, SHARE * budget / max(1, jobs) - START))

    def budget(self, left: int) -> Budget | None:
        """The time of the next job, when ``left`` jobs are left with it; None if there is none."""
        remaining = self.ends - monotonic()
        if remaining <= 0:
            return None
        seconds = max(SHORTEST, min(self.seconds, remaining / left - START))
        spare = max(0.0, remaining - left * (seconds + START))
        part = spare * min(1.0, PARTS / left)
        patience = min(max(PATIENCE, PATIENCE * seconds), seconds + part)
        return Budget(seconds, patience, self.limit)
