"""Timing on a shared machine: short blocks in turn, so that a disturbance hits all alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import median
from time import perf_counter

__all__ = ["Ratio", "alternate", "ratio"]

BLOCK = 0.01  # seconds of one contestant before the next has its turn
ROUNDS = 5  # at least so many turns each, however small the budget


@dataclass(frozen=True, slots=True)
class Ratio:
    """The median over paired measurements, and its 95 % interval. Immutable."""

    median: float
    low: float
    high: float


def alternate(
    contestants: Mapping[str, Callable[[], object]], seconds: float
) -> dict[str, list[float]]:
    """Seconds per call, one figure a block; block *k* of each was measured side by side.

    Blocks last ~10 ms. Each starts with an untimed call, which refills the caches that the other
    contestants used, and each round starts with another contestant.
    """
    turns = [(name, call, block_length(call)) for name, call in contestants.items()]
    blocks: dict[str, list[float]] = {name: [] for name in contestants}
    deadline = perf_counter() + seconds
    rounds = 0
    while rounds < ROUNDS or perf_counter() < deadline:
        for name, call, length in turns:
            call()
            blocks[name].append(timed(call, length) / length)
        turns.append(turns.pop(0))
        rounds += 1
    return blocks


def block_length(call: Callable[[], object]) -> int:
    """How many calls fill a block; warms up on the way."""
    length = 1
    while (took := timed(call, length)) < BLOCK / 2:
        length *= 2
    return max(1, round(BLOCK * length / took))


def timed(call: Callable[[], object], times: int) -> float:
    """Seconds that ``times`` calls took."""
    start = perf_counter()
    for _ in range(times):
        call()
    return perf_counter() - start


def ratio(over: Sequence[float], under: Sequence[float]) -> Ratio:
    """``over / under`` of paired figures, with an interval that assumes no distribution.

    The ends are order statistics, so an outlier moves them by one rank at most. With fewer than
    six pairs they are the extremes.

    >>> ratio([2.0, 4.0, 6.0], [1.0, 2.0, 2.0])
    Ratio(median=2.0, low=2.0, high=3.0)
    """
    ratios = sorted(a / b for a, b in zip(over, under, strict=True))
    count = len(ratios)
    rank = max(0, int((count - 1.96 * sqrt(count)) / 2))
    return Ratio(median(ratios), ratios[rank], ratios[-1 - rank])
