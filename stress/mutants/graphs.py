"""Mutants of the graph and of one walk through it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from operator import attrgetter
from typing import Any

from engine import freeing
from engine.graph import Edge, Leaf, Node
from engine.hooks import HookList, RemovableHandle
from engine.opnode import OpNode
from engine.releasing import Releasing
from engine.runtime import execute, plan
from engine.runtime.task import Gather, GraphTask
from engine.values import Value
from stress.mutants.mutant import Mutant, gap, schedules, threads

__all__ = ["MUTANTS"]


def keep(self: Releasing, retain: bool) -> Any:
    """Look at what was saved, and leave it to whoever comes next."""
    if not self.saved:
        raise self.released()
    return self.saved[0]


def whatever_came(self: Gather) -> list[tuple[int, Value]]:
    """All contributions that are there, although lower ones are still to come."""
    empty = GraphTask.gather.__globals__["_EMPTY"]
    came = [i for i, cell in enumerate(self.cells) if cell is not empty and cell is not _taken]
    contributions = [(self.ports[i], self.cells[i]) for i in came]
    for i in came:
        self.cells[i] = _taken
    self.done += len(came)
    return contributions


_taken = object()


def reachable_by_recursion(roots: Sequence[Edge]) -> list[Node]:
    """Descend into each node's inputs by a call of its own."""
    found: dict[Node, None] = {}

    def descend(node: Node) -> None:
        if node not in found:
            found[node] = None
            for edge in node.edges:
                if edge is not None:
                    descend(edge[0])

    for node, _ in roots:
        descend(node)
    return sorted(found, key=attrgetter("seq"), reverse=True)


def free_by_recursion(self: freeing._Ends, node: Any) -> None:
    """Let go of what a node leads to, and of what that leads to, by a call for each."""
    edges, node.edges = node.edges, ()
    for edge in edges:
        if edge is not None:
            free_by_recursion(self, edge[0])


def look_away(self: OpNode, *changed: Any) -> None:
    """Go on with what was saved, although it has been written to."""


def raise_the_first_to_come(task: GraphTask) -> None:
    """Raise what was met first in time, and forget the others."""
    (*_, error), *_ = task.errors
    task.errors.clear()
    raise error


def register_unsafely(self: HookList, hook: Any) -> RemovableHandle:
    """Look which hooks there are, and put a new list in their place."""
    key, hooks = object(), self._hooks.copy()
    gap(self)
    self._hooks = {**hooks, key: hook}
    return RemovableHandle(self, key)


def discard_unsafely(self: HookList, key: object) -> None:
    """The same with one fewer."""
    hooks = self._hooks.copy()
    gap(self)
    hooks.pop(key, None)
    self._hooks = hooks


drive = execute.Participant.drive


def drive_under_locks(self: execute.Participant, seeds: Sequence[Value]) -> None:
    """Hold the locks of all leaves while the graph is walked, and hooks run."""
    with ExitStack() as stack:
        for node in self._task.plan.nodes:
            if isinstance(node, Leaf):
                stack.enter_context(node.lock)
        drive(self, seeds)


def claim_nothing(plan: Any) -> Sequence[Any]:
    """Let every backward begin."""
    return ()


MUTANTS = (
    Mutant(
        "no-consume-flag",
        "a backward does not claim what a graph has saved, and does not use it up",
        [(execute, "_claim", claim_nothing), (Releasing, "take", keep)],
        (schedules("sharing.released", "locked"), schedules("sharing.twice", "functional")),
    ),
    Mutant(
        "order-of-arrival",
        "contributions to a node are added as they come, not in the order of their slots",
        [(Gather, "prefix", whatever_came)],
        (schedules("pool.order", "functional", crew=3),),
    ),
    Mutant(
        "recursion",
        "the graph is walked by recursion, so that its depth needs stack",
        [(plan, "_reachable", reachable_by_recursion)],
        (threads("guarded.deep", "locked", 1),),
    ),
    Mutant(
        "recursion-on-free",
        "a graph is freed by recursion, so that its depth needs stack",
        [(freeing._Ends, "_free", free_by_recursion)],
        (threads("guarded.deep", "locked", 1), threads("guarded.deep", "functional", 1)),
    ),
    Mutant(
        "version-ignored",
        "a backward goes on with a saved value that has been written to",
        [(OpNode, "_raise_changed", look_away)],
        (schedules("saved.written", "locked"), threads("saved.written", "functional")),
    ),
    Mutant(
        "first-error-in-time",
        "of several errors the first to come is raised, and the others are dropped",
        [(execute, "_raise_first", raise_the_first_to_come)],
        (threads("errors.two", "locked"),),
    ),
    Mutant(
        "hook-handles-race",
        "hooks are added and taken out by putting a new list in the place of the old one",
        [(HookList, "register", register_unsafely), (HookList, "discard", discard_unsafely)],
        (schedules("handles.removed", "functional"),),
    ),
    Mutant(
        "lock-around-hook",
        "the locks of leaves are held while hooks of the user run",
        [(execute.Participant, "drive", drive_under_locks)],
        (schedules("nesting.hooked", "locked"),),
    ),
)
