"""Who runs next: the nodes that one participant has made ready, in an order that can be chosen.

Each participant of a task, the caller or a worker, has a queue of its own: thread-local, no lock.
The bits of the result do not depend on the order (see ``Plan``); memory and cache hits do.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from heapq import heappop, heappush
from random import Random
from typing import Protocol


class ReadyQueue(Protocol):
    """Positions that are ready to run. Thread-local."""

    positions: list[int]  # what waits; the queue decides its order
    push: Callable[[int], None]
    pop: Callable[[], int]


class Newest:
    """Newest node first, leaves before all: frees the graph in the order it was built.

    >>> queue = Newest()
    >>> for position in (3, 1, 2):
    ...     queue.push(position)
    >>> queue.pop(), len(queue.positions)
    (1, 2)
    """

    __slots__ = ("pop", "positions", "push")

    def __init__(self) -> None:
        self.positions: list[int] = []
        self.push: Callable[[int], None] = partial(heappush, self.positions)
        self.pop: Callable[[], int] = partial(heappop, self.positions)


class Seeded:
    """A random order that its seed repeats: for experiments on schedules."""

    __slots__ = ("pop", "positions", "push")

    def __init__(self, seed: int) -> None:
        random = Random(seed)
        positions: list[int] = []
        self.positions = positions
        self.push: Callable[[int], None] = positions.append
        self.pop: Callable[[], int] = lambda: positions.pop(random.randrange(len(positions)))
