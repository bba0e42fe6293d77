"""The result of one run, and the verdict on it: PASS only where there is evidence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from stress.core.outcome import Expect, Outcome, grade
from stress.core.scenario import MODES, Params
from stress.core.tactics import PLAIN, Tactics

__all__ = ["Loss", "Result", "Row", "Timeline", "Verdict", "decide", "in_order", "tabulate"]


Timeline = tuple[tuple[str, str, str], ...]


class Verdict(Enum):
    """What a run came to. Only PASS says that a promise held."""

    PASS = "PASS"
    FAIL = "FAIL"  # a forbidden or unknown outcome was seen
    INCONCLUSIVE = "INCONCLUSIVE"  # nothing wrong was seen, and too little was seen to tell
    TIMEOUT = "TIMEOUT"  # it hung
    CRASH = "CRASH"  # the process died
    ERROR = "ERROR"  # the harness itself went wrong
    SKIPPED = "SKIPPED"  # it does not apply here


FAILED = frozenset(
    bad.value for bad in (Verdict.FAIL, Verdict.TIMEOUT, Verdict.CRASH, Verdict.ERROR)
)

STANDINGS = {
    Verdict.FAIL.value: "failed", Verdict.INCONCLUSIVE.value: "inconclusive",
    Verdict.SKIPPED.value: "skipped", Verdict.TIMEOUT.value: "hung",
    Verdict.CRASH.value: "crashed", Verdict.ERROR.value: "errors",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """How often one outcome was seen, its class, and why it has that class. Immutable."""

    key: str
    count: int
    expect: str
    why: str


@dataclass(frozen=True, slots=True)
class Loss:
    """Lost element-updates out of those offered, with the 95 % interval of the rate. Immutable."""

    lost: int
    offered: int
    rate: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Result:
    """One scenario in one configuration, run and judged. Immutable.

    ``overlap`` is the fraction of trials in which actors were inside the window together; None
    where nothing ran. ``reason`` says why the verdict is not PASS; ``stacks`` what every thread was
    doing when the run hung or crashed. ``fork`` counts the processes that ran the same; ``gil``:
    whether this one had the GIL when it was done, None where that is not known. ``search``: the
    options of ``explore`` that say which schedules were tried. ``tokens`` name schedules to replay,
    those that failed first; ``timelines`` are these schedules, a row (thread, point, subject) for
    each step.
    """

    number: int
    name: str
    params: Params
    verdict: str = Verdict.ERROR.value
    reason: str = ""
    unit: str = ""
    samples: int = 0
    trials: int = 0
    seconds: float = 0.0
    overlap: float | None = None
    loss: Loss | None = None
    rows: tuple[Row, ...] = ()
    notes: tuple[str, ...] = ()
    stacks: str = ""
    tactics: Tactics = PLAIN
    fork: int = 0
    gil: bool | None = None
    search: str = ""
    tokens: tuple[str, ...] = ()
    timelines: tuple[Timeline, ...] = ()

    @property
    def timeline(self) -> Timeline:
        """The first of the schedules, step by step; empty where there is none."""
        return self.timelines[0] if self.timelines else ()

    @property
    def failed(self) -> bool:
        """Whether a promise was broken, or the run itself came to grief."""
        return self.verdict in FAILED

    @property
    def interesting(self) -> int:
        """Samples that are allowed and worth a number."""
        shown = (Expect.INTERESTING.value, Expect.REQUIRED.value)
        return sum(row.count for row in self.rows if row.expect in shown)

    @property
    def standing(self) -> str:
        """What it counts as while others are still to come."""
        raced = "interesting" if self.interesting else "ok"
        return STANDINGS.get(self.verdict, raced)


def decide(
    rows: Sequence[Row], *, overlap: float, minimum: int, idle: Sequence[int], odd: str = ""
) -> tuple[Verdict, str]:
    """The verdict on a run that ended by itself, and the reason where it is not PASS.

    ``idle`` names actors that never entered; ``odd`` says what was not as it was asked for.
    """
    for row in rows:
        if Expect(row.expect).fails and row.count:
            return Verdict.FAIL, f"{row.expect} outcome {row.key!r}: {row.why}"
    if odd:
        return Verdict.INCONCLUSIVE, odd
    samples = sum(row.count for row in rows)
    if samples < minimum:
        return Verdict.INCONCLUSIVE, f"{samples:,} samples, {minimum:,} needed"
    if idle:
        return Verdict.INCONCLUSIVE, f"actors {list(idle)} never entered"
    if not overlap:
        return Verdict.INCONCLUSIVE, "actors never overlapped: nothing could race"
    for row in rows:
        if row.expect == Expect.REQUIRED.value and not row.count:
            return Verdict.INCONCLUSIVE, f"{row.key!r} was never seen, so the run had no power"
    return Verdict.PASS, ""


def tabulate(outcomes: Sequence[Outcome], counts: dict[str, int]) -> tuple[Row, ...]:
    """A row for every key seen, then for every declared outcome that was not."""
    rows = []
    reached = set()
    for key, count in counts.items():
        outcome = grade(outcomes, key)
        reached.add(outcome)
        rows.append(Row(key, count, outcome.expect.value, outcome.why))
    unseen = (outcome for outcome in outcomes if outcome not in reached)
    rows += [Row(outcome.key, 0, outcome.expect.value, outcome.why) for outcome in unseen]
    return tuple(rows)


def in_order(results: Iterable[Result]) -> list[Result]:
    """Results by scenario, mode, threads and size: they come in an order that was drawn."""
    return sorted(results, key=place)


def place(result: Result) -> tuple[object, ...]:
    """Where a result stands among others."""
    params = result.params
    mode = MODES.index(params.mode) if params.mode in MODES else -1
    tactics = result.tactics
    return (result.number, result.name, mode, params.threads, params.size, params.dtype,
            tactics.sync, tactics.chaos, tactics.switch_interval, result.fork)  # fmt: skip
