"""Reductions. ``axis=None`` reduces all axes; ``keepdims`` keeps them with size 1."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from ..values import Shape, Value
from .op import Forward, op

Axis = int | tuple[int, ...] | None


def _axes(axis: Axis, ndim: int) -> tuple[int, ...]:
    """``axis`` as a tuple of non-negative ints."""
    if axis is None or not ndim:  # NumPy lets a number be reduced along axis 0 and -1
        return tuple(range(ndim))
    return normalize_axis_tuple(axis, ndim)


def _count(shape: Shape, axis: Axis) -> int:
    return math.prod(shape[i] for i in _axes(axis, len(shape)))


def _keep(value: Value, shape: Shape, axis: Axis, keepdims: bool) -> Value:
    """``value``, a reduction, with the reduced axes back in place at size 1."""
    if keepdims:
        return value
    reduced = _axes(axis, len(shape))
    return value.reshape(tuple(1 if i in reduced else n for i, n in enumerate(shape)))


def _spread(g: Value, shape: Shape, axis: Axis, keepdims: bool) -> Value:
    """The gradient of a sum: the same for everything that was summed."""
    return np.broadcast_to(_keep(g, shape, axis, keepdims), shape)


def _along(function: Callable[..., Value]) -> Forward:
    """``function`` as a forward with our names and defaults."""

    def forward(x: Value, axis: Axis = None, keepdims: bool = False) -> Value:
        return function(x, axis=axis, keepdims=keepdims)

    return forward


# -- sums ------------------------------------------------------------------------------------------

_sum = _along(np.add.reduce)


def _mean(x: Value, axis: Axis = None, keepdims: bool = False) -> Value:
    return _sum(x, axis, keepdims) / _count(x.shape, axis)


op(
    "sum",
    _sum,
    "x",
    numpy=np.sum,
    x=lambda g, x_shape, axis, keepdims: _spread(g, x_shape, axis, keepdims),
)
op(
    "mean",
    _mean,
    "x",
    numpy=np.mean,
    x=lambda g, x_shape, axis, keepdims: _spread(
        g / max(_count(x_shape, axis), 1), x_shape, axis, keepdims
    ),
)

# -- extrema ---------------------------------------------------------------------------------------


def _extremum_pull(
    g: Value, ans: Value, x: Value, x_shape: Shape, axis: Axis, keepdims: bool
) -> Value:
    """Ties share the gradient evenly; where the answer is NaN, so is the gradient."""
    hit = np.equal(x, _keep(ans, x_shape, axis, keepdims))
    ways = np.add.reduce(hit, axis=axis, keepdims=True)
    ways = np.where(ways, ways, np.nan).astype(g.dtype)
    return _keep(g, x_shape, axis, keepdims) / ways * hit


op("amax", _along(np.maximum.reduce), "x", numpy=(np.max, np.amax), x=_extremum_pull)
op("amin", _along(np.minimum.reduce), "x", numpy=(np.min, np.amin), x=_extremum_pull)

# -- softmax and its relatives ---------------------------------------------------------------------


def _shifted(x: Value, axis: Axis) -> tuple[Value, Value]:
    """The maximum, and exp(x - maximum); an infinite maximum shifts by nothing."""
    top = np.maximum.reduce(x, axis=axis, keepdims=True)
    top = np.where(np.isfinite(top), top, 0)
    return top, np.exp(x - top)


def _logsumexp(x: Value, axis: Axis = None, keepdims: bool = False) -> Value:
    top, exps = _shifted(x, axis)
    total = np.log(np.add.reduce(exps, axis=axis, keepdims=True)) + top
    return total if keepdims else np.squeeze(total, _axes(axis, x.ndim))


def _logsumexp_pull(
    g: Value, ans: Value, x: Value, x_shape: Shape, axis: Axis, keepdims: bool
) -> Value:
    softmax = np.exp(x - _keep(ans, x_shape, axis, keepdims))
    return _keep(g, x_shape, axis, keepdims) * softmax


def _softmax(x: Value, axis: Axis = -1) -> Value:
    _, exps = _shifted(x, axis)
    return exps / np.add.reduce(exps, axis=axis, keepdims=True)


def _softmax_pull(g: Value, ans: Value, axis: Axis) -> Value:
    weighted = g * ans
    return weighted - ans * np.add.reduce(weighted, axis=axis, keepdims=True)


def _log_softmax(x: Value, axis: Axis = -1) -> Value:
    top, exps = _shifted(x, axis)
    return (x - top) - np.log(np.add.reduce(exps, axis=axis, keepdims=True))


def _log_softmax_pull(g: Value, ans: Value, axis: Axis) -> Value:
    return g - np.exp(ans) * np.add.reduce(g, axis=axis, keepdims=True)


op("logsumexp", _logsumexp, "x", x=_logsumexp_pull)
op("softmax", _softmax, "x", x=_softmax_pull)
op("log_softmax", _log_softmax, "x", x=_log_softmax_pull)

# -- without a gradient ----------------------------------------------------------------------------

op("argmax", _along(np.argmax), "x", numpy=np.argmax)
op("argmin", _along(np.argmin), "x", numpy=np.argmin)
op("all", _along(np.all), "x", numpy=np.all)
op("any", _along(np.any), "x", numpy=np.any)
