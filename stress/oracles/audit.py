"""The audit oracle: were two accesses to one array ordered by a lock, or only by luck?

Every thread has a vector clock, and so has every lock and every item in a queue: who takes a lock
has seen what its last holder had done (Lamport's happens-before; Mattern, "Virtual time and global
states of distributed systems", 1989). Two accesses of which neither had seen the other are a race,
even if they did not meet and the sum is right. It hears of accesses by the engine's hooks, and of
locks, queues and threads by making them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import engine

__all__ = ["Access", "Audit", "races"]

Clock = dict[object, int]  # for each thread, how much of what it did has been seen

WRITES = ("grad.commit", "grad.store", "param.write")
AT_ONCE = ("grad.read", "grad.store", "param.read")  # points that stand where no lock is taken
LATER = ("grad.commit", "param.write")  # points before a lock, if there is one


@dataclass(frozen=True, slots=True)
class Access:
    """A thread was at ``point`` with ``subject``. Immutable. ``clock``: what it had seen."""

    point: str
    subject: object
    thread: object
    name: str
    clock: Clock

    def before(self, other: Access) -> bool:
        """Whether whoever made ``other`` had seen this one."""
        return self.clock[self.thread] <= other.clock.get(self.thread, 0)


def races(accesses: list[Access]) -> tuple[int, list[str]]:
    """How many conflicting pairs are ordered, and in words those that are not."""
    ordered, found = 0, []
    for left, right in combinations(accesses, 2):
        if left.subject is not right.subject or left.thread is right.thread:
            continue
        if left.point not in WRITES and right.point not in WRITES:
            continue
        if left.before(right) or right.before(left):
            ordered += 1
        else:
            found.append(f"{left.point} by {left.name} and {right.point} by {right.name}")
    return ordered, found


class Local(threading.local):
    """What the audit knows of one thread. Thread-local."""

    trial: object = None
    thread: object = None
    clock: Clock
    pending: tuple[str, object] | None = None


class Audit:
    """Watches accesses, and makes locks, queues and threads that carry clocks.

    Installed as the engine's hook and primitives; ``base``: what made them before. Internally
    synchronised: lists are appended to, and a lock's clock is touched by its holder alone.
    """

    def __init__(self, base: engine.sync.Primitives) -> None:
        self.base = base
        self.local = Local()
        self.begin()

    def begin(self) -> None:
        """Forget everything: a new trial. Externally synchronised."""
        self.trial = object()
        self.accesses: list[Access] = []
        self.intruders: list[str] = []  # those who took a lock that another held

    # What it hears.

    def __call__(self, point: str, subject: object) -> None:
        """The hook."""
        me = self.me()
        self.settle(me)
        if point in LATER:
            me.pending = point, subject
        if point in AT_ONCE:
            self.note(me, point, subject)

    def me(self) -> Local:
        """The calling thread; new in every trial."""
        me = self.local
        if me.trial is not self.trial:
            me.trial, me.thread, me.pending = self.trial, object(), None
            me.clock = {me.thread: 0}
        return me

    def settle(self, me: Local) -> None:
        """The access that was announced takes place now, whatever lock was taken or not."""
        if me.pending is not None:
            (point, subject), me.pending = me.pending, None
            self.note(me, point, subject)

    def note(self, me: Local, point: str, subject: object) -> None:
        """An access of this thread, at this moment."""
        me.clock[me.thread] += 1
        name = threading.current_thread().name
        self.accesses.append(Access(point, subject, me.thread, name, dict(me.clock)))

    def meet(self, seen: Clock) -> None:
        """The calling thread has seen what ``seen`` says."""
        clock = self.me().clock
        for thread, count in seen.items():
            clock[thread] = max(count, clock.get(thread, 0))

    def leave(self) -> Clock:
        """What the calling thread has seen and done; what it does from now on is new."""
        me = self.me()
        seen = dict(me.clock)
        me.clock[me.thread] += 1
        return seen

    # What it makes: the engine's ``Primitives``.

    def lock(self) -> Any:
        """A lock with a clock."""
        return ClockedLock(self, self.base.lock())

    def rlock(self) -> Any:
        """A reentrant one."""
        return ClockedLock(self, self.base.rlock())

    def queue(self) -> Any:
        """A queue whose items carry clocks."""
        return ClockedQueue(self, self.base.queue())

    def monotonic(self) -> float:
        """The clock of those that it stands in front of."""
        return self.base.monotonic()

    def start_thread(self, target: Callable[[], object], name: str, daemon: bool | None) -> Any:
        """A thread that has seen what its creator had, and is seen by who joins it."""
        return ClockedThread(self, target, name, daemon)


class ClockedLock:
    """A lock. ``clock``, ``holder``, ``depth``: touched by whoever holds it."""

    def __init__(self, audit: Audit, inner: Any) -> None:
        self.audit, self.inner = audit, inner
        self.clock: Clock = {}
        self.holder: object = None
        self.depth = 0

    def __enter__(self) -> None:
        self.inner.__enter__()
        audit, me = self.audit, self.audit.me()
        if self.holder not in (None, me.thread):
            audit.intruders.append(threading.current_thread().name)
        self.holder = me.thread
        self.depth += 1
        audit.meet(self.clock)
        if me.pending is not None and getattr(me.pending[1], "lock", self) is self:
            audit.settle(me)

    def __exit__(self, *error: Any) -> None:
        self.clock = self.audit.leave()
        self.depth -= 1
        if not self.depth:
            self.holder = None
        self.inner.__exit__(*error)

    def acquire(self) -> bool:
        """Take it."""
        self.__enter__()
        return True

    def release(self) -> None:
        """Let go of it."""
        self.__exit__(None, None, None)


class ClockedQueue:
    """A queue; it holds pairs of a clock and an item."""

    def __init__(self, audit: Audit, inner: Any) -> None:
        self.audit, self.inner = audit, inner
        self.empty = inner.empty

    def put(self, item: Any) -> None:
        """Put an item in."""
        self.inner.put((self.audit.leave(), item))

    def get(self, *args: Any, **keywords: Any) -> Any:
        """Take one out, and have seen what its giver had."""
        clock, item = self.inner.get(*args, **keywords)
        self.audit.meet(clock)
        return item


class ClockedThread:
    """A thread. ``end``: written by it before it ends, read by who has joined it."""

    def __init__(
        self, audit: Audit, target: Callable[[], object], name: str, daemon: bool | None
    ) -> None:
        self.end: Clock = {}
        start = audit.leave()

        def run() -> None:
            audit.meet(start)
            target()
            self.end = audit.leave()

        self.audit = audit
        self.inner = audit.base.start_thread(run, name, daemon)
        self.is_alive = self.inner.is_alive

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end."""
        self.inner.join(timeout)
        if not self.is_alive():
            self.audit.meet(self.end)
