"""Mutants of the pool, of what its workers share, and of submitted tasks."""

from __future__ import annotations

from collections.abc import Callable
from time import sleep
from typing import Any

from engine import modes
from engine.runtime.handle import Handle
from engine.runtime.pool import WorkerPool
from engine.runtime.task import GraphTask
from stress.mutants.mutant import Mutant, gap, schedules, threads

__all__ = ["MUTANTS"]


def conclude_silently(self: GraphTask) -> None:
    """Count the node as finished, and do not wake the caller."""
    with self.lock:
        self.outstanding -= 1


offer = GraphTask.offer


def offer_unlocked(self: GraphTask, position: int) -> bool:
    """Count up in two steps, without the lock."""
    outstanding = self.outstanding
    gap(self)
    woke = offer(self, position)
    self.outstanding = outstanding + 1
    return woke


def pop_and_keep(self: GraphTask) -> int | None:
    """The newest offer, which stays where it is the first time."""
    if not self.offers:
        return None
    *rest, position = self.offers
    if position in self.notes:
        self.offers = rest
    else:
        self.notes = {**self.notes, position: True}
        self.outstanding += 1
    return position


def youngest_first(self: WorkerPool) -> Any:
    """Take what was submitted last."""
    with self._lock:
        if not self._backlog:
            self.idle += not self._closed
            return None
        return self._backlog.popitem(last=True)[0].run


def never_late(self: Handle) -> bool:
    """Say that there is time left."""
    return False


def under_its_own(seen: modes.Snapshot, function: Callable[[], Any], **also: Any) -> Any:
    """Call it under the modes that the worker has, whatever the caller's are."""
    return function()


def commit_all_the_same(self: Handle, task: GraphTask) -> None:
    """Let a backward commit although its task has been cancelled, perhaps just now."""
    sleep(1e-3)


MUTANTS = (
    Mutant(
        "wake-up-dropped",
        "a worker that has finished does not wake the caller that waits for it",
        [(GraphTask, "conclude", conclude_silently)],
        (schedules("pool.fanout", "locked"), threads("pool.order", "functional")),
    ),
    Mutant(
        "counter-unlocked",
        "the count of nodes that workers have is changed in two steps, without its lock",
        [(GraphTask, "offer", offer_unlocked)],
        (schedules("pool.fanout", "locked", crew=3),),
    ),
    Mutant(
        "double-delivery",
        "a node that was offered is given to two participants",
        [(GraphTask, "_pop_offer", pop_and_keep)],
        (threads("pool.order", "locked"),),
    ),
    Mutant(
        "youngest-first",
        "a worker that has finished takes the task that was submitted last",
        [(WorkerPool, "_next", youngest_first)],
        (threads("tasks.history", "locked"),),
    ),
    Mutant(
        "deadline-ignored",
        "a submitted backward goes on although its time is up",
        [(Handle, "check", never_late)],
        (threads("handles.deadline", "locked"), threads("handles.deadline", "functional")),
    ),
    Mutant(
        "modes-left-behind",
        "a worker runs with modes of its own, not with those of the caller",
        [(modes.Snapshot, "run", under_its_own)],
        (threads("modes.carried", "locked"),),
    ),
    Mutant(
        "cancel-too-late",
        "a submitted backward commits although cancel() has said that it will not",
        [(Handle, "claim", commit_all_the_same)],
        (threads("errors.cancelled", "locked"),),
    ),
)
