"""Which policy a call of ``backward`` uses: its own, else its thread's, else the process's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from ... import modes
from ...errors import ArgumentError
from .locked import Locked
from .ordered import Ordered, Turn
from .racy import Racy
from .reproducible import Reproducible
from .reserved import Reserved
from .tickets import Tickets

POLICIES: dict[str, type[Locked]] = {
    "racy": Racy,
    "locked": Locked,
    "ordered": Ordered,
    "reproducible": Reproducible,
}

# Atomic: a reference that is only ever rebound.
_default = "locked"
_tickets = Tickets()  # of threads that have not chosen; internally synchronised


def _check(mode: str) -> str:
    if mode not in POLICIES:
        known = ", ".join(map(repr, POLICIES))
        raise ArgumentError(f"unknown accumulation mode {mode!r}: choose one of {known}")
    return mode


@contextmanager
def accumulation(mode: str, tickets: Tickets | None = None) -> Iterator[None]:
    """How backwards of this thread add to ``.grad``, for a ``with`` block. Thread-local.

    ``"locked"``: every contribution counted exactly once, under the leaf's lock.
    ``"racy"``: in place and without a lock; may lose or tear contributions, never crashes.
    ``"ordered"``: as locked, in the order of ``tickets`` (default: those of the thread so far, else
    of the process): the same tickets give the same bits, for any number of threads.
    ``"reproducible"``: as locked, and the sum is exact, rounded when it is read: the same
    contributions give the same bits, in any order. Not with ``create_graph``.

    >>> import engine
    >>> x = engine.tensor([1.0], requires_grad=True)
    >>> with engine.accumulation("racy"):
    ...     x.sum().backward()
    >>> x.grad
    tensor([1.])
    """
    if tickets is not None and mode != "ordered":
        raise ArgumentError(f"accumulation: tickets belong to 'ordered', not to {mode!r}")
    state = modes.state
    before = state.accumulation, state.tickets
    state.accumulation, state.tickets = _check(mode), tickets or state.tickets
    try:
        yield
    finally:
        state.accumulation, state.tickets = before


def set_accumulation(mode: str) -> None:
    """How backwards add to ``.grad`` in threads that have not chosen for themselves. Atomic."""
    global _default
    _default = _check(mode)


def current_tickets() -> Tickets:
    """The tickets of this thread's ``ordered`` backwards: its own choice, else the process's."""
    chosen: Tickets = modes.state.tickets or _tickets
    return chosen


def _mode(call: str | None) -> str:
    return _check(call) if call is not None else modes.state.accumulation or _default


def reserve(call: str | None, ticket: int | None) -> Reserved | None:
    """The ticket of a call that is submitted now and begins later: None but in ``ordered``."""
    return Reserved(current_tickets(), ticket) if _mode(call) == "ordered" else None


def chosen_policy(call: str | None, ticket: int | None) -> type[Locked] | Turn:
    """The policy of a call, made by calling it with the nodes of the plan.

    The call begins here: in ``ordered`` it has its ticket now, and says ``abandon()`` if it fails.
    """
    mode = _mode(call)
    if mode == "ordered":
        tickets, handle = current_tickets(), modes.state.handle
        if ticket is None and handle is not None and handle.reserved is not None:
            ticket = handle.reserved.use(tickets)
        return Turn(tickets, ticket)
    if ticket is not None:
        raise ArgumentError(f"backward: ticket={ticket} belongs to 'ordered', not to {mode!r}")
    return POLICIES[mode]


def _fresh_after_fork() -> None:
    """Backwards of the parent's other threads, which hold tickets, do not end in the child."""
    global _tickets
    _tickets = Tickets()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_fresh_after_fork)
