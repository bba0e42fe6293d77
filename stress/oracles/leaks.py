"""The leak oracle: which nodes and threads are left, and whether memory grows."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from weakref import ReferenceType, ref

import numpy as np

import engine
from stress.oracles.order import topology

__all__ = ["Nodes", "Threads", "resident", "slope"]

PAGE = 4096


class Nodes:
    """The nodes of graphs, watched without being kept alive. Externally synchronised.

    >>> nodes = Nodes()
    >>> x = engine.ones(3, requires_grad=True)
    >>> y = x * x + x
    >>> nodes.watch(y)
    >>> nodes.alive(), y.sum().backward()
    (2, None)
    >>> del y
    >>> nodes.alive()
    0
    """

    def __init__(self) -> None:
        self._seen: list[ReferenceType[Any]] = []

    def watch(self, root: engine.Tensor) -> None:
        """Watch every node below ``root`` but the leaves."""
        nodes, _ = topology([root.grad_fn])
        self._seen += [ref(node) for node in nodes.values() if node.next_functions]

    def alive(self) -> int:
        """How many of them are still there."""
        return sum(seen() is not None for seen in self._seen)


class Threads:
    """The threads that there were at one moment. Immutable."""

    def __init__(self) -> None:
        self._before = set(threading.enumerate())

    def left(self) -> list[str]:
        """The names of those that have come since, and are still there."""
        return sorted(thread.name for thread in set(threading.enumerate()) - self._before)


def resident() -> int | None:
    """Bytes of memory that this process has in use; None where that cannot be read."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE
    except OSError:
        return None


def slope(samples: Sequence[float]) -> float:
    """By how much the samples grow from one to the next: the line of least squares.

    >>> round(slope([5, 7, 9, 11]), 6)
    2.0
    """
    return float(np.polyfit(np.arange(len(samples)), np.asarray(samples, float), 1)[0])
