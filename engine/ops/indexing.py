"""Reading by index, in NumPy's order of index axes. Indices and masks are constants.

Of an index that occurs twice the gradient is added twice: see ``scatter``. With ``sparse=True``
the gradient of ``take`` along axis 0, and of an embedding, is a ``RowSparse``; a backward that is
itself recorded, and complex numbers, get it dense.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from ..sparse import RowSparse
from ..values import Shape, Value
from .op import Op, arange, op
from .scatter import add_at

_MANY = 4096  # indices from which it pays to make indices of the flattened array of them


def _getitem(x: Value, index: Any) -> Value:
    out = x[index]
    if type(out) is np.ndarray:
        return out
    # One element: with an Ellipsis NumPy gives a view of it and not a scalar.
    return x[(*index, ...) if isinstance(index, tuple) else (index, ...)]


getitem = op(
    "getitem",
    _getitem,
    "x",
    view=True,
    x=lambda g, x_shape, index: put(g, index, x_shape),
)
put: Op = op("put", add_at, "g", g=lambda g, index: getitem(g, index))

# -- take ------------------------------------------------------------------------------------------


def _take(x: Value, indices: Value, axis: int | None = None, sparse: bool = False) -> Value:
    if sparse and axis != 0:
        raise ValueError(f"sparse=True is for rows, axis=0; got axis={axis}")
    return np.take(x, indices, axis=axis)


def _take_pull(g: Value, x_shape: Shape, indices: Value, axis: int | None, sparse: bool) -> Value:
    if axis is None:
        return put(g, indices, (math.prod(x_shape),)).reshape(x_shape)
    if sparse and _may_be_sparse(g):
        return _rows(g, np.asarray(indices) % x_shape[0], x_shape)
    return put(g, (slice(None),) * (axis % len(x_shape)) + (indices,), x_shape)


def _may_be_sparse(g: Value) -> bool:
    return isinstance(g, np.ndarray) and g.dtype.kind == "f"


def _rows(g: Value, ids: Value, shape: Shape) -> RowSparse:
    return RowSparse(ids.reshape(-1), g.reshape(-1, *shape[1:]), shape)


take = op("take", _take, "x indices", numpy=np.take, x=_take_pull)

# -- embedding -------------------------------------------------------------------------------------


def _embedding(
    ids: Value, weight: Value, padding_idx: int | None = None, sparse: bool = False
) -> Value:
    if ids.dtype.kind not in "iu":
        raise TypeError(f"ids must be integers, got {ids.dtype}")
    if ids.size and ids.min() < 0:
        raise IndexError(f"ids must not be negative, got {ids.min()}")
    return weight.take(ids, 0)


def _embedding_pull(
    g: Value, ids: Value, weight_shape: Shape, padding_idx: int | None, sparse: bool
) -> Value:
    if padding_idx is not None:
        kept = ids != padding_idx % weight_shape[0]
        g, ids = g[kept], ids[kept]
    if sparse and _may_be_sparse(g):
        return _rows(g, ids, weight_shape)
    return put(g, ids, weight_shape)


op("nn.embedding", _embedding, "ids weight", weight=_embedding_pull)

# -- along an axis ---------------------------------------------------------------------------------


def places(indices: Value, axis: int, shape: Shape) -> tuple[Value, ...]:
    """``indices`` along ``axis`` as an index of the whole array, over ``shape`` along the others.

    Raises ``ValueError`` where ``indices`` has not as many axes as ``shape``.
    """
    if indices.ndim != len(shape):
        raise ValueError(f"indices {list(indices.shape)} and {list(shape)} differ in their axes")
    index = [
        arange(n).reshape(n, *(1,) * rest)
        for n, rest in zip(shape, reversed(range(len(shape))), strict=True)
    ]
    index[axis] = indices
    return tuple(index)


def flat_places(indices: Value, axis: int, shape: Shape) -> Value | None:
    """``indices`` along ``axis`` as indices of the flattened array, for which NumPy is three times
    as fast; None where they are few, do not go over all of ``shape``, or are not in its bounds."""
    if indices.size < _MANY or indices.dtype != np.int64 or indices.ndim != len(shape):
        return None
    axis = normalize_axis_index(axis, len(shape))
    if indices.shape != (*shape[:axis], indices.shape[axis], *shape[axis + 1 :]):
        return None
    if np.maximum.reduce(indices.view(np.uint64), axis=None) >= shape[axis]:  # or negative
        return None
    before, behind = math.prod(shape[:axis]), math.prod(shape[axis + 1 :])
    laid = indices.reshape(before, -1, behind)
    step = shape[axis] * behind
    found = (laid if behind == 1 else laid * behind) + (arange(before) * step).reshape(-1, 1, 1)
    if behind > 1:
        found += arange(behind)
    return found.reshape(indices.shape)


def _take_along(x: Value, indices: Value, axis: int | None = -1) -> Value:
    if axis is None:
        return x.reshape(-1)[indices]
    return x[places(indices, axis, x.shape)]


def _take_along_pull(g: Value, x_shape: Shape, indices: Value, axis: int | None) -> Value:
    if axis is None:
        return put(g, indices, (math.prod(x_shape),)).reshape(x_shape)
    return put(g, places(indices, axis, x_shape), x_shape)


take_along_axis = op(
    "take_along_dim",
    _take_along,
    "x indices",
    numpy=np.take_along_axis,
    x=_take_along_pull,
)

# -- without a gradient ----------------------------------------------------------------------------


def _digitize(x: Value, bins: Value, right: bool = False) -> Value:
    return np.digitize(x, bins, right)


argwhere = op("argwhere", np.argwhere, "x", numpy=np.argwhere)
op("flatnonzero", np.flatnonzero, "x", numpy=np.flatnonzero, torch=None)
op("digitize", _digitize, "x bins", numpy=np.digitize, torch=None)
