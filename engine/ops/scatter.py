"""Adding at an index where places occur more than once: the gradient of everything that gathers.

``out[index] += g`` loses all but one of several additions to a place, and ``np.add.at`` is 3 to 20
times slower than what is done here: vectors for short rows, ``np.bincount`` where there are many
for a place, sorting for long rows. See ``docs/decisions/0011``.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..sparse import sum_by_id
from ..values import Shape, Value
from .op import arange

_FEW = 1024  # elements up to which np.add.at is as fast as anything
_LONG = 32  # elements of a row from which sorting the rows beats counting their elements
_OFTEN = 4  # indices for each place from which counting, which adds in float64, is worth its time

_BASIC = slice | int | np.integer


def meets_once(index: Any) -> bool:
    """Whether no element is met twice: so it is for basic indices, and for one mask among them."""
    if isinstance(index, np.ndarray):
        return bool(index.dtype == bool)
    parts = index if isinstance(index, tuple) else (index,)
    others = [p for p in parts if not (p is None or p is Ellipsis or isinstance(p, _BASIC))]
    return not others or (len(others) == 1 and np.asarray(others[0]).dtype.kind == "b")


def add_at(g: Value, index: Any, shape: Shape) -> Value:
    """Zeros of ``shape`` with ``g`` added at ``index``; an index that occurs twice gets both."""
    if meets_once(index):
        out = np.zeros(shape, g.dtype)
        out[index] = g
        return out
    if g.size <= _FEW:
        out = np.zeros(shape, g.dtype)
        np.add.at(out, index, g)
        return out
    parts = _whole(index if isinstance(index, tuple) else (index,), len(shape))
    if all(map(_is_integers, parts)):
        flat = (math.prod(shape[: len(parts)]), *shape[len(parts) :])
        found = _add_along(g, _rows(parts, shape), 0, flat)
        return found if flat == shape else found.reshape(shape)  # not a view, if it need not be
    arrays = [i for i, p in enumerate(parts) if not isinstance(p, slice) or p != slice(None)]
    if len(arrays) == 1 and _is_integers(parts[arrays[0]]):
        return _add_along(g, np.asarray(parts[arrays[0]]), arrays[0], shape)
    size = math.prod(shape)
    met = np.arange(size).reshape(shape)[index]
    return _add_along(g, met, 0, (size,)).reshape(shape)


def _whole(parts: tuple[Any, ...], ndim: int) -> tuple[Any, ...]:
    """An index without its Ellipsis, if every other part of it stands for one axis."""
    at = [i for i, part in enumerate(parts) if part is Ellipsis]
    if not at or not all(isinstance(p, slice) or _is_integers(p) for p in parts if p is not ...):
        return parts
    return (*parts[: at[0]], *[slice(None)] * (ndim + 1 - len(parts)), *parts[at[0] + 1 :])


def _is_integers(part: Any) -> bool:
    if isinstance(part, int | np.integer | np.ndarray | list):
        return np.asarray(part).dtype.kind in "iu"
    return False


def _rows(parts: tuple[Any, ...], shape: Shape) -> Value:
    """Indices of the first axes as indices of those axes flattened."""
    row = _positive(np.asarray(parts[0]), shape[0])
    for part, size in zip(parts[1:], shape[1:], strict=False):
        row = row * size + _positive(np.asarray(part), size)
    return row


def _positive(ids: Value, size: int) -> Value:
    ids = ids.astype(np.intp, copy=False)
    return np.where(ids < 0, ids + size, ids) if ids.size and ids.min() < 0 else ids


def _add_along(g: Value, ids: Value, axis: int, shape: Shape) -> Value:
    """Add slices of ``g`` at ``ids`` along ``axis``."""
    size = shape[axis]
    ids = _positive(ids.reshape(-1), size)
    g = g.reshape(*shape[:axis], len(ids), *shape[axis + 1 :])
    width = g.size // len(ids)
    out, real = np.zeros(shape, g.dtype), g.dtype.char in "efd"
    if width == 1 or (width < _LONG and not axis and real):
        if real and len(ids) > _OFTEN * size:
            return _count(g, ids, size, width).reshape(shape)
        np.add.at(out.reshape(-1), _elements(ids, width), g.reshape(-1))  # of vectors, it is fast
        return out
    ids, sums = sum_by_id(ids, g, size, axis)
    out[(slice(None),) * axis + (ids,)] = sums
    return out


def _count(g: Value, ids: Value, size: int, width: int) -> Value:
    """Rows of ``width`` elements added in float64, each element counted into its place."""
    sums = np.bincount(_elements(ids, width), g.reshape(-1), size * width)
    return sums.astype(g.dtype, copy=False)


def _elements(ids: Value, width: int) -> Value:
    """Indices of rows as indices of all their elements."""
    return ids if width == 1 else (ids[:, None] * width + arange(width)).reshape(-1)
