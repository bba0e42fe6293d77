"""What the engine has done so far, in figures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from weakref import ref

import numpy as np

from .. import modes, sync
from ..graph import Leaf
from .observe import Watcher, watching
from .pool import current_pool

TASKS, NODES, HAND_OFFS = range(3)  # places in what a thread counts


@dataclass(frozen=True, slots=True)
class Stats:
    """What ``engine.stats`` returns. Immutable.

    ``tasks``: backwards begun, of any kind. ``nodes``: in their graphs. ``hand_offs``: nodes that a
    worker took over. ``queue_depth``: submitted tasks that wait for a worker of this thread's pool.
    ``lock_waits``: how often a leaf's lock was held by another thread when a backward came to add
    to ``.grad``. ``lost_updates``: element-updates that ``racy`` accumulation lost, as
    ``engine.measuring`` estimates it. These two are None until something was measured.
    """

    tasks: int
    nodes: int
    hand_offs: int
    queue_depth: int
    lock_waits: int | None
    lost_updates: int | None


class _Owner:
    """Lives as long as its thread."""

    __slots__ = ("__weakref__",)


class _Mine(sync.local):
    """What keeps this thread's owner alive. Thread-local."""

    owner: _Owner | None = None


_mine = _Mine()
_lock = sync.process_lock()
_threads: list[tuple[Any, list[int]]] = []  # guarded by _lock; counts are written by their thread
_gone = [0, 0, 0]  # of threads that have ended; guarded by _lock
_lock_waits: int | None = None  # guarded by _lock, of blocks that have ended
_lost: int | None = None  # likewise
_meters: tuple[Meter, ...] = ()  # of blocks that go on; changed under _lock


def counted() -> list[int]:
    """The counts of this thread, made at its first backward: only it writes to them."""
    state = modes.state
    with _lock:
        if not state.counts:
            state.counts, _mine.owner = [0, 0, 0], _Owner()
            _bury()
            _threads.append((ref(_mine.owner), state.counts))
    counts: list[int] = state.counts
    return counts


def _bury() -> None:
    """Keep the sums, not the counts, of threads that have ended; the caller holds ``_lock``."""
    dead = [entry for entry in _threads if entry[0]() is None]
    for entry in dead:
        _threads.remove(entry)
        # A list first: without a GIL, one that is read while it is written waits for its own lock.
        _gone[:] = list(map(sum, zip(_gone, entry[1], strict=True)))


def stats() -> Stats:
    """What the engine has done in this process so far, in all threads, as far as they have come.

    Counting costs a backward a tenth of a microsecond. Internally synchronised.

    >>> import engine
    >>> x = engine.ones(2, requires_grad=True)
    >>> before = engine.stats()
    >>> x.exp().sum().backward()
    >>> after = engine.stats()
    >>> after.tasks - before.tasks, after.nodes - before.nodes, after.queue_depth
    (1, 3, 0)
    """
    depth = current_pool().queued
    with _lock:
        _bury()
        counts = map(sum, zip(_gone, *(entry[1] for entry in _threads), strict=True))
        tasks, nodes, hand_offs = counts
        waits, lost = _lock_waits, _lost
        for meter in _meters:
            waits, lost = (waits or 0) + meter.waits.value, (lost or 0) + meter.lost()
    return Stats(tasks, nodes, hand_offs, depth, waits, lost)


class Twin:
    """Counts what comes to one ``.grad``, twice: surely, and the way that ``racy`` adds to it."""

    __slots__ = ("array", "came")

    def __init__(self, leaf: Leaf) -> None:
        size = max(4, min(8, leaf.dtype.itemsize))
        self.array = np.zeros(leaf.shape, f"i{size}")  # racy: that is the point
        self.came = sync.Counter()

    def add(self) -> None:
        """A contribution: as racy, for the array, as the one that it stands for."""
        self.came.next()
        np.add(self.array, 1, out=self.array)

    def lost(self) -> int:
        """Element-updates that are missing."""
        return max(0, self.came.value * self.array.size - int(self.array.sum()))


class Meter:
    """What is measured in one block. Internally synchronised, but for ``Twin.array``."""

    def __init__(self) -> None:
        self.waits = sync.Counter()
        self._twins: dict[Leaf, Twin] = {}  # get, setdefault and copy are atomic

    def look(self, leaf: Leaf) -> None:
        """Whether one would wait for the leaf's lock just now."""
        lock: Any = leaf.lock
        if lock.acquire(False):
            lock.release()
        else:
            self.waits.next()

    def add(self, leaf: Leaf) -> None:
        """A racy contribution is about to be added."""
        twin = self._twins.get(leaf) or self._twins.setdefault(leaf, Twin(leaf))
        twin.add()

    def lost(self) -> int:
        """Element-updates lost so far; too many by those that are being added at this moment."""
        return sum(twin.lost() for twin in self._twins.copy().values())


@contextmanager
def measuring() -> Iterator[None]:
    """Measure waits for locks and lost updates of all threads, for a ``with`` block.

    ``engine.stats()`` has the figures. A lost update leaves no trace, so losses are estimated by a
    twin: beside each racy addition to a ``.grad``, one is added to an array of integers of the same
    shape, in place and without a lock, and what comes is counted surely too. What the array misses
    was lost to the same race. It makes ``racy`` accumulation about half as fast; other modes pay
    some tenths of a microsecond a leaf. Sparse gradients are not measured. The block keeps the
    leaves alive that it has seen. Internally synchronised; blocks of several threads add up.

    >>> import engine
    >>> x = engine.zeros(1000, requires_grad=True)
    >>> x.grad = engine.zeros(1000)
    >>> before = engine.stats().lost_updates or 0
    >>> with engine.measuring():
    ...     for _ in range(3):
    ...         x.sum().backward(accumulation="racy")
    >>> engine.stats().lost_updates - before  # one thread loses nothing
    0
    """
    global _meters, _lock_waits, _lost
    meter = Meter()
    with _lock:
        _meters = (*_meters, meter)
    try:
        with watching(Watcher({"grad.commit": meter.look, "grad.store": meter.add}), True):
            yield
    finally:
        with _lock:
            _meters = tuple(other for other in _meters if other is not meter)
            _lock_waits = (_lock_waits or 0) + meter.waits.value
            _lost = (_lost or 0) + meter.lost()
