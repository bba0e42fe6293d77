"""Products."""

import math

import numpy as np

from .op import ones, op


def _cost(g, *saved):
    """Two products over an inner axis, at about 20 multiplications a nanosecond."""
    return sum(math.prod(g.shape) * max(value.shape) // 20 for value in saved if value.ndim)


def _t(x):
    return np.swapaxes(x, -1, -2)


def _left(g, a, b):
    if a.ndim == 1 and b.ndim == 1:
        return g * b
    if b.ndim == 1:  # (..., n, k) @ (k,)
        return np.expand_dims(g, -1) * b
    if a.ndim == 1:  # (k,) @ (..., k, m): summed over the batch by the loop
        return (b @ np.expand_dims(g, -1)).squeeze(-1)
    return g @ _t(b)


def _right(g, a, b):
    if a.ndim == 1 and b.ndim == 1:
        return g * a
    if a.ndim == 1:  # (k,) @ (..., k, m)
        return np.expand_dims(a, -1) * np.expand_dims(g, -2)
    if b.ndim == 1:  # (..., n, k) @ (k,): summed over the batch by the loop
        return (_t(a) @ np.expand_dims(g, -1)).squeeze(-1)
    return _t(a) @ g


def _rows(x):
    """``x`` as a matrix: a batch of any shape, one row an example."""
    return x if x.ndim == 2 else x.reshape(-1, x.shape[-1])


def _linear(x, w, b):
    y = _rows(x).dot(w.T)
    if b is not None:
        y += b  # the product is ours to write to
    return y if x.ndim == 2 else y.reshape(*x.shape[:-1], len(w))


def _linear_x(g, w):
    return g.dot(w) if g.ndim == 2 else _rows(g).dot(w).reshape(*g.shape[:-1], w.shape[1])


def _linear_b(g):
    g = _rows(g)
    if type(g) is not np.ndarray:
        return np.add.reduce(g, axis=0)
    # BLAS sums columns two to six times faster than a ufunc reduces them.
    return ones(len(g), g.dtype).dot(g)


op("matmul", np.matmul, "a b", a=_left, b=_right, cost=_cost)
op("dot", np.dot, "a b", a=_left, b=_right, cost=_cost)
op("linear", _linear, "x w b", x=_linear_x, w=lambda g, x: _rows(g).T.dot(_rows(x)), b=_linear_b, cost=_cost)
