"""Explore one configuration and judge it: what was found, replayed before it is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from stress.core.child import Child
from stress.core.job import VERDICTS
from stress.core.outcome import Expect
from stress.core.result import Result, Row, Verdict, tabulate
from stress.explore.search import LIMIT, Search, Settings
from stress.explore.show import timeline
from stress.explore.token import Recorded, write
from stress.explore.work import Example, Replayed, Request, Target, repeat, shrink

__all__ = ["Explored", "Finding", "Plan", "conclude"]

TIMES = 10  # runs of a schedule before anybody is told of it
FINDINGS = 5  # so many are told of one configuration, the worst first
TOLD = (Expect.FORBIDDEN, Expect.UNKNOWN, Expect.REQUIRED, Expect.INTERESTING)


@dataclass(frozen=True, slots=True)
class Plan:
    """What the explorations of one command have in common. ``files``: where long schedules go."""

    settings: Settings
    minimise: bool
    files: Path


@dataclass(frozen=True, slots=True)
class Finding:
    """One outcome worth telling, and the schedule that shows it. Immutable.

    ``reproduced`` of ``TIMES`` runs came to the same. ``number``: the how-manieth schedule it was.
    ``smaller``: what minimising came to, in words.
    """

    key: str
    expect: str
    token: str
    number: int
    reproduced: int
    replayed: Replayed
    smaller: str = ""

    @property
    def words(self) -> str:
        """In a line."""
        again = f"schedule {self.number:,}, reproduced {self.reproduced}/{TIMES}"
        return f"{self.key} ({self.expect}; {again})" + (
            f"; minimised: {self.smaller}" if self.smaller else ""
        )


@dataclass(frozen=True, slots=True)
class Explored:
    """One configuration, explored and judged. Immutable.

    ``distinct``: combinations of outcomes that schedules came to. ``exhaustive``: there is no other
    schedule within the bound.
    """

    result: Result
    findings: tuple[Finding, ...]
    distinct: int
    exhaustive: bool
    left: int


def conclude(search: Search, plan: Plan, child: Child) -> Explored:
    """What ``search`` came to."""
    scenario, params = search.target.find(), search.target.params
    outcomes = scenario.outcomes[params.mode](params)
    blank = Result(scenario.number, scenario.name, params, unit="schedules")
    findings: tuple[Finding, ...] = ()
    if search.error is None and not search.tally.unsteady:
        findings = tuple(told(search, plan, child))
    rows = tabulate(outcomes, dict(search.tally.outcomes))
    verdict, reason = judge(search, rows)
    if odd := [finding for finding in findings if finding.reproduced < TIMES]:
        verdict, reason = Verdict.ERROR, f"not reproducible: {odd[0].words}"
    result = replace(
        blank, verdict=verdict.value, reason=reason, rows=rows, samples=search.tally.schedules,
        trials=search.tally.schedules, seconds=search.seconds,
        notes=tuple(f"{finding.words}: {finding.token}" for finding in findings),
        stacks=getattr(search.error, "stacks", ""),
        tokens=tuple(finding.token for finding in findings),
        timelines=tuple(timeline(finding.replayed.schedule) for finding in findings),
    )  # fmt: skip
    return Explored(result, findings, len(search.tally.examples), search.exhausted, search.left)


def told(search: Search, plan: Plan, child: Child) -> list[Finding]:
    """What is worth telling, the worst first."""
    order = [expect.value for expect in TOLD]
    worth = [(key, e) for key, e in search.tally.examples.items() if e.expect in order]
    worth.sort(key=lambda item: (order.index(item[1].expect), item[1].number))
    return [finding(search.target, plan, child, *item) for item in worth[:FINDINGS]]


def finding(target: Target, plan: Plan, child: Child, key: str, example: Example) -> Finding:
    """Replay one, and make it smaller if that was asked for."""
    decisions, smaller = example.decisions, ""
    if plan.minimise:
        minimal = child.call(shrink, Request(target, decisions), LIMIT)
        decisions, key = minimal.schedule.chosen, minimal.schedule.key
        target = replace(target, params=minimal.params)
        smaller = minimal.words
    replayed = child.call(repeat, Request(target, decisions, times=TIMES), LIMIT)
    steady = 0 if replayed.problem else replayed.outcomes.get(key, 0)
    token = write(Recorded(target.scenario, target.params, decisions), plan.files)
    return Finding(key, example.expect, token, example.number, steady, replayed, smaller)


def judge(search: Search, rows: Sequence[Row]) -> tuple[Verdict, str]:
    """The verdict, and the reason where it is not PASS."""
    tally, error = search.tally, search.error
    for row in rows:
        if Expect(row.expect).fails and row.count:
            return Verdict.FAIL, f"{row.expect} outcome {row.key!r}: {row.why}"
    if error is not None:
        return VERDICTS.get(type(error), Verdict.ERROR), str(error)
    if tally.unsteady:
        return Verdict.ERROR, f"not deterministic under control: {tally.unsteady}"
    if not tally.racing:
        return Verdict.INCONCLUSIVE, "no schedule had anything to decide: nothing could race"
    for row in rows:
        if row.expect == Expect.REQUIRED.value and not row.count:
            where = f"in {tally.schedules:,} schedules"
            return Verdict.INCONCLUSIVE, f"{row.key!r} was never reached {where}: no power"
    if not search.finished:
        return Verdict.INCONCLUSIVE, (
            f"the budget ended after {tally.schedules:,} schedules; {search.left:,} known "
            "beginnings are left: a larger --budget, or --checkpoint to go on later"
        )
    return Verdict.PASS, ""
