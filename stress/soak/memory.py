"""How much memory the process holds, and whether that grows."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import sqrt
from pathlib import Path

import numpy as np

__all__ = ["Slope", "one_arena", "resident", "slope"]

WARM = 0.25  # the first part of a run, in which caches fill, does not count
LEAST = 12  # looks, below which a slope says nothing
Z95 = 1.96
STATM = Path("/proc/self/statm")
ARENAS = "MALLOC_ARENA_MAX"


@contextmanager
def one_arena() -> Iterator[None]:
    """Let processes that are started meanwhile have one pool of free memory for all threads.

    glibc gives threads up to eight a core, each of which keeps fragments. They grow for minutes
    where threads come and go, and hide whether anything is lost.
    """
    before = os.environ.get(ARENAS)
    os.environ[ARENAS] = before or "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[ARENAS]


def resident() -> float:
    """Resident memory of this process in MB; 0 where the system does not say."""
    if not STATM.exists():
        return 0.0
    return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


@dataclass(frozen=True, slots=True)
class Slope:
    """Growth in MB a minute, with a 95 % interval. Immutable."""

    value: float
    low: float
    high: float

    def describe(self) -> str:
        """In words."""
        return f"{self.value:+.2f} MB a minute (95 %: {self.low:+.2f} to {self.high:+.2f})"


def slope(looks: Sequence[tuple[float, float]]) -> Slope | None:
    """The slope of (seconds, MB) by least squares, without the first part; None for too few looks.

    Neighbouring looks are alike, so they are worth fewer than they are: the error is widened by
    their correlation, as of a first-order autoregression.

    >>> slope([(2.0 * i, 100.0 + i) for i in range(40)])
    Slope(value=30.0..., low=30.0..., high=30.0...)
    """
    warm = [look for look in looks if look[0] >= WARM * looks[-1][0]]
    if len(warm) < LEAST or not looks[-1][1]:
        return None
    minutes, held = np.array(warm).T / np.array([[60.0], [1.0]])
    centred = minutes - minutes.mean()
    spread = float(centred @ centred)
    value = float(centred @ held) / spread
    rest = held - held.mean() - value * centred
    half = Z95 * sqrt(float(rest @ rest) / (len(warm) - 2) / spread) * widened(rest)
    return Slope(value, value - half, value + half)


def widened(rest: np.ndarray) -> float:
    """By how much correlation between neighbours widens an interval."""
    power = float(rest @ rest)
    alike = float(rest[1:] @ rest[:-1]) / power if power > 1e-9 else 0.0
    alike = min(max(alike, 0.0), 0.95)
    return sqrt((1 + alike) / (1 - alike))
