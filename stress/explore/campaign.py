"""Explore many configurations within one budget."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from time import monotonic

from stress.core.child import Child
from stress.core.scenario import Params, Scenario
from stress.explore.checkpoint import Checkpoint, title
from stress.explore.explore import Explored, Plan, conclude
from stress.explore.search import Search, Settings, work_through
from stress.explore.work import Target
from stress.report.terminal import Progress, progress

__all__ = ["explore_all", "targets_of"]

TURNS = 2  # the second for those whose share was too small the first time


def targets_of(
    source: str, scenarios: Sequence[Scenario], modes: Sequence[str], threads: int, seed: int
) -> list[Target]:
    """The configurations of ``scenarios`` that are worth exploring."""
    return [
        Target(source, scenario.name, params)
        for scenario in scenarios
        for mode in scenario.modes
        if mode in modes
        for params in scenario.explore(Params(mode, threads, seed=seed))
    ]


def explore_all(
    targets: Sequence[Target], plan: Plan, checkpoint: Checkpoint, budget: float, jobs: int
) -> Iterator[Explored]:
    """Explore each in its share of ``budget``, and yield what it came to as soon as that is clear.

    What one does not need is left to the others. Where Ctrl-C ends it, what has begun is concluded
    before the exception goes on.
    """
    ends = monotonic() + budget
    waiting = [started(target, plan, checkpoint) for target in targets]
    with processes(jobs) as children, progress(TURNS * len(targets)) as shown:
        try:
            for _ in range(TURNS):
                for left, search in countdown([one for one in waiting if not one.decided]):
                    share = max(0.1, (ends - monotonic()) / left)
                    take_turn(search, children, share, checkpoint, shown)
                    if search.decided:
                        waiting.remove(search)
                        yield told(search, plan, children[0], shown)
        except KeyboardInterrupt:
            for search in waiting:
                if search.tally.schedules:
                    yield told(search, plan, children[0], shown)
            raise
        for search in waiting:
            yield told(search, plan, children[0], shown)


def countdown(searches: Sequence[Search]) -> Iterator[tuple[int, Search]]:
    """Each search, with how many are left, it among them."""
    return zip(range(len(searches), 0, -1), searches, strict=True)


@contextmanager
def processes(count: int) -> Iterator[list[Child]]:
    """So many child processes, for the block."""
    with ExitStack() as stack:
        yield [stack.enter_context(Child()) for _ in range(count)]


def started(target: Target, plan: Plan, checkpoint: Checkpoint) -> Search:
    """The search of a configuration, or what is left of it."""
    search = Search(target, plan.settings)
    if (known := checkpoint.known(search)) is not None:
        search.restore(known)
    return search


def take_turn(
    search: Search,
    children: Sequence[Child],
    share: float,
    checkpoint: Checkpoint,
    shown: Progress,
) -> None:
    """Let one search go on for its share of the time."""
    shown.begin(title(search))
    try:
        work_through(search, children, share, watcher(checkpoint, shown, monotonic(), share))
    finally:
        checkpoint.look(search, now=True)


def watcher(
    checkpoint: Checkpoint, shown: Progress, began: float, share: float
) -> Callable[[Search], None]:
    """Shows how a search goes, and keeps it."""

    def look(search: Search) -> None:
        seconds = max(1e-3, monotonic() - began)
        note = f"{search.tally.schedules:,} schedules, {search.left:,} beginnings left"
        shown.update(seconds / share, note)
        checkpoint.look(search)

    return look


def told(search: Search, plan: Plan, child: Child, shown: Progress) -> Explored:
    """What a search came to, with the options that ask for the same."""
    explored = conclude(search, plan, child)
    shown.end(explored.result.standing)
    result = replace(explored.result, search=options_of(plan.settings, search.bound))
    return replace(explored, result=result)


def options_of(settings: Settings, bound: int) -> str:
    """The options of ``explore`` that ask for the schedules of ``settings``.

    >>> options_of(Settings(), 2)
    '--preemptions 2'
    >>> options_of(Settings("pct", depth=3, schedules=500), 2)
    '--strategy pct --depth 3 --schedules 500'
    """
    dfs = settings.strategy == "dfs"
    values = {
        "strategy": None if dfs else settings.strategy,
        "preemptions": bound if dfs else None,
        "depth": settings.depth,
        "schedules": settings.schedules,
    }
    return " ".join(f"--{name} {value}" for name, value in values.items() if value is not None)
