"""Diagonals and triangles of matrices, and of batches of them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from ..values import Shape, Value
from .choice import only
from .op import Op, composed, op

_KEPT = 1 << 16  # elements up to which a mask is kept for the next matrix of the same size


def _diagonal(x: Value, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Value:
    """A view; NumPy's own is read-only, this one is not if ``x`` is not."""
    out = np.diagonal(x, offset, axis1, axis2)
    if x.flags.writeable:
        out.flags.writeable = True
    return out


def _spread(g: Value, shape: Shape, offset: int, axis1: int, axis2: int) -> Value:
    """Zeros of ``shape`` with ``g`` on a diagonal."""
    out = np.zeros(shape, g.dtype)
    _diagonal(out, offset, axis1, axis2)[...] = g
    return out


diagonal = op(
    "diagonal",
    _diagonal,
    "x",
    numpy=np.diagonal,
    view=True,
    x=lambda g, x_shape, offset, axis1, axis2: spread(g, x_shape, offset, axis1, axis2),
)
spread: Op = op(
    "diagonal_spread",
    _spread,
    "g",
    g=lambda g, offset, axis1, axis2: diagonal(g, offset, axis1, axis2),
)


def _diag_embed(x: Value, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Value:
    """Matrices with the last axis of ``x`` on a diagonal."""
    ndim = x.ndim + 1
    first, second = normalize_axis_index(dim1, ndim), normalize_axis_index(dim2, ndim)
    if first == second:
        raise ValueError(f"diag_embed: dim1={dim1} and dim2={dim2} are one axis")
    size = x.shape[-1] + abs(offset)
    rest = iter(x.shape[:-1])
    shape = tuple(size if axis in (first, second) else next(rest) for axis in range(ndim))
    return spread(x, shape, offset, first, second)


def _diag(x: Value, k: int = 0) -> Value:
    """A matrix with ``x`` on a diagonal, or a diagonal of a matrix."""
    if x.ndim == 1:
        return _diag_embed(x, k)
    if x.ndim != 2:
        raise ValueError(f"diag: needs one or two axes, got {x.ndim}")
    return diagonal(x, offset=k)


def _trace(x: Value, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Value:
    return np.sum(diagonal(x, offset, axis1, axis2), axis=-1)


def _below(rows: int, columns: int, k: Any, others: bool = False) -> Value:
    """What lies on or below diagonal ``k``, or all ``others``. Shared, read-only: immutable."""
    make = _mask if rows * columns <= _KEPT else _mask.__wrapped__
    return make(rows, columns, int(k), others)


@lru_cache(maxsize=16)
def _mask(rows: int, columns: int, k: int, others: bool) -> Value:
    mask = np.tri(rows, columns, k, dtype=bool)
    mask = np.logical_not(mask) if others else mask
    mask.flags.writeable = False
    return mask


def _sizes(x: Value) -> tuple[int, int]:
    """Rows and columns; a vector stands for a matrix of equal rows."""
    return x.shape[max(-2, -x.ndim)], x.shape[-1]


def _tril(x: Value, k: int = 0) -> Value:
    return only(x, _below(*_sizes(x), k))


def _triu(x: Value, k: int = 0) -> Value:
    return only(x, _below(*_sizes(x), int(k) - 1, others=True))


composed("diag_embed", _diag_embed, "x", also="make_diagonal")
composed("diag", _diag, "x", numpy=np.diag)
composed("diagflat", lambda x, k=0: _diag_embed(x.reshape(-1), k), "x", numpy=np.diagflat)
composed("trace", _trace, "x", numpy=np.trace)
tril: Op = op("tril", _tril, "x", numpy=np.tril, x=lambda g, k: tril(g, k=k))
triu: Op = op("triu", _triu, "x", numpy=np.triu, x=lambda g, k: triu(g, k=k))
