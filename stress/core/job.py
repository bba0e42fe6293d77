"""A scenario run as a job for a child process: named, because code cannot be sent, names can."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, replace

from stress.core.child import Child, Crash, Failure, Hang, Report
from stress.core.result import Result, Verdict
from stress.core.runner import Budget, run
from stress.core.scenario import Params, Scenario

__all__ = ["Job", "isolated", "survived"]


VERDICTS = {Hang: Verdict.TIMEOUT, Crash: Verdict.CRASH, Failure: Verdict.ERROR}


@dataclass(frozen=True, slots=True)
class Job:
    """One scenario in one configuration: ``scenario`` is in ``SCENARIOS`` of module ``source``."""

    source: str
    scenario: str
    params: Params
    budget: Budget

    def find(self) -> Scenario:
        """The scenario itself."""
        scenarios: tuple[Scenario, ...] = importlib.import_module(self.source).SCENARIOS
        return next(scenario for scenario in scenarios if scenario.name == self.scenario)


def perform(job: Job, report: Report) -> Result:
    """Run ``job`` here; called in the child."""
    return run(job.find(), job.params, job.budget, report)


def isolated(child: Child, job: Job, progress: Callable[[int], None] | None = None) -> Result:
    """Run ``job`` in ``child``; whatever happens to the process there is a result."""
    scenario = job.find()
    blank = Result(scenario.number, scenario.name, job.params, unit=scenario.unit)
    return survived(lambda: child.call(perform, job, job.budget.limit, progress), blank)


def survived(call: Callable[[], Result], blank: Result) -> Result:
    """What ``call`` returns; where a child hung, died or raised in it, ``blank`` with that said."""
    try:
        return call()
    except (Hang, Crash, Failure) as error:
        verdict = VERDICTS[type(error)].value
        return replace(blank, verdict=verdict, reason=str(error), stacks=error.stacks)
