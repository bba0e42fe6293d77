"""A sequence of tickets: who comes when, what waits for whom, and how much may wait."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from operator import index
from typing import Any

from ... import modes, sync
from ...errors import ArgumentError, OperandError, TicketError, TicketsFullError

Fold = Callable[[], None]


def _running() -> None:
    """Stands for the contributions of a backward that is under way."""


def _nothing() -> None:
    """The contributions of a ticket that was released."""


@dataclass(frozen=True, slots=True)
class Pending:
    """Where a sequence of tickets stands. Immutable.

    ``next``: all tickets below it have been added to ``.grad``, or were released. Of those from it
    on, ``running`` have begun, ``waiting`` have ended and wait for lower ones, and ``missing`` have
    not begun although higher ones have.
    """

    next: int
    missing: tuple[int, ...]
    running: tuple[int, ...]
    waiting: tuple[int, ...]


class Tickets:
    """The numbers 0, 1, 2 ... in whose order backwards are added to ``.grad``, by ``ordered``.

    Every backward under ``engine.accumulation("ordered", tickets)`` has a ticket of ``tickets``:
    the one that is given, ``backward(ticket=7)``, or the next that nobody has, taken as the call
    begins. Whichever thread ends first, contributions are added to each leaf in the order of the
    tickets: the same tickets give the same bits, for any number of threads. What comes early is
    kept until the lower tickets have come, and its thread goes on. A backward that raises releases
    its ticket. Meanwhile ``.grad`` shows the sum of the tickets below ``pending().next``; taking
    or zeroing it does not touch what waits.

    ``bound``: how many backwards may wait. While so many do, one that begins first waits until
    fewer do, unless it has the lowest ticket that is out, at most ``timeout`` seconds; one that is
    nested in another, or whose thread holds a ``grad_lock``, does not. Where that fails it raises
    ``TicketsFullError``: a given ticket may then be used again, one that was taken is released.

    Internally synchronised: share it between threads. Make a new one to begin at 0 again.

    >>> import engine
    >>> x = engine.zeros(1, requires_grad=True)
    >>> tickets = engine.Tickets()
    >>> with engine.accumulation("ordered", tickets):
    ...     x.sum().backward(ticket=1)  # early: it waits for 0
    ...     print(x.grad, tickets.pending())
    ...     (2 * x).sum().backward(ticket=0)
    None Pending(next=0, missing=(0,), running=(), waiting=(1,))
    >>> x.grad, tickets.pending().next
    (tensor([3.]), 2)
    """

    def __init__(self, bound: int = 64, timeout: float = 60.0) -> None:
        if bound < 1 or timeout < 0:
            raise ArgumentError(f"Tickets: bound={bound} must be positive, timeout={timeout} >= 0")
        self.bound = bound  # immutable
        self.timeout = timeout  # immutable
        self._lock = sync.lock()  # guards what follows
        self._next = 0  # read without it as a hint: it only grows, and stops at who runs
        self._free = 0  # none from here on has been taken
        self._begun: dict[int, Fold] = {}  # from `_next` on
        self._waiting = 0  # how many of them wait
        self._folding = False  # a thread adds; whoever comes meanwhile leaves its own to it
        self._bells: list[Any] = []  # a queue for each call that waits for room

    def take(self) -> int:
        """The next ticket that nobody has, for a ``backward(ticket=...)`` to come."""
        with self._lock:
            return self._new()

    def release(self, ticket: int) -> None:
        """Say that no backward will use ``ticket``: it does not hold up higher ones any longer.

        For a step whose forward pass failed, say. Raises ``TicketError`` if it has been used.
        """
        with self._lock:
            self._begun[self._unused(ticket)] = _nothing
        self._advance()

    def flush(self) -> tuple[int, ...]:
        """Release every missing ticket, and return these.

        What waited is added now, but for what waits for backwards that are still running: it is
        added when they end. A backward that comes with a released ticket raises ``TicketError``.
        """
        with self._lock:
            missing = self._missing()
            self._begun.update(dict.fromkeys(missing, _nothing))
        self._advance()
        return missing

    def pending(self) -> Pending:
        """What is missing, running and waiting at this moment."""
        with self._lock:
            begun = sorted(self._begun.items())
            running = tuple(n for n, fold in begun if fold is _running)
            waiting = tuple(n for n, fold in begun if fold not in (_running, _nothing))
            return Pending(self._next, self._missing(), running, waiting)

    def begin(self, ticket: int | None) -> int:
        """Let a backward begin, with ``ticket`` or a new one: its number. May wait for room."""
        hook = sync.hook
        if hook is not None:
            hook("ticket.begin", self)
        with self._lock:
            number = self._new() if ticket is None else self._unused(ticket)
            self._begun[number] = _running
            room = self._has_room(number)
        if not room:
            self._wait_for_room(number, given=ticket is not None)
        return number

    def arrive(self, number: int, fold: Fold) -> None:
        """The backward of a ticket has ended: ``fold`` adds what it found, in its turn."""
        hook = sync.hook
        if hook is not None:
            hook("ticket.arrive", self)
        with self._lock:
            self._begun[number] = fold
            self._waiting += 1
        self._advance()

    def comes_next(self, number: int) -> bool:
        """Whether all lower tickets are through; once that is so for who runs, it stays so."""
        return self._next == number

    def abandon(self, number: int) -> None:
        """The backward of a ticket has failed; nothing to do if that was after it had arrived."""
        with self._lock:
            if self._begun.get(number) is _running:
                self._begun[number] = _nothing
        self._advance()

    # The caller of these holds the lock.

    def _new(self) -> int:
        number = max(self._free, self._next)
        while number in self._begun:
            number += 1
        self._free = number + 1
        return number

    def _unused(self, ticket: int) -> int:
        try:
            number = index(ticket)
        except TypeError:
            raise OperandError(f"a ticket is an int, not {type(ticket).__name__}") from None
        if number < self._next or number in self._begun:
            raise TicketError(
                f"ticket {number} has been used or released before, or is negative: each serves "
                f"one backward; the next is {max(self._free, self._next)}"
            )
        return number

    def _missing(self) -> tuple[int, ...]:
        top = max(self._begun, default=self._next)
        return tuple(n for n in range(self._next, top) if n not in self._begun)

    def _has_room(self, number: int) -> bool:
        return number == self._next or self._waiting < self.bound

    def _pop(self) -> Fold | None:
        """The contributions that come next, if they are there."""
        while (fold := self._begun.get(self._next, _running)) is not _running:
            del self._begun[self._next]
            self._next += 1
            if fold is not _nothing:
                self._waiting -= 1
                return fold
        return None

    # The caller of these does not.

    def _advance(self) -> None:
        """Add what has its turn, unless another thread is at it: that one will find it.

        One thread at a time, and outside of the lock: what it waits for is a leaf's lock, whose
        holder waits for nothing here.
        """
        with self._lock:
            if self._folding:
                return
            fold = self._pop()
            self._folding = fold is not None
        while fold is not None:
            try:
                fold()
            except BaseException:
                with self._lock:
                    self._folding = False
                raise
            with self._lock:
                fold = self._pop()
                self._folding = fold is not None
        with self._lock:
            bells, self._bells = self._bells, []
        for bell in bells:
            bell.put(None)

    def _wait_for_room(self, number: int, *, given: bool) -> None:
        """Wait until ``number`` may begin; withdraw it if that cannot be."""
        try:
            # Others may need what this thread holds, or what it is in the middle of.
            patience = 0.0 if modes.state.task is not None or modes.state.held else self.timeout
            deadline = sync.monotonic() + patience
            while True:
                bell = sync.queue()
                with self._lock:
                    if self._has_room(number):
                        return
                    self._bells.append(bell)
                bell.get(timeout=max(0.0, deadline - sync.monotonic()))
        except BaseException as error:
            self._withdraw(number, given)
            if not isinstance(error, sync.Empty):
                raise
        raise self._full(number)

    def _withdraw(self, number: int, given: bool) -> None:
        with self._lock:
            if given:
                del self._begun[number]
            else:
                self._begun[number] = _nothing
        self._advance()

    def _full(self, number: int) -> TicketsFullError:
        seen = self.pending()
        missing = ", ".join(map(str, seen.missing[:5])) or "none"
        running = ", ".join(map(str, seen.running[:5])) or "none"
        return TicketsFullError(
            f"ordered: ticket {number} cannot begin, {len(seen.waiting)} backwards wait already "
            f"(bound {self.bound}); missing tickets: {missing}; running: {running}. Run those that "
            "are missing, or give them up with release(ticket) or flush(); a backward that is "
            "nested or under a grad_lock does not wait for room"
        )
