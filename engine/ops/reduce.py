"""Sums, products and counts. ``axis=None`` reduces all axes; ``keepdims`` keeps them with size 1.

A product is differentiated without dividing by its factors: zeros are exact, at any order.
``dtype`` is what the elements are turned into before they are summed, as in PyTorch.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..values import Shape, Value
from .along import Axis, axes_of, count, keep, last, reduction, spread, total
from .op import composed, op
from .scans import exclusive_products

_multiply: Any = np.multiply.reduce  # as in along: its types ask for a literal keepdims


def _in(x: Value, dtype: Any) -> Value:
    return x if dtype is None else x.astype(dtype, copy=False)


def _sum(x: Value, axis: Axis = None, keepdims: bool = False, dtype: Any = None) -> Value:
    return total(_in(x, dtype), axis, keepdims)


def _mean(x: Value, axis: Axis = None, keepdims: bool = False, dtype: Any = None) -> Value:
    return _sum(x, axis, keepdims, dtype) / count(x.shape, axis)


def _mean_pull(g: Value, x_shape: Shape, axis: Axis, keepdims: bool) -> Value:
    return spread(g / max(count(x_shape, axis), 1), x_shape, axis, keepdims)


def _prod(x: Value, axis: Axis = None, keepdims: bool = False, dtype: Any = None) -> Value:
    return _multiply(x, axis=axis, keepdims=keepdims, dtype=dtype)


def _prod_pull(g: Value, x: Value, x_shape: Shape, axis: Axis, keepdims: bool) -> Value:
    """For each element the product of all others."""
    axes = axes_of(axis, len(x_shape))
    order = [i for i in range(len(x_shape)) if i not in axes] + list(axes)
    flat = exclusive_products(last(x, axis))
    others = np.transpose(flat.reshape([x_shape[i] for i in order]), np.argsort(order).tolist())
    return keep(g, x_shape, axis, keepdims) * others


op(
    "sum",
    _sum,
    "x",
    numpy=np.sum,
    x=lambda g, x_shape, axis, keepdims: spread(g, x_shape, axis, keepdims),
)
op("mean", _mean, "x", numpy=np.mean, x=_mean_pull)
op("prod", _prod, "x", numpy=np.prod, x=_prod_pull)

# -- NaN left out ----------------------------------------------------------------------------------


def _nansum(x: Value, axis: Axis = None, keepdims: bool = False) -> Value:
    return total(np.where(np.isnan(x), 0, x), axis, keepdims)


def _nanmean(x: Value, axis: Axis = None, keepdims: bool = False) -> Value:
    return _nansum(x, axis, keepdims) / valid(x, axis, keepdims)


def valid(x: Value, axis: Axis, keepdims: bool) -> Value:
    """How many are no NaN, in the dtype of ``x``. The mean of none is NaN: 0 / 0."""
    there = np.logical_not(np.isnan(x)).astype(x.dtype)
    return total(there, axis, keepdims)


composed("nansum", _nansum, "x", numpy=np.nansum)
composed("nanmean", _nanmean, "x", numpy=np.nanmean)

# -- without a gradient ----------------------------------------------------------------------------


def _count_nonzero(x: Value, axis: Axis = None, keepdims: bool = False) -> Value:
    return np.count_nonzero(x, axis=axis, keepdims=keepdims)


op("count_nonzero", _count_nonzero, "x", numpy=np.count_nonzero)
op("all", reduction(np.all), "x", numpy=np.all)
op("any", reduction(np.any), "x", numpy=np.any)
