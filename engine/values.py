"""What a gradient is while it travels: an ndarray, a ``RowSparse``, or what behaves like an array.

With ``create_graph`` the values are Tensors; this module does not know, it only asks them to behave
like arrays. No threads here: each function works on values that its caller owns.
"""

from __future__ import annotations

from sys import getrefcount
from typing import Any

import numpy as np

from .sparse import RowSparse, add_into

# glibc gives freed memory back to the system once more than twice the largest block ever freed lies
# idle, and in a thread's arena a training step then faults its buffers in again, every step: 890
# faults at 784-512-512-10, 200 steps a second instead of 268. Freeing one block of 30 MB, never
# touched, raises that mark for the process; other allocators do not notice.
np.empty(30 << 20, np.uint8)

Value = Any  # ndarray, NumPy scalar, RowSparse or Tensor
Shape = tuple[int, ...]


def sum_to(g: Value, shape: Shape) -> Value:
    """Undo broadcasting: sum ``g`` over the axes along which ``shape`` was stretched.

    >>> sum_to(np.ones((4, 3)), (3,))
    array([4., 4., 4.])
    >>> sum_to(np.ones((4, 3)), (4, 1)).shape
    (4, 1)
    """
    added = g.ndim - len(shape)
    if added < 0:
        raise ValueError(f"cannot reduce a gradient of shape {g.shape} to shape {shape}")
    if added:
        g = np.add.reduce(g, axis=tuple(range(added)))
    stretched = tuple(
        axis for axis, (have, want) in enumerate(zip(g.shape, shape, strict=True)) if have != want
    )
    if any(shape[axis] != 1 for axis in stretched):
        raise ValueError(f"cannot reduce a gradient of shape {g.shape} to shape {shape}")
    return np.add.reduce(g, axis=stretched, keepdims=True) if stretched else g


def fit(g: Value, shape: Shape, dtype: np.dtype[Any]) -> Value:
    """``g`` with the shape and dtype of the value it is the gradient of."""
    if g.shape != shape:
        g = sum_to(dense(g), shape)
    if g.dtype is not dtype and g.dtype != dtype:
        if g.dtype.kind == "c" and dtype.kind != "c":
            g = g.real
        g = g.astype(dtype)
    return g


def add(total: Value, g: Value, owned: bool) -> Value:
    """``total + g``; in place where ``owned`` says that nobody else holds ``total``."""
    if owned and type(total) is np.ndarray and type(g) is np.ndarray:
        return np.add(total, g, out=total)
    if type(total) is RowSparse or type(g) is RowSparse:
        return _add_sparse(total, g, owned)
    return total + g


def _add_sparse(total: Value, g: Value, owned: bool) -> Value:
    if type(total) is type(g):
        return total + g
    if owned and type(total) is np.ndarray:
        add_into(total, g)
        return total
    return dense(total) + dense(g)


def dense(g: Value) -> Value:
    """``g``, as an ndarray if it is a ``RowSparse``."""
    return g.to_dense() if type(g) is RowSparse else g


def has_nan(g: Value) -> bool:
    """Whether any element of ``g`` is NaN."""
    elements = g.rows if type(g) is RowSparse else g
    return bool((elements != elements).any())


def _references(cells: Any, key: int) -> int:
    value = cells[key]
    return getrefcount(value)


# What `private` counts for a value that nothing but its cell holds. Measured by code of the same
# form, because it differs between versions of Python.
_ALONE = _references([np.empty(1)], 0)


def private(cells: Any, key: int) -> Value:
    """``cells[key]`` as an array that nobody else holds: itself if that is so, else a copy.

    A rule may hand the same array to several inputs, or a view of a saved value, or the caller's
    own seed. Such an array must not become a ``.grad``, which is later written in place. Whether an
    array is shared is read off its reference count: exact, because only a holder can add a holder.
    """
    value = cells[key]
    if type(value) is np.ndarray:
        if getrefcount(value) == _ALONE and value.base is None and value.flags.c_contiguous:
            return value
    elif type(value) is RowSparse:
        return value.copy()
    elif not isinstance(value, np.generic):
        return value
    return np.array(value, order="C")
