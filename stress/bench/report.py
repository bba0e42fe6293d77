"""What was measured as tables, and held against the bars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import geometric_mean

from stress.bench.measure import Ratio
from stress.bench.scaling import Scaling
from stress.bench.steps import COMPARISONS, StepTimes
from stress.report.terminal import Table

__all__ = ["Bar", "bars", "scaling_table", "step_table"]

NO_FIGURE = "-"
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
        Bar(f"{kind} vs 2 processes, {scaling.workload}", share.median, THREADS_BAR)
        for scaling in scalings
        for kind, share in scaling.to_ceiling.items()
    ]
    return found


def step_table(steps: Sequence[StepTimes]) -> Table:
    """µs per step and the ratios, with a closing row of geometric means."""
    names = [name for name in ("engine", "NumPy", "PyTorch") if name in steps[0].seconds]
    pairs = [f"{a} vs {b}" for a, b in COMPARISONS if f"{a} vs {b}" in steps[0].ratios]
    rows = [
        (
            step.workload,
            *(f"{step.seconds[name] * 1e6:.1f}" for name in names),
            *(spread(step.ratios[pair]) for pair in pairs),
        )
        for step in steps
    ]
    means = (f"{geometric_mean(step.ratios[pair].median for step in steps):.2f}" for pair in pairs)
    rows.append(("geometric mean", *(NO_FIGURE for _ in names), *means))
    columns = ("MLP", *(f"{name} µs" for name in names), *pairs)
    title = "One training step, one thread (ratios: how many times faster; median [95 %])"
    return Table(title, columns, rows, frozenset({"MLP"}))


def scaling_table(scalings: Sequence[Scaling]) -> Table:
    """Steps per second, speed-up over one thread, and the part of the ceiling."""
    rows = [
        (
            scaling.workload if kind == "1 thread" else "",
            kind,
            f"{rate:.0f}",
            spread(scaling.speedup.get(kind)),
            spread(scaling.to_ceiling.get(kind)),
        )
        for scaling in scalings
        for kind, rate in scaling.rates.items()
    ]
    columns = ("MLP", "workers", "steps/s", "vs 1 thread", "vs 2 processes")
    title = "Hogwild on shared parameters: steps of all workers together (median [95 %])"
    return Table(title, columns, rows, frozenset({"MLP", "workers"}))


def spread(value: Ratio | None) -> str:
    """A ratio and its interval."""
    if value is None:
        return NO_FIGURE
    return f"{value.median:.2f} [{value.low:.2f}, {value.high:.2f}]"
