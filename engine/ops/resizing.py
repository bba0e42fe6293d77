"""Arrays made longer and shorter: repeated, padded, with elements put in and left out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from ..errors import NotSupportedError
from ..values import Shape, Value
from .indexing import argwhere, getitem, put, take
from .op import composed, op

Whole = int | None

# -- repeated --------------------------------------------------------------------------------------


def _repeat(x: Value, repeats: Any, axis: Whole = None) -> Value:
    return np.repeat(x, repeats, axis)


def _repeat_pull(g: Value, x_shape: Shape, repeats: Any, axis: Whole) -> Value:
    if axis is None:
        return _repeat_pull(g, (math.prod(x_shape),), repeats, 0).reshape(x_shape)
    at = normalize_axis_index(axis, len(x_shape))
    if np.ndim(repeats) == 0:
        runs = (*x_shape[: at + 1], int(repeats), *x_shape[at + 1 :])
        return np.sum(g.reshape(runs), axis=at + 1)
    index = np.repeat(np.arange(x_shape[at]), repeats)
    return put(g, index=(slice(None),) * at + (index,), shape=x_shape)


def _tile(x: Value, reps: int | Shape) -> Value:
    return np.tile(x, reps)


def _tile_pull(g: Value, x_shape: Shape, reps: int | Shape) -> Value:
    """The sum of all tiles: an axis over the tiles stands before each axis of a tile."""
    times = (reps,) if isinstance(reps, int | np.integer) else tuple(reps)
    ndim = max(len(times), len(x_shape))
    times = (1,) * (ndim - len(times)) + times
    sizes = (1,) * (ndim - len(x_shape)) + tuple(x_shape)
    pairs = zip(times, sizes, strict=True)
    laid = g.reshape(tuple(n for pair in pairs for n in pair))
    return np.sum(laid, axis=tuple(range(0, 2 * ndim, 2))).reshape(x_shape)


op("repeat_interleave", _repeat, "x", numpy=np.repeat, x=_repeat_pull)
op("tile", _tile, "x", numpy=np.tile, x=_tile_pull)

# -- padded ----------------------------------------------------------------------------------------

_MIRRORS = ("edge", "reflect", "symmetric", "wrap")


def _pad(x: Value, pad_width: Any, mode: str = "constant", constant_values: Any = 0) -> Value:
    """With a constant, or with elements that the array has already."""
    widths = _widths(pad_width, x.ndim)
    if mode == "constant":
        return _framed(x, pad_width=widths, constant_values=constant_values)
    if mode not in _MIRRORS:
        raise NotSupportedError(
            f"pad: mode {mode!r} has no gradient here; take one of {('constant', *_MIRRORS)}"
        )
    for axis, width in enumerate(widths):
        if any(width):
            index = np.pad(np.arange(x.shape[axis]), width, mode=mode)  # type: ignore[call-overload]
            x = take(x, index, axis=axis)
    return x if any(map(any, widths)) else np.copy(x)


def _widths(pad_width: Any, ndim: int) -> tuple[tuple[int, int], ...]:
    """(before, after) for each axis, of the forms that NumPy allows."""
    if isinstance(pad_width, dict):
        given = {normalize_axis_index(axis, ndim): width for axis, width in pad_width.items()}
        pad_width = [np.broadcast_to(given.get(axis, 0), 2) for axis in range(ndim)]
    pairs: Any = np.asarray(pad_width)
    if pairs.shape != (ndim, 2):
        pairs = np.broadcast_to(pairs, (ndim, 2))
    if pairs.dtype.kind not in "iu" or (pairs < 0).any():
        raise ValueError(f"pad: widths must be integers and not negative, got {pad_width}")
    return tuple(map(tuple, pairs.tolist()))


def _frame(x: Value, pad_width: Any, constant_values: Any = 0) -> Value:
    number = isinstance(constant_values, int | float)
    if x.ndim and not (number and (x.dtype.kind in "fc" or not constant_values)):
        return np.pad(x, pad_width, constant_values=constant_values)  # a pair, or one that it casts
    shape = tuple(lo + n + hi for (lo, hi), n in zip(pad_width, x.shape, strict=True))
    out = np.zeros(shape, x.dtype)
    if x.ndim and constant_values:
        out.fill(constant_values)
    out[_inside(pad_width, x.shape)] = x
    return out


def _inside(pad_width: Any, shape: Shape) -> tuple[slice, ...]:
    return tuple(slice(lo, lo + n) for (lo, _), n in zip(pad_width, shape, strict=True))


_framed = op(
    "constant_pad",
    _frame,
    "x",
    torch=None,
    x=lambda g, x_shape, pad_width: g[_inside(pad_width, x_shape)],
)
composed("pad", _pad, "x", numpy=np.pad, torch=None)

# -- elements put in and left out ------------------------------------------------------------------


def _delete(arr: Value, obj: Any, axis: Whole = None) -> Value:
    if axis is None:
        arr, axis = arr.reshape(-1), 0
    kept = np.delete(np.arange(arr.shape[axis]), _plain(obj))
    return take(arr, kept, axis=axis)


def _insert(arr: Value, obj: Any, values: Value, axis: Whole = None) -> Value:
    """``values`` before the places ``obj``, by picking from both laid next to each other."""
    if axis is None:
        arr, axis = arr.reshape(-1), 0
    axis = normalize_axis_index(axis, arr.ndim)
    obj, size = _plain(obj), arr.shape[axis]
    values = values if hasattr(values, "shape") else np.asarray(values)
    values = values.reshape((1,) * (arr.ndim - values.ndim) + tuple(values.shape))
    if np.ndim(obj) == 0 and not isinstance(obj, slice):
        values = np.moveaxis(values, 0, axis)  # as NumPy has it
        count = values.shape[axis]
    else:
        count = len(np.insert(np.arange(size), obj, 0)) - size
    order = np.insert(np.arange(count, count + size), obj, np.arange(count))
    shape = (*arr.shape[:axis], count, *arr.shape[axis + 1 :])
    added = np.broadcast_to(values, shape).astype(arr.dtype)
    return take(np.concatenate([added, arr], axis=axis), order, axis=axis)


def _plain(obj: Any) -> Any:
    return obj if isinstance(obj, slice | int) else np.array(obj)


def _trim_zeros(filt: Value, trim: str = "fb", axis: int | Sequence[int] | None = None) -> Value:
    """A view without the zeros at the ends, ``"f"``: in front, ``"b"``: at the back."""
    found = np.asarray(argwhere(filt))
    axes = range(filt.ndim) if axis is None else normalize_axis_tuple(axis, filt.ndim)
    index = [slice(None)] * filt.ndim
    for at in axes:
        places = found[:, at]
        first, last = (int(places.min()), int(places.max()) + 1) if len(places) else (0, 0)
        start = first if "f" in trim.lower() else 0
        index[at] = slice(start, last if "b" in trim.lower() else None)
    return getitem(filt, index=tuple(index))


composed("delete", _delete, "arr", numpy=np.delete, torch=None)
composed("insert", _insert, "arr", numpy=np.insert, torch=None)
composed("trim_zeros", _trim_zeros, "filt", numpy=np.trim_zeros, torch=None)
