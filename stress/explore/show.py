"""One schedule as a table with a column for each thread, and as rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from stress.explore.trial import Schedule
from stress.report.terminal import Table

__all__ = ["deadlock_table", "interleaving", "timeline"]

SWITCH = "- - -"  # where a thread is left that could have gone on


def timeline(schedule: Schedule) -> tuple[tuple[str, str, str], ...]:
    """The schedule as rows of thread, point and subject."""
    threads = schedule.threads
    return tuple((threads[thread], point, subject) for thread, point, subject in schedule.events)


def interleaving(schedule: Schedule) -> Table:
    """The schedule, a column for each thread, time running down."""
    used = sorted({event.thread for event in schedule.events})
    columns = ("step", *(schedule.threads[thread] for thread in used))
    return Table("", unique(columns), list(cells(schedule, used)), frozenset(columns[1:]))


def unique(names: Sequence[str]) -> tuple[str, ...]:
    """The names, numbered where two are the same."""
    return tuple(
        name if names.count(name) == 1 else f"{name} ({names[:index].count(name) + 1})"
        for index, name in enumerate(names)
    )


def cells(schedule: Schedule, used: Sequence[int]) -> Iterator[tuple[str, ...]]:
    """The rows of the table."""
    left = {decision.step for decision in schedule.decisions if decision.cost}
    for step, (thread, point, subject) in enumerate(schedule.events):
        if step in left:
            before = schedule.events[step - 1].thread
            yield "", *(SWITCH if column == before else "" for column in used)
        text = f"{point} {subject}".rstrip()
        yield str(step), *(text if column == thread else "" for column in used)


def deadlock_table(schedule: Schedule) -> Table:
    """Who waits for what, who holds that, and what they hold themselves."""
    columns = ("thread", "waits for", "held by", "holds")
    title = "nobody can go on" if "deadlock" in schedule.outcomes else "who waits for what"
    return Table(title, columns, schedule.table, frozenset(columns))
