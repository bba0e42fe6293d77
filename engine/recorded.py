"""What recording has to know of a Tensor. The class with all its methods is built on top of it."""

from __future__ import annotations

from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from .graph import Edge
from .ops.op import Op
from .versions import VersionCell

_new = object.__new__


class Recorded:
    """What recording has to know of a Tensor: its elements, and its place in the graph."""

    __slots__ = ("__weakref__", "_cell", "_data", "_edge", "_view")

    _data: np.ndarray
    _edge: Edge | None  # where its gradient goes: (Leaf, 0), (Node, output), or None
    _cell: VersionCell | None  # None: shared for Hogwild, writes are not counted
    _view: View | None  # what it is a view of


Step = tuple[Op, dict[str, Any]]  # a view operation and its keywords


class View(NamedTuple):
    """That a tensor shares memory with ``root``, through a chain of view operations. Immutable.

    ``blocks``: the steps of that chain, in runs whose lengths fall, powers of two: a longer chain
    shares the long runs of the one that it continues. ``edge``: that of the root when the view was
    last brought up to date. ``recorded``: whether it was made in grad mode.
    """

    root: Recorded
    blocks: tuple[tuple[Step, ...], ...]
    edge: Edge | None
    recorded: bool

    @property
    def chain(self) -> tuple[Step, ...]:
        """The steps, as applied one after the other."""
        return tuple(chain.from_iterable(self.blocks))


def continued(blocks: tuple[tuple[Step, ...], ...], step: Step) -> tuple[tuple[Step, ...], ...]:
    """One step more. Runs of equal length are joined: n steps one by one copy n log n, not n * n.

    >>> [len(run) for run in continued(((1, 2), (3,)), 4)], len(continued(((1, 2),), 3))
    ([4], 2)
    """
    runs = list(blocks)
    last: tuple[Step, ...] = (step,)
    while runs and len(runs[-1]) == len(last):
        last = runs.pop() + last
    return (*runs, last)


# The version of tensors that no graph can use: compared by identity.
INFERENCE: VersionCell = [None]

# The class of what is recorded: immutable once `tensor` has been imported.
tensor_class: Any = Recorded


def register(cls: type[Recorded]) -> type[Recorded]:
    """Make ``cls`` the class of everything recorded from now on."""
    global tensor_class
    tensor_class = cls
    return cls


def from_array(data: np.ndarray, edge: Edge | None = None) -> Any:
    """A tensor over the memory of ``data``, whose gradient goes to ``edge``."""
    out = _new(tensor_class)
    out._data = data
    out._edge = edge
    out._cell = [None]
    out._view = None
    return out
