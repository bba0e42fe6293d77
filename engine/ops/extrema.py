"""Extrema. Ties share the gradient evenly; where the answer is NaN, so is the gradient.

``max(axis=...)`` answers values, as NumPy's does, and not PyTorch's pair: ``argmax`` tells where.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..values import Shape, Value
from .along import Axis, keep, peak, reduction, scaled, total
from .op import Forward, composed, op


def _peak(ufunc: np.ufunc) -> Forward:
    def forward(x: Value, axis: Axis = None, keepdims: bool = False) -> Value:
        return peak(ufunc, x, axis, keepdims)

    return forward


def _extremum_pull(
    g: Value, ans: Value, x: Value, x_shape: Shape, axis: Axis, keepdims: bool
) -> Value:
    hit = np.equal(x, keep(ans, x_shape, axis, keepdims)).astype(g.dtype)
    ways = total(hit, axis, keepdims=True)
    ways = np.where(ways, ways, _nan(g.dtype))
    return scaled(hit, keep(g, x_shape, axis, keepdims) / ways)


def _nan(dtype: np.dtype[Any]) -> Value:
    return np.array(np.nan, dtype)


def _ptp(x: Value, axis: Axis = None, keepdims: bool = False) -> Value:
    return amax(x, axis=axis, keepdims=keepdims) - amin(x, axis=axis, keepdims=keepdims)


amax = op("amax", _peak(np.maximum), "x", numpy=(np.max, np.amax), x=_extremum_pull)
amin = op("amin", _peak(np.minimum), "x", numpy=(np.min, np.amin), x=_extremum_pull)
# NaN loses to all else; of nothing but NaN, the answer is NaN.
op("nanmax", _peak(np.fmax), "x", numpy=np.nanmax, torch=None, x=_extremum_pull)
op("nanmin", _peak(np.fmin), "x", numpy=np.nanmin, torch=None, x=_extremum_pull)
composed("ptp", _ptp, "x", numpy=np.ptp, torch=None)

# -- without a gradient ----------------------------------------------------------------------------

op("argmax", reduction(np.argmax), "x", numpy=np.argmax)
op("argmin", reduction(np.argmin), "x", numpy=np.argmin)
op("nanargmax", reduction(np.nanargmax), "x", numpy=np.nanargmax, torch=None)
op("nanargmin", reduction(np.nanargmin), "x", numpy=np.nanargmin, torch=None)
