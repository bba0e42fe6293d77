"""Explore one configuration and judge it: what was found, replayed before it is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from time import monotonic

from stress.core.child import Child, Crash, Failure, Hang
from stress.core.job import VERDICTS
from stress.core.outcome import Expect
from stress.core.result import Result, Row, Verdict, tabulate
from stress.explore.search import LIMIT, Search, Settings
from stress.explore.show import timeline
from stress.explore.token import Recorded, write
from stress.explore.trial import STUCK
from stress.explore.work import Example, Replayed, Request, Target, repeat, shrink

__all__ = ["Explored", "Finding", "Plan", "conclude"]

TIMES = 10  # runs of a schedule before anybody is told of it
MINIMISING = 10.0  # seconds for each finding, at most
FINDINGS = 5  # so many are told of one configuration, the worst first
ENDS = {
    "deadlock": "nobody can go on; the table says who waits for whom",
    "endless": "it never came to its end",
    STUCK: "a thread waits for what is not in control: make your locks with engine.sync.lock()",
}
CAUSES = (
    "Likely causes: a clock, random numbers without a seed, a threading.local, or what else one "
    "schedule leaves to the next"
)
NO_RACE = (
    "nothing could race: no actor came to a point while another thread was under way. `run` is for "
    "actors without points; or announce points of your own with engine.sync.hook (docs/stress.md)"
)
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

    ``reproduced`` of ``times`` runs came to the same. ``number``: the how-manieth schedule it was.
    ``smaller``: what minimising came to, in words. ``note``: what the trial said of it, but a
    stack, which has a place of its own.
    """

    key: str
    expect: str
    token: str
    number: int
    reproduced: int
    replayed: Replayed
    note: str = ""
    smaller: str = ""
    times: int = TIMES

    @property
    def words(self) -> str:
        """In a line."""
        again = f"schedule {self.number:,}, reproduced {self.reproduced}/{self.times}"
        return f"{self.key} ({self.expect}; {again})" + (
            f"; minimised: {self.smaller}" if self.smaller else ""
        )

    @property
    def told(self) -> tuple[str, ...]:
        """With its token, and with the note."""
        return (f"{self.words}: {self.token}", *filter(None, [self.note]))


@dataclass(frozen=True, slots=True)
class Explored:
    """One configuration, explored and judged. Immutable.

    ``distinct``: combinations of outcomes that schedules came to. ``exhaustive``: there is no other
    schedule within the bound. ``done``: preemptions up to which every schedule was run, -1 for not
    even those without any, and for what is no ``dfs``. ``left``: beginnings that were not run.
    """

    result: Result
    findings: tuple[Finding, ...]
    distinct: int
    exhaustive: bool
    done: int
    left: int

    @property
    def part(self) -> str:
        """Which part of the schedules was run, in a word or two."""
        some = f"up to {self.done}" if self.done >= 0 else "some"
        return "all" if self.exhaustive else some


def conclude(search: Search, plan: Plan, child: Child, ends: float = inf) -> Explored:
    """What ``search`` came to. ``ends``: the moment until which it may be made smaller, and what
    does not fail be run ten times."""
    scenario, params = search.target.find(), search.target.params
    broken = search.error is not None and not search.tally.schedules  # perhaps by the table itself
    outcomes = () if broken else scenario.declared(params)
    blank = Result(scenario.number, scenario.name, params, unit="schedules")
    findings: list[Finding] = []
    grief: Exception | None = search.error
    if search.error is None and not search.tally.unsteady:
        findings, grief = told(search, plan, child, ends)
    rows = tabulate(outcomes, dict(search.tally.outcomes))
    verdict, reason = judge(search, rows)
    if odd := [finding for finding in findings if finding.reproduced < finding.times]:
        verdict, reason = Verdict.ERROR, f"not reproducible: {odd[0].words}"
    if grief is not search.error:
        key, example = worth_telling(search)[len(findings)]
        token = write(Recorded(scenario.name, params, example.decisions), plan.files)
        verdict = VERDICTS[type(grief)]
        reason = f"{grief}, when the schedule of {key!r} was run again: {token}"
    stacks = "\n".join(s for f in findings if (s := f.replayed.schedule.stack))  # out of control
    result = replace(
        blank, verdict=verdict.value, reason=reason, rows=rows, samples=search.tally.schedules,
        trials=search.tally.schedules, seconds=search.seconds,
        notes=tuple(line for finding in findings for line in finding.told),
        stacks=getattr(grief, "stacks", "") or stacks,
        tokens=tuple(finding.token for finding in findings),
        timelines=tuple(timeline(finding.replayed.schedule) for finding in findings),
    )  # fmt: skip
    done = search.done if search.settings.strategy == "dfs" else -1
    distinct = len(search.tally.examples)
    return Explored(result, tuple(findings), distinct, search.exhausted, done, search.left)


def told(
    search: Search, plan: Plan, child: Child, ends: float
) -> tuple[list[Finding], Exception | None]:
    """What is worth telling, the worst first; and what happened to the process meanwhile."""
    findings: list[Finding] = []
    try:
        for key, example in worth_telling(search):
            findings.append(finding(search.target, plan, child, key, example, ends))
    except (Hang, Crash, Failure) as error:
        return findings, error
    return findings, None


def worth_telling(search: Search) -> list[tuple[str, Example]]:
    """The outcomes and their schedules, the worst first."""
    order = [expect.value for expect in TOLD]
    worth = [(key, e) for key, e in search.tally.examples.items() if e.expect in order]
    worth.sort(key=lambda item: (order.index(item[1].expect), item[1].number))
    return worth[:FINDINGS]


def finding(
    target: Target, plan: Plan, child: Child, key: str, example: Example, ends: float
) -> Finding:
    """Replay one, and make it smaller if that was asked for and there is time."""
    decisions, note, smaller = example.decisions, example.note, ""
    seconds = min(MINIMISING, ends - monotonic())
    if plan.minimise and seconds <= 0:
        smaller = "not tried, time was up"
    elif plan.minimise:
        minimal = child.call(shrink, Request(target, decisions, seconds=seconds), LIMIT)
        decisions, key = minimal.schedule.chosen, minimal.schedule.key
        target = replace(target, params=minimal.params)
        note, smaller = minimal.schedule.note, minimal.words
    times = runs(key, example.expect, late=monotonic() > ends)
    replayed = child.call(repeat, Request(target, decisions, times=times), LIMIT)
    steady = 0 if replayed.problem else replayed.outcomes.get(key, 0)
    token = write(Recorded(target.scenario, target.params, decisions), plan.files)
    note = "" if replayed.schedule.stack else note
    return Finding(
        key, example.expect, token, example.number, steady, replayed, note, smaller, times
    )


def runs(key: str, expect: str, *, late: bool) -> int:
    """How often to run a finding again: where time is up, once suffices for what does not fail."""
    stuck = STUCK in key.split(", ")  # each run of it waits for ten seconds
    return 1 if stuck or (late and not Expect(expect).fails) else TIMES


def judge(search: Search, rows: Sequence[Row]) -> tuple[Verdict, str]:
    """The verdict, and the reason where it is not PASS."""
    tally, error = search.tally, search.error
    odd = f"not deterministic under control: {tally.unsteady}. {CAUSES}"
    for row in rows:
        if Expect(row.expect).fails and row.count:
            why = ENDS.get(row.key, row.why) if row.expect == Expect.UNKNOWN.value else row.why
            words = f"{row.expect} outcome {row.key!r}: {why}"
            return (Verdict.ERROR, f"{words}; {odd}") if tally.unsteady else (Verdict.FAIL, words)
    if error is not None:
        return VERDICTS.get(type(error), Verdict.ERROR), str(error)
    if tally.unsteady:
        return Verdict.ERROR, odd
    if tally.skipped:
        return Verdict.SKIPPED, tally.skipped
    if not tally.schedules:
        return Verdict.INCONCLUSIVE, "the budget ended before its first schedule"
    missing = [row.key for row in rows if row.expect == Expect.REQUIRED.value and not row.count]
    if missing:
        where = f"in {tally.schedules:,} schedules"
        words = f"{', '.join(map(repr, missing))} was never reached {where}: no power"
        return Verdict.INCONCLUSIVE, words if search.finished else f"{words}. {so_far(search)}"
    if not search.finished:
        return Verdict.INCONCLUSIVE, so_far(search)
    if not tally.racing:
        return Verdict.INCONCLUSIVE, NO_RACE
    return Verdict.PASS, ""


def so_far(search: Search) -> str:
    """What was run before the end, and what was not."""
    number = f"{search.tally.schedules:,} schedules"
    words, way = f"the budget ended after {number}", ": a larger --budget"
    if search.interrupted:
        words, way = f"interrupted after {number}", ""
    elif search.limited:
        words, way = (
            f"stopped after --schedules {search.settings.schedules}",
            ": a larger --schedules",
        )
    if search.settings.strategy == "dfs" and search.done >= 0:
        words += f", every one of up to {search.done} preemptions among them"
    return f"{words}; {search.left:,} known beginnings are left{way}"
