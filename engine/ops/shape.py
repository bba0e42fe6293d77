"""Shape. Views where NumPy gives views; a rule is the same move backwards.

PyTorch copies where it flips; here that is a view too, and a write through it shows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from ..values import Shape, Value
from .op import Op, Spread, composed, op

Axis = int | tuple[int, ...] | None


def _reshape(x: Value, shape: int | Shape) -> Value:
    return x.reshape(shape)


def _flatten(x: Value, start_dim: int = 0, end_dim: int = -1) -> Value:
    if not x.ndim or (start_dim == 0 and end_dim == -1):
        return x.reshape(-1)
    start, end = range(x.ndim)[start_dim], range(x.ndim)[end_dim] + 1
    return x.reshape(*x.shape[:start], math.prod(x.shape[start:end]), *x.shape[end:])


def _unflatten(x: Value, axis: int, sizes: Shape) -> Value:
    at = normalize_axis_index(axis, x.ndim)
    return x.reshape((*x.shape[:at], *sizes, *x.shape[at + 1 :]))


def _squeeze(x: Value, axis: Axis = None) -> Value:
    return np.squeeze(x[...], axis=axis)  # a view, also where nothing is squeezed


def _unsqueeze(x: Value, axis: int | Shape) -> Value:
    if type(axis) is not int or not -x.ndim <= axis + 1 <= x.ndim + 1:
        return np.expand_dims(x, axis)
    at = axis if axis >= 0 else axis + x.ndim + 1
    return x.reshape((*x.shape[:at], 1, *x.shape[at:]))


def _restore(g: Value, x_shape: Shape) -> Value:
    return g.reshape(x_shape)


op("reshape", _reshape, "x", numpy=np.reshape, also="view", view=True, x=_restore)
op("flatten", _flatten, "x", numpy=np.ravel, view=True, x=_restore)
op("squeeze", _squeeze, "x", numpy=np.squeeze, view=True, x=_restore)
op("unsqueeze", _unsqueeze, "x", numpy=np.expand_dims, view=True, x=_restore)
composed("unflatten", _unflatten, "x")

# -- at least so many axes -------------------------------------------------------------------------


def at_least(ndim: int, x: Value) -> Value:
    """``x`` with one, two or three axes at least."""
    return x if x.ndim >= ndim else x.reshape(_raised(x.shape, ndim))


def _each_at_least(ndim: int) -> Any:
    def forward(arrays: Sequence[Value]) -> Any:
        raised = tuple(at_least(ndim, x) for x in arrays)
        return raised[0] if len(raised) == 1 else raised

    return forward


def _raised(shape: Shape, ndim: int) -> Shape:
    """Axes of size 1 are put in front, but the third of three behind."""
    if ndim == 3 and len(shape) == 2:
        return (*shape, 1)
    if ndim == 3:
        return (1, *(shape or (1,)), 1)
    return (1,) * (ndim - len(shape)) + shape


composed("atleast_1d", _each_at_least(1), "*arrays", numpy=np.atleast_1d, kind=Spread)
composed("atleast_2d", _each_at_least(2), "*arrays", numpy=np.atleast_2d, kind=Spread)
composed("atleast_3d", _each_at_least(3), "*arrays", numpy=np.atleast_3d, kind=Spread)

# -- order of axes ---------------------------------------------------------------------------------


def _permute(x: Value, axes: Shape | None = None) -> Value:
    return x.transpose(axes)


def _unpermute(g: Value, axes: Shape | None) -> Value:
    if axes is None:
        return permute(g)
    back = [0] * len(axes)
    for place, axis in enumerate(axes):
        back[axis] = place
    return permute(g, axes=tuple(back))


def _swapaxes(x: Value, axis1: int, axis2: int) -> Value:
    return np.swapaxes(x, axis1, axis2)


def _moveaxis(x: Value, source: int | Shape, destination: int | Shape) -> Value:
    if type(source) is type(destination) is int:
        axes = list(range(x.ndim))
        at = normalize_axis_index(destination, x.ndim, "destination")
        axes.insert(at, axes.pop(normalize_axis_index(source, x.ndim, "source")))
        return permute(x, axes=tuple(axes))
    sources = normalize_axis_tuple(source, x.ndim, "source")
    targets = normalize_axis_tuple(destination, x.ndim, "destination")
    if len(sources) != len(targets):
        raise ValueError("moveaxis: source and destination must have the same number of axes")
    axes = [axis for axis in range(x.ndim) if axis not in sources]
    for target, axis in sorted(zip(targets, sources, strict=True)):
        axes.insert(target, axis)
    return permute(x, axes=tuple(axes))


def _rollaxis(a: Value, axis: int, start: int = 0) -> Value:
    axis = normalize_axis_index(axis, a.ndim)
    start = start + a.ndim if start < 0 else start
    if not 0 <= start <= a.ndim:
        raise ValueError(f"rollaxis: start lies outside of {a.ndim} axes")
    return _moveaxis(a, axis, start - 1 if start > axis else start)


def _matrix_transpose(x: Value) -> Value:
    if x.ndim < 2:
        raise ValueError(f"a matrix has at least two axes, this array has {x.ndim}")
    return np.swapaxes(x, -1, -2)


permute: Op = op(
    "permute",
    _permute,
    "x",
    numpy=np.transpose,
    also="permute_dims",
    view=True,
    x=_unpermute,
)
op(
    "swapaxes",
    _swapaxes,
    "x",
    numpy=np.swapaxes,
    also="transpose swapdims",
    view=True,
    x=lambda g, axis1, axis2: np.swapaxes(g, axis1, axis2),
)
composed("moveaxis", _moveaxis, "x", numpy=np.moveaxis, also="movedim")
composed("rollaxis", _rollaxis, "a", numpy=np.rollaxis, torch=None)
composed(
    "matrix_transpose",
    _matrix_transpose,
    "x",
    numpy=np.matrix_transpose,
    torch=None,
)

# -- order of elements -----------------------------------------------------------------------------


def _flip(x: Value, axis: Axis = None) -> Value:
    return np.flip(x, axis)


def _fliplr(x: Value) -> Value:
    if x.ndim < 2:
        raise ValueError(f"fliplr needs two axes, got {x.ndim}")
    return np.flip(x, 1)


def _flipud(x: Value) -> Value:
    return np.flip(x, 0)


def _rot90(x: Value, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Value:
    first, second = (normalize_axis_index(axis, x.ndim) for axis in axes)
    if first == second:
        raise ValueError(f"rot90: the axes {axes} must differ")
    if k % 4 == 0:
        return x[...]
    if k % 4 == 2:
        return np.flip(x, (first, second))
    if k % 4 == 1:
        return np.swapaxes(np.flip(x, second), first, second)
    return np.flip(np.swapaxes(x, first, second), second)


def _roll(x: Value, shift: int | Shape, axis: Axis = None) -> Value:
    return np.roll(x, shift, axis)


def _unroll(g: Value, shift: int | Shape, axis: Axis) -> Value:
    back = -shift if isinstance(shift, int | np.integer) else tuple(-n for n in shift)
    return np.roll(g, back, axis)


op("flip", _flip, "x", numpy=np.flip, view=True, x=lambda g, axis: np.flip(g, axis))
composed("fliplr", _fliplr, "x", numpy=np.fliplr)
composed("flipud", _flipud, "x", numpy=np.flipud)
composed("rot90", _rot90, "x", numpy=np.rot90)
op("roll", _roll, "x", numpy=np.roll, x=_unroll)

# -- broadcasting ----------------------------------------------------------------------------------


def _broadcast_to(x: Value, shape: Shape) -> Value:
    """``shape`` may hold -1, as in PyTorch, where ``x`` keeps its size."""
    added = len(shape) - x.ndim
    kept = [x.shape[i - added] if n == -1 and i >= added else n for i, n in enumerate(shape)]
    return np.broadcast_to(x, kept)


def _broadcast_arrays(arrays: Sequence[Value]) -> tuple[Value, ...]:
    shape = np.broadcast_shapes(*[x.shape for x in arrays])
    return tuple(np.broadcast_to(x, shape) for x in arrays)


def _meshgrid(
    arrays: Sequence[Value], indexing: str = "xy", sparse: bool = False, copy: bool = True
) -> tuple[Value, ...]:
    """NumPy's order of axes, "xy", unless asked for PyTorch's, "ij"."""
    if indexing not in ("xy", "ij"):
        raise ValueError(f"meshgrid: indexing must be 'xy' or 'ij', got {indexing!r}")
    axes = list(range(len(arrays)))
    if indexing == "xy" and len(axes) > 1:
        axes[:2] = 1, 0
    count = len(axes)
    thin = [
        x.reshape(tuple(-1 if i == axis else 1 for i in range(count)))
        for x, axis in zip(arrays, axes, strict=True)
    ]
    laid = thin if sparse else _broadcast_arrays(thin)
    return tuple(np.copy(x) for x in laid) if copy else tuple(laid)


# Summing back to the shape of the input, and casting to its dtype, is what the loop does anyway.
op(
    "broadcast_to",
    _broadcast_to,
    "x",
    numpy=np.broadcast_to,
    also="expand",
    view=True,
    x=lambda g: g,
)
composed(
    "broadcast_arrays",
    _broadcast_arrays,
    "*arrays",
    numpy=np.broadcast_arrays,
    torch="broadcast_tensors",
    kind=Spread,
)
composed("meshgrid", _meshgrid, "*arrays", numpy=np.meshgrid, kind=Spread)

# -- copies ----------------------------------------------------------------------------------------


def _astype(x: Value, dtype: Any) -> Value:
    return x.astype(dtype)


def _clone(x: Value) -> Value:
    return x.copy()


op("astype", _astype, "x", torch="to", x=lambda g: g)
op("clone", _clone, "x", numpy=np.copy, x=lambda g: g)
