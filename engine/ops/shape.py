"""Shape. Views where NumPy gives views; a rule is the same move backwards."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..values import Shape, Value
from .op import composed, op


def _reshape(x: Value, shape: int | Shape) -> Value:
    return x.reshape(shape)


def _flatten(x: Value, start_dim: int = 0, end_dim: int = -1) -> Value:
    if not x.ndim:
        return x.reshape(1)
    start, end = range(x.ndim)[start_dim], range(x.ndim)[end_dim] + 1
    return x.reshape(*x.shape[:start], math.prod(x.shape[start:end]), *x.shape[end:])


def _permute(x: Value, axes: Shape | None = None) -> Value:
    return x.transpose(axes)


def _unpermute(g: Value, axes: Shape | None) -> Value:
    return np.transpose(g, None if axes is None else tuple(np.argsort(np.mod(axes, len(axes)))))


def _swapaxes(x: Value, axis1: int, axis2: int) -> Value:
    return np.swapaxes(x, axis1, axis2)


def _squeeze(x: Value, axis: int | Shape | None = None) -> Value:
    return np.squeeze(x[...], axis=axis)  # a view, also where nothing is squeezed


def _unsqueeze(x: Value, axis: int | Shape) -> Value:
    return np.expand_dims(x, axis)


def _broadcast_to(x: Value, shape: Shape) -> Value:
    """``shape`` may hold -1, as in PyTorch, where ``x`` keeps its size."""
    added = len(shape) - x.ndim
    kept = [x.shape[i - added] if n == -1 and i >= added else n for i, n in enumerate(shape)]
    return np.broadcast_to(x, kept)


def _astype(x: Value, dtype: Any) -> Value:
    return x.astype(dtype)


def _clone(x: Value) -> Value:
    return x.copy()


def _restore(g: Value, x_shape: Shape) -> Value:
    return g.reshape(x_shape)


op("reshape", _reshape, "x", numpy=np.reshape, also="view", view=True, x=_restore)
op("flatten", _flatten, "x", numpy=np.ravel, view=True, x=_restore)
op("squeeze", _squeeze, "x", numpy=np.squeeze, view=True, x=_restore)
op("unsqueeze", _unsqueeze, "x", numpy=np.expand_dims, view=True, x=_restore)
op("permute", _permute, "x", numpy=np.transpose, view=True, x=_unpermute)
op(
    "swapaxes",
    _swapaxes,
    "x",
    numpy=np.swapaxes,
    also="transpose",
    view=True,
    x=lambda g, axis1, axis2: np.swapaxes(g, axis1, axis2),
)
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
op("astype", _astype, "x", torch="to", x=lambda g: g)
op("clone", _clone, "x", numpy=np.copy, x=lambda g: g)

# -- several into one, one into several ------------------------------------------------------------


def _concatenate(arrays: Sequence[Value], axis: int | None = 0) -> Value:
    return np.concatenate(arrays, axis=axis)


def _concatenate_pull(g: Value, shapes: Sequence[Shape], axis: int | None) -> list[Value]:
    """Each array gets its part of ``g``, a view."""
    if axis is None:
        return [part.reshape(s) for part, s in _parts(g, [math.prod(s) for s in shapes], 0, shapes)]
    return [part for part, _ in _parts(g, [shape[axis] for shape in shapes], axis, shapes)]


def _parts(
    g: Value, sizes: Sequence[int], axis: int, shapes: Sequence[Shape]
) -> Iterator[tuple[Value, Shape]]:
    before, start = (slice(None),) * (axis % g.ndim), 0
    for size, shape in zip(sizes, shapes, strict=True):
        yield g[(*before, slice(start, start + size))], shape
        start += size


def _stack(arrays: Sequence[Value], axis: int = 0) -> Value:
    return np.stack(arrays, axis=axis)


def _stack_pull(g: Value, shapes: Sequence[Shape], axis: int) -> list[Value]:
    before = (slice(None),) * (axis % g.ndim)
    return [g[(*before, index, ...)] for index in range(len(shapes))]


op(
    "cat",
    _concatenate,
    "*arrays",
    numpy=np.concatenate,
    also="concat",
    together=_concatenate_pull,
)
op("stack", _stack, "*arrays", numpy=np.stack, together=_stack_pull)


def _hstack(arrays: Sequence[Value]) -> Value:
    flat = [x.reshape(1) if x.ndim == 0 else x for x in arrays]
    return np.concatenate(flat, axis=0 if flat[0].ndim == 1 else 1)


composed("hstack", _hstack, "*arrays", numpy=np.hstack)
