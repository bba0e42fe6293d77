"""A schedule as lanes, one for each thread, time running to the right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

__all__ = ["Lanes", "Step", "lanes"]

ROOMY, TIGHT = 18.0, 5.0  # width of a step in SVG's units: of a few steps, of many
FITS = 900  # so wide may the picture be before steps get narrower
MOST = (
    2_000  # steps that are drawn: of a schedule without an end a browser would make a minute's work
)
LANE = 26  # height of a lane
TOP = 18  # above the first lane: the numbers of the steps


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a schedule. Immutable.

    ``switched``: another thread took the step before. ``x`` and ``y``: its upper left corner.
    """

    number: int
    lane: int
    thread: str
    point: str
    subject: str
    switched: bool
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Lanes:
    """A schedule, laid out. Immutable.

    ``path`` leads from step to step; ``ticks`` number some of the steps. Of a schedule of more than
    ``MOST`` steps the first and the last are there; ``total`` and ``switches`` count all.
    """

    threads: tuple[str, ...]
    steps: tuple[Step, ...]
    step_width: float
    width: float
    height: float
    path: str
    ticks: tuple[tuple[float, int], ...]
    total: int
    switches: int
    lane_height: int = LANE
    top: int = TOP

    @property
    def left_out(self) -> int:
        """How many steps in the middle are not there."""
        return self.total - len(self.steps)


def lanes(timeline: Sequence[Sequence[str]]) -> Lanes | None:
    """The rows (thread, point, subject) of ``timeline``, laid out; None where there are none.

    The thread that began has the first lane, and the others follow by name.

    >>> drawn = lanes([("a", "grad.read", ""), ("b", "grad.read", ""), ("a", "grad.store", "")])
    >>> drawn.threads, drawn.switches
    (('a', 'b'), 2)
    """
    if not timeline:
        return None
    first, *others = dict.fromkeys(thread for thread, _, _ in timeline)
    threads = (first, *sorted(others, key=lambda name: (len(name), name)))
    before = [first, *(thread for thread, _, _ in timeline)]
    switched = [thread != last for (thread, _, _), last in zip(timeline, before, strict=False)]
    wide = min(ROOMY, max(TIGHT, FITS / len(timeline)))
    steps = tuple(
        Step(
            number, threads.index(thread), thread, point, subject, switched[number],
            round(place * wide, 1), TOP + LANE * threads.index(thread),
        )
        for place, number in enumerate(ends(len(timeline)))
        for thread, point, subject in [timeline[number]]
    )  # fmt: skip
    every = max(1, round(60 / wide / 5) * 5)
    ticks = tuple((step.x, step.number) for step in steps if step.number % every == 0)
    height = TOP + LANE * len(threads)
    return Lanes(threads, steps, wide, len(steps) * wide, height, trace(steps, wide), ticks,
                 len(timeline), sum(switched))  # fmt: skip


def ends(total: int) -> list[int]:
    """The numbers of the steps that are drawn, of so many.

    >>> len(ends(MOST)), ends(5_000)[999:1_001]
    (2000, [999, 4000])
    """
    if total <= MOST:
        return list(range(total))
    half = MOST // 2
    return [*range(half), *range(total - half, total)]


def trace(steps: Sequence[Step], wide: float) -> str:
    """A line from thread to thread where the processor changes hands."""
    parts = [
        f"M{round(after.x, 1):g} {before.y + LANE / 2:g}V{after.y + LANE / 2:g}"
        for before, after in pairwise(steps)
        if after.switched
    ]
    return "".join(parts)
