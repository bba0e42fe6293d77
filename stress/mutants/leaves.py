"""Mutants of what becomes of a leaf's gradient."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from importlib import import_module
from typing import Any

import numpy as np

from engine import sparse, sync
from engine.differentiable import Differentiable
from engine.graph import Leaf, Node
from engine.runtime.accumulate import locked, merge, racy
from engine.runtime.accumulate.policy import Capture, Staged
from engine.values import Value
from stress.mutants.mutant import Mutant, gap, schedules, threads

__all__ = ["MUTANTS"]

LARGE = 1_000_000  # additions of this size meet each other on every build

sound = merge.merge


def halves(leaf: Leaf, g: Value) -> None:
    """Add in two parts, with a gap between reading and storing each."""
    grad: Any = leaf.grad
    for part in np.array_split(np.arange(g.size), min(2, g.size)):
        total = grad[part] + g[part]
        gap(leaf)
        grad[part] = total


def release_early(leaf: Leaf, cells: Any, key: int, **how: bool) -> None:
    """Hold the lock while looking at ``.grad``, and add without it."""
    with leaf.lock:
        there = type(leaf.grad) is np.ndarray
        if not there:
            sound(leaf, cells, key, **how)
    if there:
        halves(leaf, cells[key])


def make_first_unlocked(leaf: Leaf, cells: Any, key: int, **how: bool) -> None:
    """See that there is no ``.grad`` yet, make it, and store it, without the lock."""
    if leaf.grad is not None:
        sound(leaf, cells, key, **how)
        return
    gap(leaf)
    leaf.grad = np.array(cells[key])


def add_by_halves(leaf: Leaf, cells: Any, key: int, **how: bool) -> None:
    """Give the lock back between the two halves of one contribution."""
    with leaf.lock:
        if type(leaf.grad) is not np.ndarray:
            sound(leaf, cells, key, **how)
            return
    for part in np.array_split(np.arange(cells[key].size), 2):
        gap(leaf)
        with leaf.lock:
            grad: Any = leaf.grad
            if grad is None:
                grad = leaf.grad = np.zeros_like(cells[key])
            grad[part] += cells[key][part]


def rebind(leaf: Leaf, buffer: np.ndarray, g: Value) -> None:
    """A new sum in the place of the old one."""
    total = buffer + g
    gap(leaf)
    leaf.grad = total


def add_twice(leaf: Leaf, cells: Any, key: int, **how: bool) -> None:
    """Count a contribution twice, unless it is the first."""
    first = leaf.grad is None
    sound(leaf, [np.array(cells[key])], 0, **how)
    if not first:
        sound(leaf, cells, key, **how)


def take_without_swap(self: Leaf) -> Value | None:
    """Copy ``.grad``, then drop it: what comes between the two is gone."""
    taken = None if self.grad is None else np.array(self.value())
    gap(self)
    self.grad = self.face = None
    return taken


def commit_at_once(self: locked.Locked, position: int, g: Value | None) -> None:
    """Add as soon as a gradient is there, although the backward may still fail."""
    node: Node = self.nodes[position]
    if isinstance(node, Leaf):
        sound(node, [None if g is None else np.array(g)], 0)
    else:
        Staged.receive(self, position, g)


def hold_all(self: locked.Locked) -> None:
    """Take the locks of all leaves, one while the others are held, then add."""
    several = list(self.contributions())
    for leaf, _, _ in several:
        leaf.lock.__enter__()
        gap(leaf)
    for leaf, cells, key in several:
        sound(leaf, cells, key)
    for leaf, _, _ in several:
        leaf.lock.__exit__(None, None, None)


def write_captured(self: Capture) -> None:
    """Add to ``.grad`` what was only asked for as a value."""
    for position in self.staged:
        node = self.nodes[position]
        if isinstance(node, Leaf):
            sound(node, [np.array(self.staged[position])], 0)


def no_lock_for_users(self: Differentiable) -> nullcontext[None]:
    """A block that keeps nobody out."""
    return nullcontext()


def copy_at_once(locks: Any, copy: Callable[[], Any]) -> Any:
    """Take no locks of those who write."""
    return copy()


def last_of_each(ids: Any, rows: Any, size: int, axis: int = 0) -> tuple[Any, Any]:
    """Each id once, with the last of its rows alone."""
    unique, place = np.unique(ids[::-1], return_index=True)
    return unique, rows.take(len(ids) - 1 - place, axis)


MUTANTS = (
    Mutant(
        "no-lock",
        "the locks of leaves lock nothing",
        [(sync, "rlock", nullcontext)],
        (threads("accumulate.sizes", "locked", LARGE), schedules("accumulate.sizes", "locked", 4)),
    ),
    Mutant(
        "lock-released-early",
        "the lock of a leaf is held while .grad is looked at, and not while it is added to",
        [(locked, "merge", release_early)],
        (schedules("accumulate.sizes", "locked", 1), schedules("accumulate.sizes", "locked", 4)),
    ),
    Mutant(
        "lost-first-write",
        "the first .grad of a leaf is made outside of its lock",
        [(locked, "merge", make_first_unlocked)],
        (schedules("accumulate.first", "locked", 4), schedules("accumulate.first", "racy", 4)),
    ),
    Mutant(
        "torn-write",
        "a contribution is added by halves, and the lock is given back between them",
        [(locked, "merge", add_by_halves)],
        (schedules("reset.read", "locked", 4), schedules("reset.zero", "locked", 4)),
    ),
    Mutant(
        "rebind",
        "racy puts a new array in the place of .grad, instead of adding in place",
        [(racy, "_add_racy", rebind)],
        (schedules("accumulate.ones", "racy"), schedules("reset.take", "racy", 4)),
    ),
    Mutant(
        "grad-lock-open",
        "grad_lock, which users take, locks nothing",
        [(Differentiable, "grad_lock", property(no_lock_for_users))],
        (schedules("step.counted", "locked"), threads("step.counted", "locked")),
    ),
    Mutant(
        "snapshot-unlocked",
        "a snapshot does not wait for steps that are being written",
        [(import_module("engine.hogwild.snapshot"), "_holding", copy_at_once)],
        (threads("hogwild.snapshot", "locked"),),
    ),
    Mutant(
        "rows-dropped",
        "of the gradients of a row that is looked up several times only the last counts",
        [(sparse, "sum_by_id", last_of_each)],
        (threads("guarded.rows", "locked", 8), schedules("guarded.rows", "reproducible")),
    ),
    Mutant(
        "double-count",
        "a contribution is added to a leaf twice",
        [(locked, "merge", add_twice)],
        (threads("accumulate.ones", "locked"), schedules("accumulate.sizes", "locked")),
    ),
    Mutant(
        "alias",
        "the first .grad is the caller's own array",
        [(merge, "private", lambda cells, key: cells[key])],
        (threads("accumulate.first", "locked"), threads("accumulate.first", "racy")),
    ),
    Mutant(
        "take-no-swap",
        "take_grad() copies .grad and then drops it, instead of a swap under the lock",
        [(Leaf, "take", take_without_swap)],
        (schedules("reset.take", "locked", 4),),
    ),
    Mutant(
        "late-write",
        "a gradient is added as soon as it is there, although the backward may still fail",
        [(locked.Locked, "receive", commit_at_once)],
        (threads("errors.one", "locked"),),
    ),
    Mutant(
        "abba",
        "the locks of several leaves are held at once, in the order of the backward",
        [(locked.Locked, "commit", hold_all)],
        (schedules("nesting.abba", "locked"),),
    ),
    Mutant(
        "functional-writes",
        "a functional gradient is added to .grad besides",
        [(Capture, "commit", write_captured)],
        (threads("accumulate.ones", "functional"), schedules("accumulate.ones", "functional")),
    ),
)
