"""One contribution and one leaf: what ``.grad`` is afterwards."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import sync
from ...exact import ExactSum
from ...graph import Leaf
from ...sparse import RowSparse
from ...values import Value, add, dense, private


def merge(leaf: Leaf, cells: Any, key: int, *, exactly: bool = False) -> None:
    """Add the gradient in ``cells[key]`` to ``leaf.grad``, or let it become that.

    Under the leaf's lock, and if it raises, ``.grad`` is as it was. ``exactly``: from the second on
    they are summed exactly; a sum that is kept so stays so, whoever adds to it.
    """
    hook = sync.hook if sync.observer is None else sync.both()
    if hook is not None:
        hook("grad.commit", leaf)
    if cells[key] is None:
        return
    with leaf.lock:
        grad = leaf.grad
        if grad is None:
            leaf.grad = cells[key].clone() if is_recorded(cells[key]) else private(cells, key)
        elif type(grad) is np.ndarray and is_plain(cells[key]) and not exactly:
            with np.errstate(all="ignore"):  # a sum that overflows is a value, no error
                np.add(grad, cells[key], out=grad)
        else:
            _combine(leaf, cells[key], exactly)


def _combine(leaf: Leaf, g: Value, exactly: bool) -> None:
    """The same where they are not both arrays, or summed exactly; the caller holds the lock."""
    if type(leaf.grad) is ExactSum and not is_recorded(g):
        leaf.grad.add(g)
        return
    grad = leaf.value()
    with np.errstate(all="ignore"):
        if is_recorded(grad) or is_recorded(g):
            total = dense(grad) + dense(g)
        elif exactly:
            total = ExactSum(grad)  # whose value lies where it lay
            total.add(g)
        else:
            total = add(grad, g, owned=True)
            if type(total) is RowSparse:
                total = total.coalesce()  # bounded, however many contributions come
    if total is not grad:
        leaf.grad = total


def is_plain(g: Value) -> bool:
    """Whether ``g`` is an array, or the scalar that NumPy makes of one without axes."""
    return type(g) is np.ndarray or isinstance(g, np.generic)


def is_recorded(g: Value) -> bool:
    """Whether ``g`` carries a graph (``create_graph``), so that it cannot be added in place."""
    return type(g) is not np.ndarray and not isinstance(g, np.generic | RowSparse)
