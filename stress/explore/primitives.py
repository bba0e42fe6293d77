"""Locks, queues and threads whose waiting the scheduler sees: for ``engine.sync.controlled``."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from queue import Empty
from typing import Any

from stress.explore.scheduler import Control, Strand

__all__ = ["Controlled", "Lock", "Queue", "Thread"]


class Lock:
    """A lock whose holder is known. ``again``: its holder may take it once more.

    Owned by threads under control; one that is not, such as a finalizer's after the end, takes it
    without a decision, because then nobody else runs.
    """

    def __init__(self, control: Control, *, again: bool = False) -> None:
        self._control = control
        self._again = again
        self.kind = "rlock" if again else "lock"
        self._owner: Strand | None = None
        self._times = 0

    def free(self, strand: Strand) -> bool:
        """Whether ``strand`` can take it."""
        return self._owner is None or (self._again and self._owner is strand)

    def holder(self) -> str:
        """Who holds it."""
        return "" if self._owner is None else self._owner.name

    def locked(self) -> bool:
        """Whether somebody holds it."""
        return self._times > 0

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Take it, as ``threading.Lock.acquire``."""
        strand = self._control.here()
        if strand is None:
            self._times += 1
            return True
        if not (self._again and self._owner is strand):
            self._control.point("acquire", self)
            limit = timeout if timeout >= 0 else None
            while self._owner is not None:
                if not blocking or not self._control.wait(strand, self, limit):
                    return False
            self._owner = strand
            strand.held.append(self)
        self._times += 1
        return True

    def release(self) -> None:
        """Give it back."""
        strand = self._control.here()
        if not self._times:
            raise RuntimeError("release unlocked lock")
        if self._again and strand is not None and self._owner is not strand:
            raise RuntimeError("cannot release un-acquired lock")
        self._times -= 1
        if self._times or strand is None:
            return
        if self._owner is not None:
            self._owner.held.remove(self)
        self._owner = None
        if not self._control.aborting:  # on its way out a thread must give back what it holds
            self._control.point("release", self)

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


class Queue:
    """An unbounded FIFO queue, as ``queue.SimpleQueue``."""

    kind = "queue"

    def __init__(self, control: Control) -> None:
        self._control = control
        self._items: deque[Any] = deque()

    def free(self, strand: Strand) -> bool:
        """Whether there is something to get."""
        return bool(self._items)

    def holder(self) -> str:
        """Nobody: it is empty."""
        return "(empty)"

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        """Append ``item``."""
        self._control.point("put", self)
        self._items.append(item)

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """The oldest item; raises ``queue.Empty`` if there is none, now or until the timeout."""
        strand = self._control.here()
        self._control.point("get", self)
        while not self._items:
            if not block or strand is None:
                raise Empty
            if not self._control.wait(strand, self, timeout):
                raise Empty
        return self._items.popleft()

    def put_nowait(self, item: Any) -> None:
        """As ``put``."""
        self.put(item)

    def get_nowait(self) -> Any:
        """The oldest item, or ``queue.Empty``."""
        return self.get(False)

    def empty(self) -> bool:
        """Whether nothing is in it."""
        return not self._items

    def qsize(self) -> int:
        """How much is in it."""
        return len(self._items)


class Thread:
    """A started controlled thread."""

    kind = "thread"

    def __init__(self, control: Control, strand: Strand) -> None:
        self._control, self._strand = control, strand

    def free(self, strand: Strand) -> bool:
        """Whether it has ended."""
        return self._strand.ended

    def holder(self) -> str:
        """Which one it is."""
        return self._strand.name

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end."""
        self._control.point("join", self)
        strand = self._control.here()
        while strand is not None and not self._strand.ended:
            if not self._control.wait(strand, self, timeout):
                return

    def is_alive(self) -> bool:
        """Whether it has not ended. Raises ``Abort`` where the schedule is broken off: there are
        loops that wait for this, whatever interrupts them."""
        if self._control.here() is not None:
            self._control.check()
        return not self._strand.ended


class Controlled:
    """The primitives of one schedule: see ``engine.sync.Primitives``."""

    def __init__(self, control: Control) -> None:
        self._control = control

    def lock(self) -> Lock:
        """A lock."""
        return Lock(self._control)

    def rlock(self) -> Lock:
        """A lock that its holder may take again."""
        return Lock(self._control, again=True)

    def queue(self) -> Any:
        """A queue: ``SimpleQueue`` cannot be inherited from, so this only looks like one."""
        return Queue(self._control)

    def monotonic(self) -> float:
        """The moment in this schedule: time passes only where a timeout does."""
        return self._control.clock

    def start_thread(self, target: Callable[[], object], name: str, daemon: bool | None) -> Thread:
        """A controlled thread, that the starter may overtake."""
        thread = Thread(self._control, self._control.start(target, name))
        self._control.point("start", thread)
        return thread
