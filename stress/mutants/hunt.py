"""What a child process does: break the engine, and see whether a scenario notices."""

from __future__ import annotations

import importlib
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from itertools import count
from time import monotonic

from stress.core.child import Child, Report
from stress.core.job import survived
from stress.core.outcome import Expect, grade
from stress.core.result import Result, Verdict
from stress.core.runner import Budget, run
from stress.core.scenario import Scenario
from stress.core.source import SHIPPED, load
from stress.explore.search import Search, Settings
from stress.explore.work import Example, Request, Target, repeat, run_batch
from stress.mutants.mutant import Catch, Mutant

__all__ = ["KILLS", "Hunt", "Kill", "hunt"]

KILLS = (Verdict.FAIL, Verdict.TIMEOUT, Verdict.CRASH)

LIMIT = 15.0  # seconds without another trial or schedule that are a hang
SECONDS = 60.0  # that a hunt lasts at most, where it is a matter of luck
TIMES = 50  # runs of a schedule that has found a mutant


@dataclass(frozen=True, slots=True)
class Hunt:
    """One scenario after one mutant, by names: of ``MUTANTS`` of ``source``. Immutable.

    ``mutant`` "": after nothing, on the engine as it is.
    """

    source: str
    mutant: str
    catch: Catch
    seconds: float = SECONDS

    @property
    def scenario(self) -> Scenario:
        """The scenario itself."""
        return next(s for s in load(SHIPPED) if s.name == self.catch.scenario)

    def broken(self) -> AbstractContextManager[None]:
        """The engine as the mutant has it, for a block."""
        found: tuple[Mutant, ...] = importlib.import_module(self.source).MUTANTS
        mutant = next((m for m in found if m.name == self.mutant), None)
        return nullcontext() if mutant is None else mutant.applied()


@dataclass(frozen=True, slots=True)
class Kill:
    """What a hunt came to. Immutable.

    ``seconds``: until it was over, the start of the process included.
    """

    hunt: Hunt
    result: Result
    seconds: float

    @property
    def killed(self) -> bool:
        """Whether the scenario noticed. A hang under control is no finding: there it is told."""
        controlled = bool(self.hunt.catch.schedules)
        return Verdict(self.result.verdict) in (KILLS[:1] if controlled else KILLS)

    @property
    def seen(self) -> str:
        """What was noticed, in some words."""
        return self.result.notes[0] if self.result.notes else self.result.reason


def hunt(task: Hunt) -> Kill:
    """Run ``task`` in a process of its own."""
    began, scenario = monotonic(), task.scenario
    blank = Result(scenario.number, scenario.name, task.catch.params, unit=scenario.unit)
    with Child() as child:
        result = survived(lambda: child.call(perform, task, LIMIT), blank)
    return Kill(task, result, monotonic() - began)


def perform(task: Hunt, report: Report) -> Result:
    """Called in the child."""
    with task.broken():
        return explored(task, report) if task.catch.schedules else raced(task, report)


def raced(task: Hunt, report: Report) -> Result:
    """Run the scenario with real threads: after a mutant, again and again until it notices."""
    ends = monotonic() + task.seconds
    budget = Budget(0.1, patience=task.seconds)
    while True:
        result = run(task.scenario, task.catch.params, budget, report)
        failed = result.verdict == Verdict.FAIL.value
        if failed or not task.mutant or monotonic() > ends:
            seen = ", ".join(
                row.key for row in result.rows if row.count and Expect(row.expect).fails
            )
            notes = (f"{seen}, after {result.samples:,} samples",) if failed else ()
            return replace(result, notes=notes)


def explored(task: Hunt, report: Report) -> Result:
    """Run schedule after schedule, until one fails; run that one again."""
    catch, scenario = task.catch, task.scenario
    target = Target(SHIPPED, catch.scenario, catch.params)
    search = Search(target, Settings(bound=scenario.bound, schedules=catch.schedules))
    search.ends = monotonic() + task.seconds
    beat = count()
    while (batch := search.take()) is not None:
        search.add(batch, run_batch(batch, lambda _: report(next(beat))))
    blank = Result(
        scenario.number, scenario.name, catch.params, unit="schedules",
        samples=search.tally.schedules, trials=search.tally.schedules,
    )  # fmt: skip
    return judged(search, blank, target, report)


def judged(search: Search, blank: Result, target: Target, report: Report) -> Result:
    """The verdict on a search, and what it found."""
    tally = search.tally
    for key, example in tally.examples.items():
        if Expect(example.expect).fails:
            return found(key, example, blank, target, report)
    if tally.unsteady:
        return replace(blank, verdict=Verdict.ERROR.value, reason=tally.unsteady)
    if not (search.exhausted or search.limited):  # all that was asked for, or all that there is
        reason = f"time was up after {tally.schedules:,} schedules"
        return replace(blank, verdict=Verdict.INCONCLUSIVE.value, reason=reason)
    return replace(blank, verdict=Verdict.PASS.value)


def found(key: str, example: Example, blank: Result, target: Target, report: Report) -> Result:
    """A schedule that fails: it has to fail again, every time."""
    request = Request(target, example.decisions, times=TIMES)
    again = 0 if (replayed := repeat(request, report)).problem else replayed.outcomes.get(key, 0)
    note = f"{key}, at schedule {example.number:,}, replayed {again} of {TIMES}"
    why = grade(target.find().outcomes[target.params.mode](target.params), key).why
    verdict = Verdict.FAIL if again == TIMES else Verdict.ERROR
    return replace(blank, verdict=verdict.value, reason=f"{key!r}: {why}", notes=(note,))
