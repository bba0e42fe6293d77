"""Versions: how a backward learns that a value which the graph has saved was written to.

A tensor, its views and its detached aliases share one cell. It holds the newest token, and behind
that the thread of each write that is under way. A write puts a token of its own there before the
first element changes, and another one after the last: nobody ever puts an old one back. So

* who notes the token, reads elements, and finds the same token again has read none that was written
  meanwhile, by however many threads;
* but the token of one write may hide another write, which began earlier. So a value is saved only
  if no write is under way *after* the forward has read it, at the token from *before*.

Tokens are compared by identity. The counts in them may lose one of two writes at once.

Atomic, each alone: rebinding item 0, appending a thread, removing it, asking for the length. Their
order, and that of the elements between them, is kept by the GIL, or without it by the processor:
x86 keeps stores in order, and loads. Others may let a few instructions pass each other.
"""

from __future__ import annotations

from typing import Any

from . import sync
from .graph import Origin

# [None or the newest token, thread of a write that is under way, of another, ...]
VersionCell = list[Any]

# (number of writes, where, which thread, how many writes there had been before its run of writes)
Token = tuple[int, Origin, int, int]

# What a value is saved at that another thread was writing: never in a cell, so the value is stale.
UNDER_WAY: Any = (-1, None, None, 0)


def begin(cell: VersionCell, where: Origin) -> None:
    """A write begins: no element has changed yet. The count stays, but the token is another one."""
    thread = sync.ident()
    cell.append(thread)
    cell[0] = _token(cell[0], 0, where, thread)


def end(cell: VersionCell, where: Origin) -> None:
    """A write has ended, or an error has ended it: no element changes any more."""
    thread = sync.ident()
    cell[0] = _token(cell[0], 1, where, thread)
    if thread in cell:  # only this thread puts it there, or takes it out
        cell.remove(thread)


def count(cell: VersionCell, where: Origin) -> None:
    """A write has happened that nobody has announced."""
    cell[0] = _token(cell[0], 1, where, sync.ident())


def _token(newest: Token | None, more: int, where: Origin, thread: int) -> Token:
    if newest is None:
        return more, where, thread, 0
    number = newest[0]
    return number + more, where, thread, newest[3] if newest[2] == thread else number


def settled(cell: VersionCell, before: Token | None) -> Any:
    """The newest token, if since it was ``before`` nobody but this thread has written.

    Otherwise, or while a write is under way, `UNDER_WAY`.
    """
    if len(cell) > 1:  # asked first: a write that ends after that leaves its token in time
        return UNDER_WAY
    now: Token | None = cell[0]
    if now is before:
        return now
    since = before[0] if before is not None else 0
    mine = now is not None and now[2] == sync.ident() and now[3] <= since
    return now if mine else UNDER_WAY
