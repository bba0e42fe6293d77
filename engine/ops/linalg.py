"""Products."""

from __future__ import annotations

import math

import numpy as np

from ..values import Value
from .op import ones, op


def _cost(g: Value, *saved: Value) -> int:
    """Two products over an inner axis, at about 20 multiplications a nanosecond."""
    return sum(math.prod(g.shape) * max(value.shape) // 20 for value in saved if value.ndim)


def _t(x: Value) -> Value:
    return np.swapaxes(x, -1, -2)


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
    return _t(a) @ g


def _dot(a: Value, b: Value) -> Value:
    if not 1 <= a.ndim <= 2 or not 1 <= b.ndim <= 2:
        raise ValueError("dot takes vectors and matrices; use matmul for batches of them")
    return a.dot(b)


def _rows(x: Value) -> Value:
    """``x`` as a matrix: a batch of any shape, one row an example."""
    return x if x.ndim == 2 else x.reshape(math.prod(x.shape[:-1]), x.shape[-1])


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


op("matmul", np.matmul, "a b", a=_left, b=_right, cost=_cost)
op("dot", _dot, "a b", numpy=np.dot, a=_left, b=_right, cost=_cost)
op(
    "linear",
    _linear,
    "input weight bias",
    input=_linear_input,
    weight=lambda g, input: _rows(g).T.dot(_rows(input)),
    bias=_linear_bias,
    cost=_cost,
)
