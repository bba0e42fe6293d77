"""Two runs side by side: what has drifted further than chance and noise explain."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import log
from statistics import NormalDist

from stress.core.result import Loss, Result
from stress.core.stats import Z95, Interval, wilson
from stress.environment import Environment
from stress.report.naming import DIMENSIONS, dimensions, title
from stress.report.tables import loss_rate
from stress.report.terminal import Table

__all__ = [
    "Drift",
    "added",
    "drift_table",
    "drifts",
    "missing",
    "moved",
    "paired",
    "strangers",
    "unclear",
]

SHOWN = 10  # names of what is missing
CHANCE = 0.05  # that any loss rate is said to have drifted where none has, however many there are
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


def added(old: Sequence[Result], new: Sequence[Result]) -> str:
    """Which configurations are only in ``new``, in words; "" if there are none."""
    return only_in("NEW", new, old, "were not in OLD")


def missing(old: Sequence[Result], new: Sequence[Result]) -> str:
    """Which configurations are only in ``old``, in words; "" if there are none."""
    return only_in("OLD", old, new, "are missing in NEW")


def only_in(which: str, mine: Sequence[Result], others: Sequence[Result], what: str) -> str:
    """Which configurations are in ``mine`` and not in ``others``, and what that means."""
    there = {title(result) for result in others}
    alone = [name for result in mine if (name := title(result)) not in there]
    if not alone:
        return ""
    return f"{len(alone):,} of {which}'s {len(mine):,} {what}: {some_of(alone)}"


def some_of(names: Sequence[str]) -> str:
    """The first of the names, and how many there are besides."""
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


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
    """What has drifted in any pair. ``tolerance``: see ``throughput``.

    Of many pairs some lie apart by chance alone: with 95 % intervals one or two in five hundred.
    So each pair of loss rates has its part of ``CHANCE`` (Bonferroni's correction).
    """
    chance = CHANCE / max(1, sum(bool(old.loss and new.loss) for old, new in pairs))
    return [drift for old, new in pairs for drift in between(old, new, tolerance, chance)]


def between(old: Result, new: Result, tolerance: float, chance: float) -> Iterator[Drift]:
    """What has drifted from ``old`` to ``new``; ``chance``: of calling equal loss rates drift."""
    if old.verdict != new.verdict and not unsure(old, new):
        yield Drift(title(new), "verdict", old.verdict, new.verdict)
    if old.loss and new.loss and apart(widened(old.loss, chance), widened(new.loss, chance)):
        yield Drift(title(new), "loss rate", loss_rate(old.loss), loss_rate(new.loss))
    speeds = throughput(old, tolerance), throughput(new, tolerance)
    timed = old.seconds and new.seconds and not new.params.explored  # a search's time is noise
    if timed and apart(*speeds):
        yield Drift(title(new), "samples/s", *(f"{sum(ends) / 2:,.0f}" for ends in speeds))


def unsure(old: Result, new: Result) -> bool:
    """Whether the verdicts differ because one of the two saw too little to tell."""
    return old.verdict != new.verdict and "INCONCLUSIVE" in (old.verdict, new.verdict)


def unclear(pairs: Sequence[Pair]) -> str:
    """Which verdicts cannot be compared, in words; "" if all can.

    Which runs see too little is decided by who else uses the machine, not by what is tested.
    """
    told = [f"{title(n)} ({o.verdict}, now {n.verdict})" for o, n in pairs if unsure(o, n)]
    if not told:
        return ""
    return f"too little was seen to compare the verdicts of {len(told):,}: {some_of(told)}"


def widened(loss: Loss, chance: float) -> tuple[float, float]:
    """The interval of a loss rate that misses it with ``chance``, from the one of 95 %.

    Each end of Wilson's interval tells how many independent samples the rate is worth; where
    nothing was lost, the bound grows with the logarithm, as in the rule of three.

    >>> [f"{end:.3f}" for end in widened(Loss(10, 100, 0.1, 0.055229, 0.174367), 0.05)]
    ['0.055', '0.174']
    >>> [f"{end:.3f}" for end in widened(Loss(10, 100, 0.1, 0.055229, 0.174367), 0.0005)]
    ['0.036', '0.251']
    """
    if not loss.lost:
        return 0.0, min(1.0, loss.high * log(chance) / log(CHANCE))
    z = NormalDist().inv_cdf(1 - chance / 2)
    return at_level(z, loss.rate, loss.low).low, at_level(z, loss.rate, loss.high).high


def at_level(z: float, rate: float, end: float) -> Interval:
    """Wilson's interval for ``z`` of a rate whose 95 % interval has this end."""
    if end == rate:
        return Interval(end, end)
    worth = Z95**2 * end * (1 - end) / (rate - end) ** 2
    return wilson(rate * worth, worth, z)


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
