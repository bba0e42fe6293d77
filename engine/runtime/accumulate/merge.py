"""One contribution and one leaf: what ``.grad`` is afterwards."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import sync
from ...exact import ExactSum
from ...graph import Leaf, Node
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
    # A scheduler in control knows who holds which lock, so it alone may have points inside of one:
    # where the lock is missing, it steers two threads in.
    inside = sync.hook if hook is not None and hasattr(sync.hook, "chunks") else None
    with leaf.lock:
        grad = leaf.grad
        if inside is not None:
            inside("grad.read", leaf)
        if grad is None:
            leaf.grad = cells[key].clone() if is_recorded(cells[key]) else private(cells, key)
        elif type(grad) is np.ndarray and is_plain(cells[key]) and not exactly:
            with np.errstate(all="ignore"):  # a sum that overflows is a value, no error
                if inside is None:
                    np.add(grad, cells[key], out=grad)
                else:
                    add_observed(leaf, grad, cells[key], inside)
        else:
            _combine(leaf, cells[key], exactly)


def add_observed(leaf: Node, buffer: np.ndarray, g: Value, hook: sync.Hook) -> None:
    """Add in place, split where the hardware may split it, element by element.

    Between the points another thread's write is lost: the same race, wide enough to steer into.
    """
    once = g.coalesce() if type(g) is RowSparse else None
    touched, rows = (..., g) if once is None else (once.ids, once.rows)
    for part, of in _chunks(touched, rows, getattr(hook, "chunks", 1)):
        hook("grad.read", leaf)
        total = buffer[part] + of
        hook("grad.store", leaf)
        buffer[part] = total


def _chunks(touched: Any, rows: np.ndarray, chunks: int) -> list[tuple[Any, np.ndarray]]:
    """Split along the first axis, in at most so many parts: where there is one, nothing tears."""
    if chunks == 1 or rows.ndim == 0:
        return [(touched, rows)]
    where = np.arange(len(rows)) if touched is ... else touched
    parts = zip(np.array_split(where, chunks), np.array_split(rows, chunks), strict=True)
    return [(part, of) for part, of in parts if len(part)]


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
