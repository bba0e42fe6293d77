"""What was measured as tables, and held against the bars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import geometric_mean

from stress.bench.measure import Ratio
from stress.bench.scaling import CEILING, Scaling
from stress.bench.steps import StepTimes
from stress.report.terminal import Table

__all__ = ["Bar", "bars", "caveats", "ratio_table", "scaling_table", "times_table"]

NO_FIGURE = "-"
QUIET = 1.5  # a machine with two free cores gives two processes more than that
STEP_BAR, MEAN_BAR, THREADS_BAR = 1.0, 1.3, 0.9  # what the design promises


@dataclass(frozen=True, slots=True)
class Bar:
    """One figure that is to reach a limit. Immutable."""

    what: str
    figure: float
    limit: float

    @property
    def met(self) -> bool:
        """Whether it does."""
        return self.figure >= self.limit

    def line(self) -> str:
        """The figure and the verdict, as one row.

        >>> Bar("geometric mean", 1.25, 1.3).line()
        'geometric mean: 1.25x, bar 1.3x: NOT MET'
        """
        verdict = "met" if self.met else "NOT MET"
        return f"{self.what}: {self.figure:.2f}x, bar {self.limit:g}x: {verdict}"


def bars(steps: Sequence[StepTimes], scalings: Sequence[Scaling]) -> list[Bar]:
    """What was promised and could be measured in this run."""
    pair = "engine vs PyTorch"
    ratios = {s.workload: s.ratios[pair].median for s in steps if pair in s.ratios}
    found = [Bar(f"{pair}, {name}", value, STEP_BAR) for name, value in ratios.items()]
    if ratios:
        found.append(Bar(f"{pair}, geometric mean", geometric_mean(ratios.values()), MEAN_BAR))
    found += [
        Bar(f"{kind} threads vs 2 processes, {scaling.workload}", share.median, THREADS_BAR)
        for scaling in scalings
        for kind, share in scaling.to_ceiling.items()
    ]
    return found


def caveats(scalings: Sequence[Scaling]) -> list[str]:
    """Where two processes got so little out of the machine that the threads prove nothing."""
    ceilings = {scaling.workload: scaling.speedup[CEILING].median for scaling in scalings}
    return [
        f"caution, {name}: two processes reached only {ceiling:.2f}x of one thread; "
        "the cores were busy, and no speed-up could show"
        for name, ceiling in ceilings.items()
        if ceiling < QUIET
    ]


def times_table(steps: Sequence[StepTimes]) -> Table:
    """How long a step takes."""
    names = tuple(steps[0].seconds)
    rows = [
        (step.workload, f"{step.parameters:,}", *(f"{step.seconds[n] * 1e6:.1f}" for n in names))
        for step in steps
    ]
    title = "One training step, one thread: µs (median)"
    return Table(title, ("MLP", "parameters", *names), rows, frozenset({"MLP"}))


def ratio_table(steps: Sequence[StepTimes]) -> Table:
    """Who is how many times faster, with a closing row of geometric means."""
    pairs = tuple(steps[0].ratios)
    rows = [(step.workload, *(spread(step.ratios[pair]) for pair in pairs)) for step in steps]
    means = (geometric_mean(step.ratios[pair].median for step in steps) for pair in pairs)
    rows.append(("geometric mean", *(f"{mean:.2f}" for mean in means)))
    title = "One training step, one thread: how many times faster (median [95 %])"
    columns = ("MLP", *(pair.replace(" vs ", " / ") for pair in pairs))
    return Table(title, columns, rows, frozenset({"MLP"}))


def scaling_table(scalings: Sequence[Scaling]) -> Table:
    """Steps per second, speed-up over one thread, and the part of the ceiling."""
    rows = [
        (
            scaling.workload if kind == "1 thread" else "",
            kind,
            f"{rate:,.0f}",
            f"{scaling.speedup[kind].median:.2f}" if kind in scaling.speedup else NO_FIGURE,
            spread(scaling.to_ceiling[kind]) if kind in scaling.to_ceiling else NO_FIGURE,
        )
        for scaling in scalings
        for kind, rate in scaling.rates.items()
    ]
    columns = ("MLP", "workers", "steps/s", "speed-up", "vs 2 processes")
    title = "Hogwild threads on shared parameters: all workers together (median [95 %])"
    return Table(title, columns, rows, frozenset({"MLP", "workers"}))


def spread(value: Ratio) -> str:
    """A ratio and its interval.

    >>> spread(Ratio(1.5, 1.25, 2.0))
    '1.50 [1.25-2.00]'
    """
    return f"{value.median:.2f} [{value.low:.2f}-{value.high:.2f}]"
