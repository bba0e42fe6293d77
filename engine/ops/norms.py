"""Norms of vectors and matrices, and condition numbers.

The gradient of a norm at 0 is 0, as in PyTorch. Where several elements are largest they share the
gradient of ``ord=inf`` evenly.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ArgumentError
from ..values import Value
from .along import Axis, square_sum
from .decompositions import svdvals
from .linalg import conj, inv
from .op import composed, op

INF = float("inf")

# -- of vectors ------------------------------------------------------------------------------------


def _vector_norm(x: Value, ord: float = 2, axis: Axis = None, keepdims: bool = False) -> Value:
    if axis is None and ord == 2 and x.dtype.char in "fd" and x.flags.c_contiguous:
        size = np.sqrt(square_sum(x))
        return size.reshape((1,) * x.ndim) if keepdims else size
    norm: Any = np.linalg.vector_norm
    return norm(x, ord=ord, axis=axis, keepdims=keepdims)


def _kept(value: Value, x: Value, axis: Axis, keepdims: bool) -> Value:
    """``value``, a norm, with the reduced axes back in place."""
    if keepdims:
        return value
    return value.reshape((1,) * x.ndim) if axis is None else np.expand_dims(value, axis)


def _safe(x: Value) -> Value:
    """``x`` with 1 for 0, to divide by."""
    return np.where(np.equal(x, 0), 1, x)


def _vector_norm_pull(
    g: Value, ans: Value, x: Value, ord: float, axis: Axis, keepdims: bool
) -> Value:
    g, ans = _kept(g, x, axis, keepdims), _kept(ans, x, axis, keepdims)
    if ord == 2:
        return g * conj(x) / _safe(ans)
    size = np.abs(x)
    if ord == 0:
        return g * 0 * size
    direction = conj(x) / _safe(size) if x.dtype.kind == "c" else np.sign(x)
    if abs(ord) == INF:
        hit = np.equal(size, ans)
        return (
            g * direction * (hit / np.add.reduce(hit, axis=axis, keepdims=True).astype(ans.dtype))
        )
    if ord == 1:
        return g * direction
    return g * direction * (_safe(size) / _safe(ans)) ** (ord - 1)


vector_norm: Any = op(
    "linalg.vector_norm",
    _vector_norm,
    "x",
    numpy=np.linalg.vector_norm,
    x=_vector_norm_pull,
)

# -- of matrices -----------------------------------------------------------------------------------

Order = float | str | None


def _by_values(x: Value, ord: Order) -> Value:
    values = svdvals(x)
    if ord == "nuc":
        return values.sum(axis=-1)
    return np.max(values, axis=-1) if ord == 2 else np.min(values, axis=-1)


def _by_sums(x: Value, ord: float) -> Value:
    """The largest or smallest sum along a column, or along a row."""
    sums = np.sum(np.abs(x), axis=-2 if abs(ord) == 1 else -1)
    return np.max(sums, axis=-1) if ord > 0 else np.min(sums, axis=-1)


def _matrix_norm(
    x: Value, ord: Order = "fro", axis: tuple[int, int] = (-2, -1), keepdims: bool = False
) -> Value:
    if ord == "fro":
        return vector_norm(x, axis=tuple(axis), keepdims=keepdims)
    first, second = (one % x.ndim for one in axis)
    rest = [i for i in range(x.ndim) if i not in (first, second)]
    matrices = np.transpose(x, [*rest, first, second])
    if ord in (2, -2, "nuc"):
        norm = _by_values(matrices, ord)
    elif isinstance(ord, int | float) and abs(ord) in (1, INF):
        norm = _by_sums(matrices, ord)
    else:
        raise ArgumentError(
            f"linalg.matrix_norm: ord must be 'fro', 'nuc', inf, -inf, 1, -1, 2 or -2, got {ord!r}"
        )
    return np.expand_dims(norm, tuple(sorted((first, second)))) if keepdims else norm


composed("linalg.matrix_norm", _matrix_norm, "x", numpy=np.linalg.matrix_norm)


def _norm(x: Value, ord: Order = None, axis: Axis = None, keepdims: bool = False) -> Value:
    """Of a vector or a matrix, as ``axis`` says; of everything where neither is given."""
    if ord is None:
        return vector_norm(x, axis=axis, keepdims=keepdims)
    axes = tuple(range(x.ndim)) if axis is None else axis
    if isinstance(axes, tuple) and len(axes) == 2:
        return _matrix_norm(x, ord, axes, keepdims)
    if isinstance(ord, str) or (isinstance(axes, tuple) and len(axes) != 1):
        raise ArgumentError(f"linalg.norm: no norm of order {ord!r} along the axes {axes}")
    return vector_norm(x, ord, axes, keepdims)


composed("linalg.norm", _norm, "x", numpy=np.linalg.norm)


def _flat_norm(x: Value, p: Order = "fro", axis: Axis = None, keepdims: bool = False) -> Value:
    """PyTorch's older norm, which takes a matrix for a vector."""
    if p == "nuc":
        return _matrix_norm(x, p, (-2, -1) if axis is None else axis, keepdims)  # type: ignore[arg-type]
    return vector_norm(x, 2 if p in ("fro", None) else p, axis, keepdims)


composed("norm", _flat_norm, "x")


def _cond(x: Value, p: Order = None) -> Value:
    if p in (None, 2, -2):
        values = svdvals(x)
        top, bottom = values[..., 0], values[..., -1]
        return bottom / top if p == -2 else top / bottom
    return _matrix_norm(x, p) * _matrix_norm(inv(x), p)


composed("linalg.cond", _cond, "x", numpy=np.linalg.cond)
