"""A scenario run as a job for a child process: named, because code cannot be sent, names can."""

from __future__ import annotations

import sys
import threading
import traceback
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from time import monotonic

import engine
from stress.core.child import Child, Crash, Failure, Hang, Report
from stress.core.outcome import forbidden
from stress.core.result import Result, Row, Verdict
from stress.core.runner import Budget, run
from stress.core.scenario import Params, Scenario
from stress.core.source import load
from stress.core.tactics import PLAIN, Tactics

__all__ = ["Job", "isolated", "survived", "unrun"]


VERDICTS = {Hang: Verdict.TIMEOUT, Crash: Verdict.CRASH, Failure: Verdict.ERROR}

ENDING = 2.0  # seconds for a thread that is ending already

LEAK = forbidden("left a thread", "who starts a thread sees it end")


@dataclass(frozen=True, slots=True)
class Job:
    """One scenario in one configuration: ``scenario`` is in ``SCENARIOS`` of ``source``."""

    source: str
    scenario: str
    params: Params
    budget: Budget
    tactics: Tactics = PLAIN
    fork: int = 0

    def find(self) -> Scenario:
        """The scenario itself."""
        return next(found for found in load(self.source) if found.name == self.scenario)


def perform(job: Job, report: Report) -> Result:
    """Run ``job`` here; called in the child."""
    before = set(threading.enumerate())
    result = run(job.find(), job.params, job.budget, report, job.tactics)
    engine.set_num_workers(0)  # ends the default pool's threads: those may stay otherwise
    return with_leaks(result, leftovers(before, min(ENDING, job.budget.limit / 4)))


def leftovers(before: Collection[threading.Thread], patience: float) -> list[threading.Thread]:
    """The threads that are not in ``before`` and do not end within so many seconds."""
    deadline = monotonic() + patience
    new = [thread for thread in threading.enumerate() if thread not in before]
    for thread in new:
        thread.join(max(0.0, deadline - monotonic()))
    return [thread for thread in new if thread.is_alive()]


def with_leaks(result: Result, threads: Collection[threading.Thread]) -> Result:
    """``result``, failed if ``threads`` were left behind."""
    if not threads:
        return result
    names = ", ".join(thread.name for thread in threads)
    frames = sys._current_frames()
    stacks = [
        "".join((f"{thread.name}:\n", *traceback.format_stack(frames[thread.ident])))
        for thread in threads
        if thread.ident in frames
    ]
    row = Row(LEAK.key, len(threads), LEAK.expect.value, LEAK.why)
    return replace(
        result, verdict=Verdict.FAIL.value, reason=f"{LEAK.key} running: {names}",
        rows=(*result.rows, row), stacks=result.stacks + "\n".join(stacks),
    )  # fmt: skip


def isolated(child: Child, job: Job, progress: Callable[[int], None] | None = None) -> Result:
    """Run ``job`` in ``child``; whatever happens to the process there is a result."""
    result = survived(lambda: child.call(perform, job, job.budget.limit, progress), unrun(job))
    return replace(result, fork=job.fork)


def unrun(job: Job) -> Result:
    """A job before anything is known of it."""
    found = job.find()
    return Result(found.number, found.name, job.params, unit=found.unit, tactics=job.tactics,
                  fork=job.fork)  # fmt: skip


def survived(call: Callable[[], Result], blank: Result) -> Result:
    """What ``call`` returns; where a child hung, died or raised in it, ``blank`` with that said."""
    try:
        return call()
    except (Hang, Crash, Failure) as error:
        verdict = VERDICTS[type(error)].value
        return replace(blank, verdict=verdict, reason=str(error), stacks=error.stacks)
