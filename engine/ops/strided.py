"""Windows along axes as views, and arrays laid out anew over the same elements."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple
from numpy.lib.stride_tricks import sliding_window_view

from ..values import Shape, Value
from .indexing import getitem, take
from .op import Op, composed, op

Axes = int | tuple[int, ...] | None


def _windows(x: Value, window_shape: int | Shape, axis: Axes = None) -> Value:
    """A read-only view: the places of the windows, and behind them what each sees."""
    return sliding_window_view(x, window_shape, axis=axis)


def _window_sum(g: Value, shape: Shape, window_shape: int | Shape, axis: Axes) -> Value:
    """Zeros of ``shape`` with every window added where it lies: one addition an offset."""
    sizes = (window_shape,) if isinstance(window_shape, int) else tuple(window_shape)
    axes = normalize_axis_tuple(
        range(len(shape)) if axis is None else axis, len(shape), allow_duplicate=True
    )
    out = np.zeros(shape, g.dtype)
    places = g.shape[: len(shape)]
    for offset in product(*map(range, sizes)):
        starts = [0] * len(shape)
        for at, step in zip(axes, offset, strict=True):
            starts[at] += step
        seen = tuple(slice(start, start + n) for start, n in zip(starts, places, strict=True))
        out[seen] += g[(..., *offset)]
    return out


windows = op(
    "sliding_window_view",
    _windows,
    "x",
    numpy=sliding_window_view,
    torch=None,
    view=True,
    x=lambda g, x_shape, window_shape, axis: window_sum(g, x_shape, window_shape, axis),
)
window_sum: Op = op(
    "window_sum",
    _window_sum,
    "g",
    torch=None,
    g=lambda g, window_shape, axis: windows(g, window_shape, axis),
)


def _unfold(x: Value, axis: int, size: int, step: int = 1) -> Value:
    """PyTorch's method: every ``step``-th window of ``size`` along ``axis``."""
    at = normalize_axis_index(axis, x.ndim)
    return getitem(windows(x, size, at), index=(slice(None),) * at + (slice(None, None, step),))


def _as_strided(x: Value, size: Shape, stride: Sequence[int], storage_offset: int = 0) -> Value:
    """A copy: element ``i`` is number ``storage_offset + i @ stride`` of ``x`` in C order."""
    index = np.asarray(storage_offset)
    for n, step in zip(size, stride, strict=True):
        index = index[..., None] + np.arange(n) * step
    if index.size and (index.min() < 0 or index.max() >= math.prod(x.shape)):
        raise IndexError(f"as_strided: {index.min()} to {index.max()} of {math.prod(x.shape)}")
    return take(x.reshape(-1), index)


composed("unfold", _unfold, "x")
composed("as_strided", _as_strided, "x")
