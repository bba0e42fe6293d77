"""Which runs there are to make, and making them, one after the other, each in its own process."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from random import Random
from time import monotonic

from stress.core.child import Child
from stress.core.job import Job, isolated, unrun
from stress.core.result import Result, Verdict
from stress.core.runner import Budget
from stress.core.scenario import MODES, Params, Scenario
from stress.core.source import SHIPPED, asked, load
from stress.core.tactics import PLAIN, Tactics
from stress.profiles import PROFILES, Pace, Profile
from stress.report.terminal import Progress

__all__ = ["GIL_EDGE", "Choice", "plan", "run_all"]

GIL_EDGE = 501  # where builds without a GIL have no edge to be probed: NumPy's, with one

EVERYTHING = re.compile("")

Starts = Callable[[Job], None]
Ends = Callable[[Result], None]


@dataclass(frozen=True, slots=True)
class Choice:
    """What to run. Immutable.

    ``source``: where the scenarios are. ``sizes``: None for each scenario's own. ``edge``: the
    smallest array size at which NumPy lets go of the GIL. ``profile`` says which tags are in.
    """

    source: str = SHIPPED
    pattern: re.Pattern[str] = EVERYTHING
    modes: Sequence[str] = MODES
    threads: Sequence[int] = (2,)
    sizes: Sequence[int] | None = None
    tactics: Sequence[Tactics] = (PLAIN,)
    seed: int = 0
    edge: int | None = None
    profile: Profile = PROFILES["default"]
    forks: int = 1


def plan(choice: Choice) -> list[Job]:
    """A job for each configuration of ``choice``, in the order of the scenarios.

    Raises ``SourceError`` where there are no scenarios, or one does not say on what to run it.
    """
    random = Random(choice.seed)
    jobs = []
    for scenario in load(choice.source):
        if choice.pattern.search(scenario.name):
            found = list(configurations(scenario, choice))
            if choice.profile.sample and found:
                found = [random.choice(found)]
            jobs += [forked(job, fork) for job in found for fork in range(choice.forks)]
    return jobs


def forked(job: Job, fork: int) -> Job:
    """The job for one more process, with a seed of its own."""
    return replace(job, fork=fork, params=replace(job.params, seed=job.params.seed + fork))


def configurations(scenario: Scenario, choice: Choice) -> Iterator[Job]:
    """The configurations of one scenario."""
    modes = [mode for mode in scenario.modes if mode in choice.modes]
    sizes = choice.sizes or asked(scenario, "sizes", choice.edge or GIL_EDGE)
    for mode, threads, size, tactics in product(modes, choice.threads, sizes, choice.tactics):
        params = Params(mode, threads, size, seed=choice.seed)
        if choice.profile.fits(asked(scenario, "tags", params)):
            yield Job(choice.source, scenario.name, params, Budget(), tactics)


def run_all(
    jobs: Sequence[Job],
    pace: Pace,
    seed: int,
    progress: Progress,
    *,
    starts: Starts = lambda job: None,
    ends: Ends = lambda result: None,
    stop: bool = False,
) -> list[Result]:
    """Run ``jobs`` in an order drawn from ``seed``; the results come in the order of ``jobs``.

    The order is shuffled so that no scenario always runs on what another has left warm; each runs
    in a process of its own. ``starts`` and ``ends`` hear of every job as it begins and ends.
    Where ``pace`` has no time left a job is inconclusive. With ``stop``, the first that fails is
    the last that is run.
    """
    order = list(range(len(jobs)))
    Random(seed).shuffle(order)
    results: dict[int, Result] = {}
    for done, index in enumerate(order):
        starts(jobs[index])
        results[index] = result = follow(jobs[index], pace.budget(len(jobs) - done), progress)
        progress.end(result.standing)
        ends(result)
        if stop and result.failed:
            break
    return [results[index] for index in sorted(results)]


def follow(job: Job, budget: Budget | None, progress: Progress) -> Result:
    """Run one job in a process of its own, and show how it goes."""
    params, began = job.params, monotonic()
    progress.begin(f"{job.scenario} {params.mode} {params.size:,}")
    if budget is None:
        verdict, reason = Verdict.INCONCLUSIVE.value, "the time was over before its turn: --budget"
        return replace(unrun(job), verdict=verdict, reason=reason)

    def update(samples: int) -> None:
        seconds = monotonic() - began
        progress.update(seconds / budget.seconds, f"{samples / seconds:,.0f} samples/s")

    with Child() as child:
        return isolated(child, replace(job, budget=budget), update)
