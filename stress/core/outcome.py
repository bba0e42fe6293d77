"""Outcomes: what a sample of a scenario may turn out to be, and why that is right or wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase

__all__ = ["Expect", "Outcome", "acceptable", "forbidden", "grade", "interesting", "required"]


class Expect(Enum):
    """The classes of outcomes. A sample that matches no declared outcome is ``UNKNOWN``."""

    ACCEPTABLE = "acceptable"  # may appear, need not
    INTERESTING = "interesting"  # allowed, and worth a number
    REQUIRED = "required"  # allowed, and a run that never shows it has lost its power
    FORBIDDEN = "forbidden"  # one sample fails
    UNKNOWN = "unknown"  # nobody said that it may happen: fails as well

    @property
    def fails(self) -> bool:
        """Whether one sample of this class fails the scenario."""
        return self in (Expect.FORBIDDEN, Expect.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One declared outcome: a key or a pattern of keys, its class, and why. Immutable.

    >>> forbidden("raised *", "accumulation never raises").expect.fails
    True
    """

    key: str
    expect: Expect
    why: str


def acceptable(key: str, why: str) -> Outcome:
    """``key`` may appear, need not."""
    return Outcome(key, Expect.ACCEPTABLE, why)


def interesting(key: str, why: str) -> Outcome:
    """``key`` is allowed, and worth a number."""
    return Outcome(key, Expect.INTERESTING, why)


def required(key: str, why: str) -> Outcome:
    """``key`` is allowed, and a run that never shows it is inconclusive."""
    return Outcome(key, Expect.REQUIRED, why)


def forbidden(key: str, why: str) -> Outcome:
    """One ``key`` fails the scenario."""
    return Outcome(key, Expect.FORBIDDEN, why)


def grade(outcomes: Sequence[Outcome], key: str) -> Outcome:
    """The declared outcome for ``key``: an exact match first, then the first pattern that fits.

    >>> rows = [acceptable("kept", "all there")]
    >>> grade(rows, "kept").why
    'all there'
    >>> grade(rows, "doubled").expect
    <Expect.UNKNOWN: 'unknown'>
    """
    for outcome in outcomes:
        if outcome.key == key:
            return outcome
    for outcome in outcomes:
        if fnmatchcase(key, outcome.key):
            return outcome
    return Outcome(key, Expect.UNKNOWN, "no declared outcome matches it")
