"""Products of vectors and matrices; ``einsum`` has a file of its own.

A batch of rows that meets one matrix is one tall matrix: ``(b, t, k) @ (k, m)`` is one call of
BLAS, not ``b`` of them, forwards and backwards.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..values import Shape, Value
from .einsum import einsum
from .op import composed, ones, op

# -- matrices --------------------------------------------------------------------------------------


def _cost(g: Value, *saved: Value) -> int:
    """Two products over an inner axis, at about 20 multiplications a nanosecond."""
    return sum(math.prod(g.shape) * max(value.shape) // 20 for value in saved if value.ndim)


def _t(x: Value) -> Value:
    return np.swapaxes(x, -1, -2)


def _rows(x: Value) -> Value:
    """``x`` as a matrix: a batch of any shape, one row an example."""
    return x if x.ndim == 2 else x.reshape(math.prod(x.shape[:-1]), x.shape[-1])


def _matmul(a: Value, b: Value) -> Value:
    if a.ndim > 2 and b.ndim == 2:
        return _rows(a).dot(b).reshape(*a.shape[:-1], b.shape[1])
    return np.matmul(a, b)


def _left(g: Value, a: Value, b: Value) -> Value:
    if a.ndim == 1 and b.ndim == 1:
        return g * b
    if b.ndim == 1:  # (..., n, k) @ (k,)
        return np.expand_dims(g, -1) * b
    if a.ndim == 1:  # (k,) @ (..., k, m): summed over the batch by the loop
        return (b @ np.expand_dims(g, -1)).squeeze(-1)
    return g @ _t(b)


def _right(g: Value, a: Value, b: Value) -> Value:
    if a.ndim == 1 and b.ndim == 1:
        return g * a
    if a.ndim == 1:  # (k,) @ (..., k, m)
        return np.expand_dims(a, -1) * np.expand_dims(g, -2)
    if b.ndim == 1:  # (..., n, k) @ (k,): summed over the batch by the loop
        return (_t(a) @ np.expand_dims(g, -1)).squeeze(-1)
    if a.ndim > 2 and b.ndim == 2:
        return _t(_rows(a)) @ _rows(g)
    return _t(a) @ g


op(
    "matmul",
    _matmul,
    "a b",
    numpy=np.matmul,
    also="mm mv bmm",
    a=_left,
    b=_right,
    cost=_cost,
)


def _linear(input: Value, weight: Value, bias: Value) -> Value:
    if weight.ndim != 2 or (bias is not None and bias.ndim != 1):
        raise ValueError("the weight must be a matrix (out, in), the bias a vector (out,)")
    y = _rows(input).dot(weight.T)
    if bias is not None:
        try:
            y += bias  # the product is ours to write to
        except TypeError:  # the bias has the wider dtype
            y = y + bias
    return y if input.ndim == 2 else y.reshape(*input.shape[:-1], len(weight))


def _linear_input(g: Value, weight: Value) -> Value:
    if g.ndim == 2:
        return g.dot(weight)
    return _rows(g).dot(weight).reshape(*g.shape[:-1], weight.shape[1])


def _linear_bias(g: Value) -> Value:
    g = _rows(g)
    if type(g) is not np.ndarray:
        return np.add.reduce(g, axis=0)
    # BLAS sums columns two to six times faster than a ufunc reduces them.
    return ones(len(g), g.dtype).dot(g)


op(
    "linear",
    _linear,
    "input weight bias",
    input=_linear_input,
    weight=lambda g, input: _rows(g).T.dot(_rows(input)),
    bias=_linear_bias,
    cost=_cost,
)


def _addmm(input: Value, mat1: Value, mat2: Value, beta: float = 1, alpha: float = 1) -> Value:
    product = mat1 @ mat2
    return input * beta + (product if alpha == 1 else product * alpha)


composed("addmm", _addmm, "input mat1 mat2", also="addmv baddbmm")


def _multi_dot(arrays: Sequence[Value]) -> Value:
    """In the order with the fewest multiplications; the first and the last may be vectors."""
    if len(arrays) < 2:
        raise ValueError("multi_dot takes at least two arrays")
    first, last = arrays[0], arrays[-1]
    chain = [x.reshape(1, -1) if x is first and x.ndim == 1 else x for x in arrays[:-1]]
    chain.append(last.reshape(-1, 1) if last.ndim == 1 else last)
    product = _chain(chain, _splits([len(chain[0]), *(x.shape[1] for x in chain)]), 0, len(chain))
    return product.reshape(first.shape[:-1] + last.shape[1:])


def _splits(sizes: Sequence[int]) -> dict[tuple[int, int], int]:
    """Where to divide each part of a chain of matrices: Cormen et al., Algorithms, 15.2."""
    count = len(sizes) - 1
    costs = {(i, i + 1): 0 for i in range(count)}
    splits: dict[tuple[int, int], int] = {}
    for length in range(2, count + 1):
        for i in range(count - length + 1):
            j = i + length
            costs[i, j], splits[i, j] = min(
                (costs[i, k] + costs[k, j] + sizes[i] * sizes[k] * sizes[j], k)
                for k in range(i + 1, j)
            )
    return splits


def _chain(arrays: Sequence[Value], splits: dict[tuple[int, int], int], i: int, j: int) -> Value:
    if j - i == 1:
        return arrays[i]
    k = splits[i, j]
    return _chain(arrays, splits, i, k) @ _chain(arrays, splits, k, j)


composed("linalg.multi_dot", _multi_dot, "*arrays", numpy=np.linalg.multi_dot)

# -- vectors, and NumPy's dot ----------------------------------------------------------------------


def _dot(a: Value, b: Value) -> Value:
    return np.dot(a, b)


def _flat_dot(a: Value, b: Value) -> bool:
    """Whether ``dot`` means what ``matmul`` means."""
    return bool(0 < a.ndim <= 2 and 0 < b.ndim <= 2)


def _dot_left(g: Value, a: Value, b: Value) -> Value:
    if _flat_dot(a, b):
        return _left(g, a, b)
    if not a.ndim or not b.ndim:
        return g * b
    outer = [i for i in range(b.ndim) if i != max(b.ndim - 2, 0)]
    return np.tensordot(g, b, (list(range(g.ndim - len(outer), g.ndim)), outer))


def _dot_right(g: Value, a: Value, b: Value) -> Value:
    if _flat_dot(a, b):
        return _right(g, a, b)
    if not a.ndim or not b.ndim:
        return g * a
    outer = list(range(a.ndim - 1))
    found = np.tensordot(a, g, (outer, outer))  # the inner axis of b is its first
    return np.transpose(found, (*range(1, b.ndim - 1), 0, b.ndim - 1)) if b.ndim > 2 else found


op("dot", _dot, "a b", numpy=np.dot, a=_dot_left, b=_dot_right, cost=_cost)


def _outer(a: Value, b: Value) -> Value:
    if a.dtype == b.dtype and a.dtype.char in "fd":
        return a.reshape(-1, 1).dot(b.reshape(1, -1))
    return np.outer(a, b)


op(
    "outer",
    _outer,
    "a b",
    numpy=(np.outer, np.linalg.outer),
    also="ger",
    a=lambda g, b, a_shape: (g @ b.reshape(-1)).reshape(a_shape),
    b=lambda g, a, b_shape: (a.reshape(-1) @ g).reshape(b_shape),
)


def _inner(a: Value, b: Value) -> Value:
    if not a.ndim or not b.ndim:
        return a * b
    return np.tensordot(a, b, ((-1,), (-1,)))


def _conj(x: Value) -> Value:
    return np.conjugate(x) if x.dtype.kind == "c" else x


def _vdot(a: Value, b: Value) -> Value:
    return np.dot(_conj(a).reshape(-1), b.reshape(-1))


def _vecdot(a: Value, b: Value, axis: int = -1) -> Value:
    """The first is conjugated."""
    return einsum([_last(_conj(a), axis), _last(b, axis)], subscripts="...i,...i->...")


def _last(x: Value, axis: int) -> Value:
    return x if axis in (-1, x.ndim - 1) else np.moveaxis(x, axis, -1)


composed("inner", _inner, "a b", numpy=np.inner)
composed("vdot", _vdot, "a b", numpy=np.vdot)
composed("linalg.vecdot", _vecdot, "a b", numpy=(np.vecdot, np.linalg.vecdot), also="vecdot")


def _cross(a: Value, b: Value, axis: int = -1) -> Value:
    return np.linalg.cross(a, b, axis=axis)


cross: Any = op(
    "linalg.cross",
    _cross,
    "a b",
    numpy=(np.cross, np.linalg.cross),
    also="cross",
    a=lambda g, b, axis: cross(b, g, axis=axis),
    b=lambda g, a, axis: cross(g, a, axis=axis),
)


def _kron(a: Value, b: Value) -> Value:
    ndim = max(a.ndim, b.ndim)
    first, second = _padded(a.shape, ndim), _padded(b.shape, ndim)
    blocks = a.reshape(_woven(first, (1,) * ndim)) * b.reshape(_woven((1,) * ndim, second))
    return blocks.reshape(tuple(n * m for n, m in zip(first, second, strict=True)))


def _padded(shape: Shape, ndim: int) -> Shape:
    return (1,) * (ndim - len(shape)) + tuple(shape)


def _woven(first: Shape, second: Shape) -> Shape:
    """The axes of both in turn."""
    return tuple(n for pair in zip(first, second, strict=True) for n in pair)


composed("kron", _kron, "a b", numpy=np.kron)
