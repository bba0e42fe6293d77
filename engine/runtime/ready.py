"""Who runs next: the nodes that one participant has made ready, in an order that can be chosen.

Each participant of a task, the caller or a worker, has a queue of its own: thread-local, no lock.
The bits of the result do not depend on the order (see ``Plan``); memory and cache hits do.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from random import Random
from typing import Protocol


class ReadyQueue(Protocol):
    """Positions that are ready to run. Thread-local."""

    def push(self, position: int) -> None: ...

    def pop(self) -> int: ...

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[int]: ...

    def remove(self, position: int) -> None: ...


class Newest:
    """Newest node first, leaves before all: frees the graph in the order it was built.

    >>> queue = Newest()
    >>> for position in (3, 1, 2):
    ...     queue.push(position)
    >>> queue.pop(), len(queue)
    (1, 2)
    """

    __slots__ = ("_heap",)

    def __init__(self) -> None:
        self._heap: list[int] = []

    def push(self, position: int) -> None:
        """Add a position."""
        heappush(self._heap, position)

    def pop(self) -> int:
        """Take out the position that runs next."""
        return heappop(self._heap)

    def remove(self, position: int) -> None:
        """Take out this very position."""
        self._heap.remove(position)
        heapify(self._heap)

    def __len__(self) -> int:
        return len(self._heap)

    def __iter__(self) -> Iterator[int]:
        return iter(tuple(self._heap))


class Seeded:
    """A random order that its seed repeats: for experiments on schedules."""

    __slots__ = ("_positions", "_random")

    def __init__(self, seed: int) -> None:
        self._positions: list[int] = []
        self._random = Random(seed)

    def push(self, position: int) -> None:
        """Add a position."""
        self._positions.append(position)

    def pop(self) -> int:
        """Take out a position, any with equal chance."""
        return self._positions.pop(self._random.randrange(len(self._positions)))

    def remove(self, position: int) -> None:
        """Take out this very position."""
        self._positions.remove(position)

    def __len__(self) -> int:
        return len(self._positions)

    def __iter__(self) -> Iterator[int]:
        return iter(tuple(self._positions))
