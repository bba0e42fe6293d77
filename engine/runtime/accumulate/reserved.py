"""The ticket of a submitted task: taken when it is submitted, whoever runs it when."""

from __future__ import annotations

from contextlib import suppress

from ... import sync
from ...errors import TicketError
from .tickets import Tickets


class Reserved:
    """A ticket for the first backward of a task; released if no backward comes for it.

    Internally synchronised: hooks of one task may begin backwards in several threads.
    """

    def __init__(self, tickets: Tickets, ticket: int | None) -> None:
        self._tickets = tickets  # immutable
        self._given = ticket is not None  # immutable: then the call itself brings it again
        self._lock = sync.lock()
        self._ticket = tickets.take() if ticket is None else ticket  # guarded by _lock
        self._left = True  # guarded by _lock

    def use(self, tickets: Tickets) -> int | None:
        """The ticket, for one backward in the order of ``tickets``; None if there is none left."""
        with self._lock:
            if self._given or not self._left or tickets is not self._tickets:
                return None
            self._left = False
            return self._ticket

    def release(self) -> None:
        """The task has ended: higher tickets wait for this one no longer. May be called again."""
        with self._lock:
            left, self._left = self._left, False
        if left:
            with suppress(TicketError):  # a given one, that a backward has used
                self._tickets.release(self._ticket)
