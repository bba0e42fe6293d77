"""Two runs side by side: what has drifted further than chance and noise explain."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from stress.core.result import Result
from stress.environment import Environment
from stress.report.naming import DIMENSIONS, dimensions, title
from stress.report.tables import loss_rate
from stress.report.terminal import Table

__all__ = ["Drift", "drift_table", "drifts", "missing", "moved", "paired", "strangers"]

SHOWN = 10  # names of what is missing
NAMES = ("scenario", "mode", "explored", *DIMENSIONS)

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


def missing(old: Sequence[Result], new: Sequence[Result]) -> str:
    """Which configurations are only in ``old``, in words; "" if there are none."""
    there = {title(result) for result in new}
    gone = [name for result in old if (name := title(result)) not in there]
    if not gone:
        return ""
    more = f" and {len(gone) - SHOWN:,} more" if len(gone) > SHOWN else ""
    names = ", ".join(gone[:SHOWN])
    return f"{len(gone):,} of OLD's {len(old):,} are missing in NEW: {names}{more}"


def strangers(old: Sequence[Result], new: Sequence[Result]) -> str:
    """Why two runs have nothing in common: where they were not asked for the same, in words."""
    pairs = zip(asked(old).items(), asked(new).items(), strict=True)
    words = [
        f"{name} is {some(was)} in OLD, {some(now)} in NEW"
        for (name, was), (_, now) in pairs
        if was and now and not set(was) & set(now)
    ]
    return "; ".join(words) or "no two of their runs are the same in all that was asked for"


def some(values: Sequence[str]) -> str:
    """The first of the values.

    >>> some("ab"), some("abcde")
    ('a or b', 'a or b or c or others')
    """
    return " or ".join([*values[:3], *(["others"] if values[3:] else [])])


def asked(results: Sequence[Result]) -> dict[str, list[str]]:
    """What the runs were asked for: the values of each dimension, the scenarios first."""
    values = [
        {"scenario": result.name, "mode": result.params.mode}
        | {"explored": "yes" if result.params.explored else "no"}
        | dimensions(result)
        for result in results
    ]
    return {name: list(dict.fromkeys(each[name] for each in values)) for name in NAMES}


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
    timed = old.seconds and new.seconds and not new.params.explored  # a search's time is noise
    if timed and apart(*speeds):
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
