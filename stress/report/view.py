"""What the HTML page shows, worked out before any of it is drawn."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from stress.core.result import Result, Row, Verdict
from stress.core.source import SHIPPED
from stress.core.stats import wilson
from stress.core.tactics import PLAIN
from stress.report.lanes import Lanes, lanes
from stress.report.naming import unusual
from stress.report.plot import order
from stress.report.tables import NONE, loss_rate, percent, share

__all__ = [
    "Cell",
    "Line",
    "Run",
    "Tally",
    "matrix",
    "modes_of",
    "runs",
    "symbol",
    "tallies",
    "wrong",
]

# Each verdict has a sign of its own, always beside its word: nothing hangs on colour.
SYMBOLS = {
    Verdict.CRASH.value: "‼", Verdict.TIMEOUT.value: "…", Verdict.ERROR.value: "!",
    Verdict.FAIL.value: "✗", Verdict.INCONCLUSIVE.value: "?", Verdict.PASS.value: "✓",
    Verdict.SKIPPED.value: "-",
}  # fmt: skip
WORST_FIRST = tuple(SYMBOLS)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a table of outcomes. Immutable. ``share``: of the samples, from 0 to 1."""

    row: Row
    share: float
    percent: str
    interval: str


@dataclass(frozen=True, slots=True)
class Drawn:
    """One schedule of a result. Immutable. ``anchor``: the beginning of those of its steps."""

    anchor: str
    lanes: Lanes


@dataclass(frozen=True, slots=True)
class Run:
    """One result, with all that the page says of it. Immutable."""

    anchor: str
    result: Result
    configuration: str
    loss: str
    facts: tuple[tuple[str, str], ...]
    lines: tuple[Line, ...]
    replays: tuple[str, ...]
    again: str
    schedules: tuple[Drawn, ...]
    text: str

    @property
    def opened(self) -> bool:
        """Whether it is open at first sight."""
        return self.result.failed

    @property
    def wrong(self) -> bool:
        """Whether it is among those to look at first."""
        return self.result.verdict not in (Verdict.PASS.value, Verdict.SKIPPED.value)


@dataclass(frozen=True, slots=True)
class Tally:
    """How many runs came to one verdict. Immutable."""

    verdict: str
    count: int


@dataclass(frozen=True, slots=True)
class Cell:
    """All runs of one scenario in one mode: the worst verdict, and what the others came to."""

    verdict: str
    anchor: str
    words: str


def symbol(verdict: str) -> str:
    """The sign of a verdict."""
    return SYMBOLS.get(verdict, "?")


def badness(verdict: str) -> int:
    """The place of a verdict, the worst first."""
    return WORST_FIRST.index(verdict) if verdict in WORST_FIRST else -1


def runs(results: Sequence[Result], scenarios: str) -> list[Run]:
    """All that the page says of each result; ``scenarios`` is where their scenarios are."""
    return [run(number, result, scenarios) for number, result in enumerate(results, 1)]


def wrong(shown: Sequence[Run]) -> list[Run]:
    """Those to look at first, the worst at the top."""
    found = (run for run in shown if run.wrong)
    return sorted(found, key=lambda run: badness(run.result.verdict))


def run(number: int, result: Result, scenarios: str) -> Run:
    """All that the page says of one result."""
    params = result.params
    words = [f"{params.threads} threads"]
    words += [f"size {params.size:,}, {params.dtype}"] if result.number else []
    words += ["explored"] if params.explored else []
    words += unusual(result)
    said = (result.name, params.mode, result.verdict, *words, result.reason, *result.notes)
    return Run(
        f"run-{number}", result, ", ".join(words), loss_rate(result.loss), facts(result),
        lines(result),
        tuple(replay(token, scenarios) for token in result.tokens),
        again(result, scenarios), drawn(number, result), " ".join(said).lower(),
    )  # fmt: skip


def drawn(number: int, result: Result) -> tuple[Drawn, ...]:
    """The schedules of a result, in the order of its tokens."""
    return tuple(
        Drawn(f"run-{number}-{place}", laid)
        for place, timeline in enumerate(result.timelines, 1)
        if (laid := lanes(timeline)) is not None
    )


def facts(result: Result) -> tuple[tuple[str, str], ...]:
    """The figures of a run, with their names."""
    params, tactics = result.params, result.tactics
    always = (
        ("samples", f"{result.samples:,} {result.unit}".strip()),
        ("trials", f"{result.trials:,}"),
        ("time", f"{result.seconds:.2f} s"),
        ("seed", str(params.seed)),
    )
    if params.explored:  # a scheduler decided all that follows
        return always
    return (
        *always,
        ("overlap", NONE if result.overlap is None else f"{percent(result.overlap)} %"),
        ("process", str(result.fork)),
        ("start", tactics.sync),
        ("chaos", tactics.chaos),
        ("switch interval", f"{tactics.switch_interval * 1e3:g} ms"),
        ("GIL", NONE if result.gil is None else "on" if result.gil else "off"),
    )


def lines(result: Result) -> tuple[Line, ...]:
    """The outcomes, each with its share of all.

    Schedules that were explored are no random samples: their shares have no interval.
    """
    total = sum(row.count for row in result.rows)
    sampled = total and not result.params.explored
    return tuple(
        Line(row, part, share(part), interval(row.count, total) if sampled else "")
        for row in result.rows
        for part in [row.count / total if total else 0.0]
    )


def interval(count: int, samples: int) -> str:
    """The 95 % interval of a share, in words.

    >>> interval(5, 1000), interval(998, 1000)
    ('0.214 to 1.17 %', '99.3 to 99.9 %')
    """
    ends = wilson(count, samples)
    return f"{100 * ends.low:.3g} to {100 * ends.high:.3g} %"


def replay(token: str, scenarios: str) -> str:
    """The command that runs the schedule of a token.

    >>> replay("accumulate.ones:ae2q", SHIPPED)
    'python -m stress replay accumulate.ones:ae2q --trace'
    """
    return command("replay", token, "--trace", *elsewhere(scenarios))


def again(result: Result, scenarios: str) -> str:
    """The command that runs this configuration once more."""
    params, tactics = result.params, result.tactics
    options = ["--mode", params.mode, "--threads", params.threads, "--seed", params.seed]
    if not result.number:
        return command("train", *options)
    options += elsewhere(scenarios)
    if params.explored:
        return command("explore", result.name, *options, *shlex.split(result.search))
    options += ["--sizes", params.size]
    for name in ("sync", "chaos", "switch_interval", "gil"):
        if getattr(tactics, name) != getattr(PLAIN, name):
            options += [f"--{name.replace('_', '-')}", getattr(tactics, name)]
    return command("run", "-t", f"^{re.escape(result.name)}$", *options)


def elsewhere(scenarios: str) -> list[str]:
    """The option that says where the scenarios are, unless they are those that ship."""
    return [] if scenarios == SHIPPED else ["--scenarios", scenarios]


def command(*words: object) -> str:
    """A command line of the harness that a shell takes as it is.

    >>> command("run", "-t", "^a$")
    "python -m stress run -t '^a$'"
    """
    return "python -m stress " + shlex.join(map(str, words))


def modes_of(results: Sequence[Result]) -> list[str]:
    """The modes that were run."""
    return sorted({result.params.mode for result in results}, key=lambda mode: (order(mode), mode))


def tallies(results: Sequence[Result]) -> list[Tally]:
    """How often each verdict was given, the worst first."""
    counted = Counter(result.verdict for result in results)
    return [Tally(verdict, counted[verdict]) for verdict in sorted(counted, key=badness)]


def matrix(shown: Sequence[Run], modes: Sequence[str]) -> list[tuple[str, list[Cell | None]]]:
    """A row for each scenario, a cell for each mode; None where it has no such mode."""
    names = dict.fromkeys(run.result.name for run in shown)
    return [(name, [cell(shown, name, mode) for mode in modes]) for name in names]


def cell(shown: Sequence[Run], name: str, mode: str) -> Cell | None:
    """What the runs of one scenario in one mode came to; the anchor is that of the worst."""
    here = [run for run in shown if (run.result.name, run.result.params.mode) == (name, mode)]
    if not here:
        return None
    worst = min(here, key=lambda run: badness(run.result.verdict))
    counted = tallies([run.result for run in here])
    words = f"{len(here)} run" + "s" * (len(here) > 1)
    if len(counted) > 1:
        words = ", ".join(f"{item.count} {item.verdict}" for item in counted)
    return Cell(worst.result.verdict, worst.anchor, words)
