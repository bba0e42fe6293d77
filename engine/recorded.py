"""What recording has to know of a Tensor. The class with all its methods is built on top of it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .graph import Edge, VersionCell
from .ops.op import Op

_new = object.__new__


class Recorded:
    """What recording has to know of a Tensor: its elements, and its place in the graph."""

    __slots__ = ("__weakref__", "_cell", "_data", "_edge", "_view")

    _data: np.ndarray
    _edge: Edge | None  # where its gradient goes: (Leaf, 0), (Node, output), or None
    _cell: VersionCell | None  # None: shared for Hogwild, writes are not counted
    _view: View | None  # what it is a view of


class View(NamedTuple):
    """That a tensor shares memory with ``root``, through a chain of view operations. Immutable.

    ``edge``: that of the root when the view was last brought up to date. ``recorded``: whether it
    was made in grad mode.
    """

    root: Recorded
    chain: tuple[tuple[Op, dict[str, Any]], ...]
    edge: Edge | None
    recorded: bool


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
