"""Adding at an index where places occur more than once: the gradient of everything that gathers.

``out[index] += g`` loses all but one of several additions to a place, and ``np.add.at`` is 3 to 20
times slower for rows than what is done here: ``np.bincount`` for short ones, sorting for long ones.
It also adds in the dtype at hand, which float16 and float32 are too coarse for: of these more than
some 16 terms are never added so. See ``docs/decisions/0011``.
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
_FULL = 16  # places for each index up to which it pays to visit them all, to make float64 narrower

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
    if not g.size or meets_once(index):
        out = np.zeros(shape, g.dtype)
        out[index] = g
        return out
    coarse = g.dtype.char in "ef"
    if g.size <= _FEW and (not coarse or math.prod(shape) <= max(_FULL * g.size, _FEW)):
        exact = np.dtype("f8") if coarse else g.dtype
        out = np.zeros(shape, exact)
        np.add.at(out, index, g.astype(exact, copy=False))
        return out.astype(g.dtype, copy=False)
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
    kind, short = g.dtype.char, width == 1 or (width < _LONG and not axis)
    if short and (kind == "d" or (kind in "ef" and size <= _FULL * len(ids))):
        return _count(g, ids, size, width).reshape(shape)
    out = np.zeros(shape, g.dtype)
    if width == 1 and kind not in "ef":
        np.add.at(out.reshape(-1), ids, g.reshape(-1))  # of vectors, this is fast
        return out
    ids, sums = sum_by_id(ids, g.astype("f4") if kind == "e" else g, size, axis)
    out[(slice(None),) * axis + (ids,)] = sums
    return out


def _count(g: Value, ids: Value, size: int, width: int) -> Value:
    """Rows of ``width`` elements added in float64, each element counted into its place."""
    if width > 1:
        ids = (ids[:, None] * width + arange(width)).reshape(-1)
    sums = np.bincount(ids, g.reshape(-1), size * width)
    return sums.astype(g.dtype, copy=False)
