"""``racy``: in place and without a lock, as in the Hogwild paper."""

from __future__ import annotations

import numpy as np

from ... import sync
from ...graph import Leaf, Node
from ...sparse import RowSparse, add_into
from ...values import Value
from .locked import Locked
from .merge import add_observed, is_recorded


class Racy(Locked):
    """In place, no lock, at once: may lose or tear contributions of concurrent backwards.

    Never crashes, never raises, keeps shape and dtype, counts no contribution twice: the array is
    only ever written in place, and NumPy reads and writes whole elements. The first ``.grad`` is
    made under the leaf's lock, at the end, by the caller. Not undone when the backward raises.
    """

    def receive(self, position: int, g: Value | None) -> None:
        """Add to the leaf's array where it has one, else stage."""
        # Racy by intent: another thread may be adding to this very array, may have taken it (the
        # contribution then goes with it, or is lost), and may make a new one. The reference read
        # here keeps the array alive whatever the others do.
        leaf = self.nodes[position]
        buffer = leaf.grad if isinstance(leaf, Leaf) else None
        if type(buffer) is np.ndarray and g is not None and not is_recorded(g):
            _add_racy(leaf, buffer, g)
        else:
            super().receive(position, g)


def _add_racy(leaf: Node, buffer: np.ndarray, g: Value) -> None:
    hook, tell = sync.hook, sync.observer
    if tell is not None:
        tell("grad.rows" if type(g) is RowSparse else "grad.store", leaf)
    if hook is None:
        with np.errstate(all="ignore"):  # a sum that overflows is a value, no error
            if type(g) is RowSparse:
                add_into(buffer, g)
            else:
                np.add(buffer, g, out=buffer)
        return
    add_observed(leaf, buffer, g, hook)
