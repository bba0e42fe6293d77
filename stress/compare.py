"""Two runs side by side: what has drifted further than chance and noise explain."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from stress.core.result import Result
from stress.environment import Environment
from stress.report.naming import title
from stress.report.tables import loss_rate
from stress.report.terminal import Table

__all__ = ["Drift", "drift_table", "drifts", "moved", "paired"]

Pair = tuple[Result, Result]


@dataclass(frozen=True, slots=True)
class Drift:
    """One figure of one configuration that is not what it was. Immutable."""

    run: str
    figure: str
    old: str
    new: str


def paired(old: Sequence[Result], new: Sequence[Result]) -> list[Pair]:
    """The runs of the same configuration, seeds aside."""
    before = {title(result): result for result in old}
    return [(before[title(result)], result) for result in new if title(result) in before]


def moved(old: Environment, new: Environment) -> list[tuple[str, str, str]]:
    """What the two ran on that is not the same: its name, what it was and what it is."""
    pairs = zip(old.rows(), new.rows(), strict=True)
    return [(name, before, now) for (name, before), (_, now) in pairs if before != now]


def drifts(pairs: Sequence[Pair], tolerance: float) -> list[Drift]:
    """What has drifted in any pair. ``tolerance``: see ``throughput``."""
    return [drift for old, new in pairs for drift in between(old, new, tolerance)]


def between(old: Result, new: Result, tolerance: float) -> Iterator[Drift]:
    """What has drifted from ``old`` to ``new``."""
    if old.verdict != new.verdict:
        yield Drift(title(new), "verdict", old.verdict, new.verdict)
    if (
        old.loss
        and new.loss
        and apart((old.loss.low, old.loss.high), (new.loss.low, new.loss.high))
    ):
        yield Drift(title(new), "loss rate", loss_rate(old.loss), loss_rate(new.loss))
    speeds = throughput(old, tolerance), throughput(new, tolerance)
    if old.seconds and new.seconds and apart(*speeds):
        yield Drift(title(new), "samples/s", *(f"{sum(ends) / 2:,.0f}" for ends in speeds))


def throughput(result: Result, tolerance: float) -> tuple[float, float]:
    """Samples a second, give or take ``tolerance``, a fraction.

    Trials of one run share the state of the machine, so their spread says too little of how far
    two runs may be apart; what to allow is for whoever knows the machine to say.
    """
    speed = result.samples / result.seconds if result.seconds else 0.0
    return speed * (1 - tolerance), speed * (1 + tolerance)


def apart(one: tuple[float, float], other: tuple[float, float]) -> bool:
    """Whether two intervals have nothing in common.

    >>> apart((0.0, 0.1), (0.1, 0.2)), apart((0.0, 0.1), (0.11, 0.2))
    (False, True)
    """
    return one[1] < other[0] or other[1] < one[0]


def drift_table(found: Sequence[Drift], compared: int) -> Table:
    """What has drifted, as a table."""
    rows = [(drift.run, drift.figure, drift.old, drift.new) for drift in found]
    columns = ("run", "figure", "old", "new")
    return Table(
        f"{compared:,} runs compared; drifted: {len(found)}", columns, rows, frozenset(columns)
    )
