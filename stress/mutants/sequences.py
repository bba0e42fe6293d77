"""Mutants of sums whose bits are promised: the order of tickets, and exact sums."""

from __future__ import annotations

from engine import exact
from engine.runtime.accumulate.locked import Locked
from engine.runtime.accumulate.reproducible import Reproducible
from engine.runtime.accumulate.tickets import Fold, Tickets
from stress.mutants.mutant import Mutant, gap, schedules, threads

__all__ = ["MUTANTS"]


def fold_at_once(self: Tickets, number: int, fold: Fold) -> None:
    """Add what comes, whether or not it has its turn."""
    gap(self)
    fold()
    with self._lock:
        self._begun[number] = lambda: None
        self._waiting += 1
    self._advance()


def begin_unlocked(self: Tickets, ticket: int | None) -> int:
    """Look which ticket is free, and take it, without the lock."""
    number = max(self._free, self._next) if ticket is None else ticket
    gap(self)
    self._free = number + 1
    self._begun.setdefault(number, _running)
    return number


def keep_all(self: Tickets, number: int) -> None:
    """Leave the ticket of a backward that failed as it is."""


def advance_at_once(self: Tickets) -> None:
    """Add what has its turn, although another thread may be adding what was before it."""
    while True:
        with self._lock:
            fold = self._pop()
        if fold is None:
            return
        gap(self)
        fold()


def round_at_once(self: Reproducible) -> None:
    """Add as `locked` does: every sum is rounded."""
    Locked.commit(self)


_running = Tickets.begin.__globals__["_running"]


MUTANTS = (
    Mutant(
        "ticket-skipped",
        "ordered adds what comes, without waiting for lower tickets",
        [(Tickets, "arrive", fold_at_once)],
        (schedules("accumulate.bits", "ordered", 64),),
    ),
    Mutant(
        "folds-overtake",
        "ordered lets a thread add the next ticket's while another still adds the one before",
        [(Tickets, "_advance", advance_at_once)],
        (schedules("accumulate.bits", "ordered", 64, crew=3),),
    ),
    Mutant(
        "rounded-early",
        "reproducible rounds after every contribution, not at the end",
        [(Reproducible, "commit", round_at_once)],
        (
            threads("accumulate.bits", "reproducible", 64),
            threads("guarded.carried", "reproducible"),
        ),
    ),
    Mutant(
        "ticket-counter-unlocked",
        "the counter of tickets is read and stored without its lock",
        [(Tickets, "begin", begin_unlocked)],
        (schedules("accumulate.sizes", "ordered"),),
    ),
    Mutant(
        "ticket-kept",
        "a backward that fails does not release its ticket",
        [(Tickets, "abandon", keep_all)],
        (threads("errors.one", "ordered"),),
    ),
    Mutant(
        "limb-overflow",
        "reproducible never carries limbs, so that they overflow",
        [(exact, "TERMS", 10**9)],
        (threads("guarded.carried", "reproducible"),),
    ),
)
