"""Along axes: the shape of a reduction, how its gradient spreads, the fastest way through memory.

NumPy reduces a short last axis slowly, one inner loop a row. BLAS sums rows and columns 2 to 10
times faster; for extrema it pays to bring the axis to the front first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from ..values import Shape, Value
from .op import Forward, ones

Axis = int | tuple[int, ...] | None

_add: Any = np.add.reduce  # its types tell keepdims=True from False, which is not known here

_ARRAYS = np.ndarray, np.generic
_SMALL = 256  # elements up to which a plain reduction along an axis is the fastest
_WHOLE = 1 << 13  # the same where all axes are reduced
_BLOCK = 1024  # elements that BLAS sums in one go: the blocks' sums are then summed pairwise
_LONG = 1 << 14  # elements of a row from which that is worth a loop over the rows
_SHORT = 32  # elements of a row up to which it is reduced the other way round


def axes_of(axis: Axis, ndim: int) -> tuple[int, ...]:
    """``axis`` as a tuple of non-negative ints."""
    if axis is None or not ndim:  # NumPy lets a number be reduced along axis 0 and -1
        return tuple(range(ndim))
    if type(axis) is int and -ndim <= axis < ndim:
        return (axis % ndim,)
    return normalize_axis_tuple(axis, ndim)


def one_axis(axis: int, ndim: int) -> int:
    """One ``axis`` as a non-negative int. Raises ``ValueError`` where there is none such."""
    return normalize_axis_index(axis, ndim)


def count(shape: Shape, axis: Axis) -> int:
    """How many elements are reduced to one."""
    if axis is None:
        return math.prod(shape)
    return math.prod(shape[i] for i in axes_of(axis, len(shape)))


def keep(value: Value, shape: Shape, axis: Axis, keepdims: bool) -> Value:
    """``value``, a reduction, with the reduced axes back in place at size 1."""
    if keepdims:
        return value
    return value.reshape(kept_shape(shape, axis))


def kept_shape(shape: Shape, axis: Axis) -> Shape:
    """The shape of a reduction that keeps its axes."""
    reduced = axes_of(axis, len(shape))
    return tuple(1 if i in reduced else n for i, n in enumerate(shape))


def spread(g: Value, shape: Shape, axis: Axis, keepdims: bool) -> Value:
    """The gradient of a sum: the same for everything that was summed."""
    return np.broadcast_to(keep(g, shape, axis, keepdims), shape)


def reduction(function: Callable[..., Value]) -> Forward:
    """``function`` as a forward with our names and defaults."""

    def forward(x: Value, axis: Axis = None, keepdims: bool = False) -> Value:
        return function(x, axis=axis, keepdims=keepdims)

    return forward


def last(x: Value, axis: Axis) -> Value:
    """``x`` with the axes to be reduced as one, the last."""
    axes = axes_of(axis, x.ndim)
    others = [i for i in range(x.ndim) if i not in axes]
    shape = [*[x.shape[i] for i in others], count(x.shape, axis)]
    return np.transpose(x, others + list(axes)).reshape(shape)


def part(x: Value, axis: int, *bounds: int | None) -> Value:
    """``x[start:stop:step]`` along ``axis``, given as ``slice`` takes them."""
    return x[(slice(None),) * (axis % x.ndim) + (slice(*bounds),)]


def places(indices: Value, axis: int) -> tuple[Value, ...]:
    """``indices`` along ``axis`` as an index of the whole array."""
    index = list(np.indices(indices.shape, sparse=True))
    index[axis] = indices
    return tuple(index)


# -- sums ------------------------------------------------------------------------------------------


def total(x: Value, axis: Axis = None, keepdims: bool = False) -> Value:
    """``np.add.reduce``, with BLAS where that is faster; of a Tensor, recorded."""
    small = _WHOLE if axis is None or x.ndim == 1 else _SMALL
    if type(x) is np.ndarray and x.size > small and x.dtype.char in "fd" and x.flags.c_contiguous:
        if x.ndim == 2 and not keepdims:  # the most common, without ado
            if axis == 0:
                return ones(x.shape[0], x.dtype).dot(x)
            if axis in (1, -1) and x.shape[1] <= _LONG:
                return x.dot(ones(x.shape[1], x.dtype))
        sides = _sides(x.shape, axes_of(axis, x.ndim))
        if sides is not None:
            return _shaped(_block_sums(x, *sides), x.shape, axis, keepdims)
    return _add(x, axis=axis, keepdims=keepdims)


def scaled(own: Value, factor: Value) -> Value:
    """``own * factor``, in place where ``own``, which nobody else holds, has room for it."""
    large = type(own) is np.ndarray and own.size > _SMALL
    if large and isinstance(factor, _ARRAYS) and own.dtype == factor.dtype:
        own *= factor
        return own
    return own * factor


def into(own: Value, function: np.ufunc, *others: Value) -> Value:
    """``function(own, *others)``, in place where ``own``, which nobody else holds, has room.

    Not where it is small: to make an array costs less than to say where it is.
    """
    if type(own) is np.ndarray and own.size > _SMALL and own.dtype.kind == "f":
        return function(own, *others, out=own)
    return function(own, *others)


def _sides(shape: Shape, axes: Sequence[int]) -> tuple[int, int, int] | None:
    """The elements before, along and behind ``axes``; None if these are not neighbours."""
    if not axes or max(axes) - min(axes) + 1 != len(axes):
        return None
    start, stop = min(axes), max(axes) + 1
    return math.prod(shape[:start]), math.prod(shape[start:stop]), math.prod(shape[stop:])


def _shaped(value: Value, shape: Shape, axis: Axis, keepdims: bool) -> Value:
    """A flat reduction in its shape."""
    if keepdims:
        return value.reshape(kept_shape(shape, axis))
    reduced = axes_of(axis, len(shape))
    return value.reshape([n for i, n in enumerate(shape) if i not in reduced])


def _block_sums(x: Value, before: int, along: int, behind: int) -> Value:
    if behind > 1:
        vector = ones(along, x.dtype)
        if before == 1:
            return vector.dot(x.reshape(along, behind))
        return np.matmul(vector, x.reshape(before, along, behind))
    rows = x.reshape(before, along)
    if along > _LONG or before == 1:
        return np.array([_sum_row(row) for row in rows])
    return rows.dot(ones(along, x.dtype))


def _sum_row(row: Value) -> Value:
    """The sum of a long vector, as exact as pairwise summation and five times faster."""
    even = len(row) - len(row) % _BLOCK
    if not even:
        return np.add.reduce(row)
    sums = row[:even].reshape(-1, _BLOCK).dot(ones(_BLOCK, row.dtype))
    return np.add.reduce(sums) + np.add.reduce(row[even:])


def square_sum(x: Value) -> Value:
    """The sum of the squares of floats that lie in C order, in one pass, by blocks as above."""
    flat = x.reshape(-1)
    even = len(flat) - len(flat) % _BLOCK
    rows, rest = flat[:even].reshape(-1, _BLOCK), flat[even:]
    return np.add.reduce(np.vecdot(rows, rows)) + rest.dot(rest)


# -- extrema ---------------------------------------------------------------------------------------


def peak(ufunc: np.ufunc, x: Value, axis: Axis = None, keepdims: bool = False) -> Value:
    """``ufunc.reduce``, where ``ufunc`` is a maximum or minimum: any order gives the same."""
    if x.size > _SMALL and x.flags.c_contiguous:
        sides = _sides(x.shape, axes_of(axis, x.ndim))
        if sides is not None and min(sides[0], sides[2]) == 1:
            before, along, behind = sides
            if behind == 1 and 1 < along <= _SHORT < before:
                columns = x.reshape(before, along).T.copy()
                return _shaped(ufunc.reduce(columns, axis=0), x.shape, axis, keepdims)
            if before == 1 and 1 < behind <= _SHORT < along:
                return _shaped(_halved(ufunc, x.reshape(along, behind)), x.shape, axis, keepdims)
    return ufunc.reduce(x, axis=axis, keepdims=keepdims)


def _halved(ufunc: np.ufunc, rows: Value) -> Value:
    """Reduce many short rows, one half with the other, in long inner loops."""
    while len(rows) > 1:
        half = len(rows) // 2
        made = ufunc(rows[:half], rows[half : 2 * half])
        if len(rows) % 2:
            ufunc(made[0], rows[-1], out=made[0])
        rows = made
    return rows[0]
