"""Explore many configurations within one budget."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from math import isfinite
from time import monotonic

from stress.core.child import Child
from stress.core.scenario import Params, Scenario
from stress.core.source import asked
from stress.explore.checkpoint import Checkpoint, title
from stress.explore.explore import Explored, Plan, conclude
from stress.explore.search import Search, Settings, work_through
from stress.explore.work import Target
from stress.report.terminal import Progress, progress

__all__ = ["explore_all", "targets_of"]

FIRST = 1.0  # seconds for each configuration in the first round, at most


def targets_of(
    source: str, scenarios: Sequence[Scenario], modes: Sequence[str], threads: int, seed: int
) -> list[Target]:
    """The configurations of ``scenarios`` that are worth exploring.

    Raises ``SourceError`` where one does not say which.
    """
    return [
        Target(source, scenario.name, params)
        for scenario in scenarios
        for mode in scenario.modes
        if mode in modes
        for params in asked(scenario, "explore", Params(mode, threads, seed=seed))
    ]


def explore_all(
    targets: Sequence[Target], plan: Plan, checkpoint: Checkpoint, budget: float, jobs: int
) -> Iterator[Explored]:
    """Explore each within ``budget``, and yield what it came to as soon as that is clear.

    Those of which a larger size has shown all are left out. Where Ctrl-C ends it, what has begun is
    concluded before the exception goes on.
    """
    ends = monotonic() + budget
    searches = [started(target, plan, checkpoint) for target in targets]
    waiting = list(searches)
    with processes(jobs) as children, progress(len(targets)) as shown:
        try:
            for search in turns(searches, children, ends, checkpoint, shown):
                now, left = monotonic(), len(waiting)
                waiting.remove(search)
                yield told(search, plan, children[0], shown, now + (ends - now) / left)
        except KeyboardInterrupt:
            for search in waiting:
                search.interrupted = True
                if search.tally.schedules:
                    yield told(search, plan, children[0], shown, ends)
            raise
        finally:
            checkpoint.write()
        for search in waiting:
            if not spared(search, searches):
                yield told(search, plan, children[0], shown, ends)


def turns(
    searches: Sequence[Search],
    children: Sequence[Child],
    ends: float,
    checkpoint: Checkpoint,
    shown: Progress,
) -> Iterator[Search]:
    """Let them go on in rounds, until all are decided or the time is up; yield each when it is.

    Each round gives one up to twice the time of the round before. So at the end all that are left
    have had about as much as each other, and none is left that needed much less.
    """
    share = FIRST
    yield from (search for search in searches if search.decided)  # of a checkpoint
    while waiting := undecided(searches):
        for left, search in countdown(waiting):
            if any(larger.spares(search) for larger in searches):
                continue  # for now, or for ever
            if (rest := ends - monotonic()) <= 0:
                return
            take_turn(search, children, min(share, rest / left), checkpoint, shown)
            if search.decided:
                yield search
        share *= 2


def undecided(searches: Sequence[Search]) -> list[Search]:
    """Those that more time could help, the larger sizes first: they may spare the smaller ones."""
    left = [search for search in searches if not search.decided and not spared(search, searches)]
    return sorted(left, key=lambda search: -search.target.params.size)


def spared(search: Search, searches: Sequence[Search]) -> bool:
    """Whether one of the others has shown all that ``search`` could show."""
    return any(larger.exhausted and larger.spares(search) for larger in searches)


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
    again = isfinite(search.ends)  # it had a turn here; one from a checkpoint had it elsewhere
    (shown.resume if again else shown.begin)(title(search))
    try:
        work_through(search, children, share, watcher(checkpoint, shown, share))
    finally:
        checkpoint.keep(search)


def watcher(checkpoint: Checkpoint, shown: Progress, share: float) -> Callable[[Search], None]:
    """Shows how a search goes, and keeps it."""
    began = monotonic()

    def look(search: Search) -> None:
        note = f"{search.tally.schedules:,} schedules, {search.left:,} beginnings left"
        shown.update((monotonic() - began) / share, note)
        checkpoint.look(search)

    return look


def told(search: Search, plan: Plan, child: Child, shown: Progress, ends: float) -> Explored:
    """What a search came to, with the options that ask for the same."""
    explored = conclude(search, plan, child, ends)
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
