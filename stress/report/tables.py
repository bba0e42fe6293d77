"""Results as tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from engine.hogwild import TrainResult
from stress.core.result import Loss, Result
from stress.core.scenario import Scenario
from stress.environment import Environment, Finding
from stress.report.naming import dimensions, unusual, varied
from stress.report.terminal import Table

__all__ = [
    "environment_table",
    "epoch_table",
    "findings_table",
    "outcome_table",
    "scenario_table",
    "share",
    "staleness_table",
    "verdict_tables",
]

NONE = "-"
WIDEST = 40  # characters of the longest bar of a histogram


def percent(fraction: float) -> str:
    """A fraction in percent, to two significant figures.

    >>> percent(0.0041), percent(1.0), percent(2.5e-8)
    ('0.41', '100', '2.5e-06')
    """
    value = 100 * fraction
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"


def share(fraction: float) -> str:
    """A share of all samples; what is not none does not read as none, nor what is not all as all.

    >>> share(0.25), share(0.0), share(1.0)
    ('25.000 %', '0.000 %', '100.000 %')
    >>> share(1e-7), share(1 - 1e-7)
    ('< 0.001 %', '> 99.999 %')
    """
    value = f"{100 * fraction:.3f} %"
    if fraction and value == "0.000 %":
        return "< 0.001 %"
    return "> 99.999 %" if fraction < 1 and value == "100.000 %" else value


def loss_rate(loss: Loss | None) -> str:
    """The loss rate with its interval; without a loss, the bound that the samples allow.

    >>> loss_rate(Loss(41, 10_000, 0.0041, 0.003, 0.0055))
    '0.41 % [0.3, 0.55]'
    >>> loss_rate(Loss(0, 10_000, 0.0, 0.0, 0.0003))
    '0 (< 0.03 %)'
    """
    if loss is None:
        return NONE
    if not loss.lost:
        return f"0 (< {percent(loss.high)} %)"
    return f"{percent(loss.rate)} % [{percent(loss.low)}, {percent(loss.high)}]"


SAMPLED = (
    "Verdicts (samples: see `list`; loss rate: of element-updates, with its 95 % interval, or "
    "where none was lost, what the samples bound it to)"
)
EXPLORED = (
    "Explored, schedule by schedule (PASS: every schedule within the bound; of pct and random, as "
    "many as were asked for)"
)


def verdict_tables(results: Sequence[Result]) -> list[Table]:
    """A table of what real threads did, and one of what was explored; what is empty is left out."""
    explored = [result for result in results if result.params.explored]
    sampled = [result for result in results if not result.params.explored]
    return [verdict_table(part) for part in (sampled, explored) if part] or [verdict_table([])]


def verdict_table(results: Sequence[Result]) -> Table:
    """One row for each configuration, with whatever they differ in; all explored, or none."""
    explored = any(result.params.explored for result in results)
    samples, title = ("schedules", EXPLORED) if explored else ("samples", SAMPLED)
    more = [name for name in varied(results) if name != "size"]
    rows = [
        (
            result.name,
            result.params.mode,
            *(dimensions(result)[name] if result.number else NONE for name in ("size", *more)),
            f"{result.samples:,}",
            loss_rate(result.loss),
            NONE if result.overlap is None else f"{percent(result.overlap)} %",
            result.verdict,
        )
        for result in results
    ]
    columns = ("scenario", "mode", "size", *more, samples, "loss rate", "overlap", "verdict")
    return Table(title, columns, rows, frozenset({"scenario", "mode", "verdict"}))


def outcome_table(result: Result) -> Table:
    """Every outcome of one run: how often, of which class, and why it is in that class."""
    total = max(1, result.samples, sum(row.count for row in result.rows))
    rows = [
        (row.key, f"{row.count:,}", share(row.count / total), row.expect, row.why)
        for row in result.rows
    ]
    params = result.params
    title = (
        f"{result.name}  mode={params.mode} threads={params.threads} size={params.size:,} "
        f"{' '.join([params.dtype, *unusual(result)])}  {result.verdict}"
    )
    columns = ("outcome", result.unit, "share", "class", "why")
    return Table(title, columns, rows, frozenset({"outcome", "class", "why"}))


def environment_table(environment: Environment) -> Table:
    """What the run ran on."""
    return Table(
        "", ("environment", "value"), environment.rows(), frozenset({"environment", "value"})
    )


def findings_table(findings: Sequence[Finding]) -> Table:
    """What ``doctor`` found."""
    rows = [(finding.check, finding.level, finding.message, finding.fix) for finding in findings]
    columns = ("check", "level", "found", "what to do")
    return Table("", columns, rows, frozenset(columns))


def scenario_table(scenarios: Sequence[Scenario]) -> Table:
    """What there is to run."""
    rows = [(str(s.number), s.name, ", ".join(s.modes), s.unit, s.title) for s in scenarios]
    columns = ("#", "scenario", "modes", "samples", "what happens")
    return Table("", columns, rows, frozenset(columns[1:]))


def epoch_table(result: TrainResult, metric: str) -> Table:
    """Loss, metric and speed of every epoch."""
    rows = [
        (
            str(epoch.epoch + 1),
            f"{epoch.loss:.4f}",
            NONE if epoch.metric is None else f"{100 * epoch.metric:.2f} %",
            f"{epoch.seconds:.3f}",
            f"{epoch.steps_per_second:,.0f}",
        )
        for epoch in result.epochs
    ]
    return Table("Epochs", ("epoch", "loss", metric, "seconds", "steps/s"), rows)


def staleness_table(result: TrainResult) -> Table:
    """How many updates of others each step missed, as a histogram with bins that double."""
    bins: Counter[int] = Counter()
    for stale, steps in result.staleness.items():
        bins[max(0, stale - 1).bit_length() + (stale > 0)] += steps
    most = max(bins.values(), default=1)
    rows = [
        (
            bin_name(index),
            f"{steps:,}",
            f"{100 * steps / result.steps:.2f} %",
            "#" * max(1, round(WIDEST * steps / most)),
        )
        for index, steps in sorted(bins.items())
    ]
    title = "Staleness: updates by other threads between a step's read and its write"
    return Table(title, ("staleness", "steps", "share", ""), rows, frozenset({""}))


def bin_name(index: int) -> str:
    """The range of bin ``index``: 0, 1, 2, then twice as many in each.

    >>> [bin_name(index) for index in range(6)]
    ['0', '1', '2', '3-4', '5-8', '9-16']
    """
    high = 2 ** (index - 1) if index else 0
    low = high // 2 + 1 if index > 1 else high
    return str(high) if low == high else f"{low}-{high}"
