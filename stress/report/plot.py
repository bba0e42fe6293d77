"""Loss rates with their intervals as points in a picture: positions, ticks and shapes.

Rates stand on a logarithmic scale. Sizes and threads stand side by side, not to scale: 500 and 501
elements are two worlds where NumPy lets go of the GIL between them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from typing import Literal

from stress.core.result import Loss, Result
from stress.core.scenario import MODES
from stress.report.tables import loss_rate

__all__ = ["SHAPES", "Mark", "Panel", "Tick", "panels", "shape"]

WIDTH, HEIGHT = 400, 230  # of a panel, in SVG's units
LEFT, RIGHT, TOP, BOTTOM = 84, 12, 12, 44  # margins
LEAST = 1e-9  # rates below are drawn as this one

# Modes differ in shape, so that the picture can be read without colour.
SHAPES = {
    "racy": "M-4.5 0a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0 -9 0z",
    "locked": "M-4 -4h8v8h-8z",
    "ordered": "M0 -5L5 4H-5z",
    "reproducible": "M0 -5.5L5.5 0L0 5.5L-5.5 0z",
    "functional": "M-5 -2h3v-3h4v3h3v4h-3v3h-4v-3h-3z",
}
OTHER = "M-5 -5L5 5M5 -5L-5 5"

Axis = Literal["size", "threads"]


@dataclass(frozen=True, slots=True)
class Tick:
    """A place on an axis and what is written there. Immutable."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Mark:
    """One rate: its point, the ends of its interval, and both in words. Immutable.

    ``bound``: nothing was lost, so ``y`` is only what the samples bound the rate to.
    """

    x: float
    y: float
    low: float
    high: float
    mode: str
    bound: bool
    text: str


@dataclass(frozen=True, slots=True)
class Panel:
    """The rates of one scenario against size or threads. Immutable."""

    scenario: str
    axis: Axis
    across: tuple[Tick, ...]
    up: tuple[Tick, ...]
    marks: tuple[Mark, ...]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    top: int = TOP
    bottom: int = HEIGHT - BOTTOM

    @property
    def modes(self) -> frozenset[str]:
        """The modes that are drawn."""
        return frozenset(mark.mode for mark in self.marks)


def order(mode: str) -> int:
    """The place of ``mode`` among ``MODES``; those of other kinds come last."""
    return MODES.index(mode) if mode in MODES else len(MODES)


def shape(mode: str) -> str:
    """The path that stands for ``mode``."""
    return SHAPES.get(mode, OTHER)


@dataclass(frozen=True, slots=True)
class Scale:
    """Rates to heights: whole powers of ten from ``low`` to ``high``. Immutable.

    >>> scale = Scale(-3, 0)
    >>> [tick.text for tick in scale.ticks()]
    ['0.1 %', '1 %', '10 %', '100 %']
    >>> scale.at(1.0) < scale.at(0.1)
    True
    """

    low: int
    high: int

    def at(self, rate: float) -> float:
        """The height of ``rate``; what lies outside is drawn at the edge."""
        share = (log10(max(rate, LEAST)) - self.low) / (self.high - self.low)
        ground = HEIGHT - BOTTOM
        return round(ground - min(1.0, max(0.0, share)) * (ground - TOP), 1)

    def ticks(self) -> tuple[Tick, ...]:
        """A tick at each power of ten."""
        powers = range(self.low, self.high + 1)
        return tuple(Tick(self.at(10.0**power), power_of_ten(power + 2)) for power in powers)


def power_of_ten(power: int) -> str:
    """So many percent, written out.

    >>> power_of_ten(1), power_of_ten(-5)
    ('10 %', '0.00001 %')
    """
    return f"{10.0**power:.{max(0, -power)}f} %"


def scale_for(losses: Sequence[Loss]) -> Scale:
    """The scale on which all of ``losses`` can be seen."""
    ends = [loss.high for loss in losses]
    ends += [loss.rate for loss in losses if loss.lost]
    ends += [loss.low for loss in losses if loss.lost and loss.low > loss.rate / 100]
    logs = [log10(max(end, LEAST)) for end in ends]
    high = min(0, ceil(max(logs)))
    return Scale(min(high - 1, floor(min(logs))), high)


def panels(results: Sequence[Result]) -> list[Panel]:
    """A panel for each scenario that measured a loss: against size, and against threads if varied.

    All have one scale, so that heights can be compared.
    """
    measured = [result for result in results if result.loss is not None]
    if not measured:
        return []
    scale = scale_for([result.loss for result in measured if result.loss])
    return [
        panel(name, axis, group, scale)
        for name in dict.fromkeys(result.name for result in measured)
        for group in [[result for result in measured if result.name == name]]
        for axis in axes(group)
    ]


def axes(group: Sequence[Result]) -> Iterator[Axis]:
    """What the loss of a scenario can be drawn against."""
    yield "size"
    if len({result.params.threads for result in group}) > 1:
        yield "threads"


def panel(name: str, axis: Axis, group: Sequence[Result], scale: Scale) -> Panel:
    """The panel of one scenario."""
    values = sorted({value(result, axis) for result in group})
    room = (WIDTH - LEFT - RIGHT) / len(values)
    across = tuple(
        Tick(round(LEFT + room * (index + 0.5), 1), f"{number:,}")
        for index, number in enumerate(values)
    )
    marks = [
        mark(result, tick.at + shift, scale)
        for number, tick in zip(values, across, strict=True)
        for here in [[result for result in group if value(result, axis) == number]]
        for result, shift in zip(sorted(here, key=place), spread(len(here), room), strict=True)
    ]
    return Panel(name, axis, across, scale.ticks(), tuple(marks))


def place(result: Result) -> tuple[int, int, int, int]:
    """Where a mark stands among its neighbours."""
    params = result.params
    return order(params.mode), params.threads, params.size, result.fork


def value(result: Result, axis: Axis) -> int:
    """What stands on the axis."""
    return result.params.size if axis == "size" else result.params.threads


def spread(count: int, room: float) -> list[float]:
    """Where ``count`` marks stand beside each other, around 0.

    >>> spread(3, 100)
    [-20.0, 0.0, 20.0]
    """
    step = min(20.0, 0.8 * room / max(1, count))
    return [round(step * (index - (count - 1) / 2), 1) for index in range(count)]


def mark(result: Result, x: float, scale: Scale) -> Mark:
    """The mark of one result."""
    loss, params = result.loss, result.params
    assert loss is not None
    text = f"{params.mode}, {params.threads} threads, {params.size:,} {params.dtype}: "
    low = loss.low if loss.lost else 0.0
    seen = loss.rate if loss.lost else loss.high
    return Mark(
        round(x, 1), scale.at(seen), scale.at(low), scale.at(loss.high), params.mode,
        not loss.lost, text + loss_rate(loss),
    )  # fmt: skip
