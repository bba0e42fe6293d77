"""Softmax and its relatives: what is exponentiated is at most 0, and infinities are no trap.

A maximum that is not finite is not subtracted: rows that are partly -inf are right, a row of -inf
alone has NaN for a gradient.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..values import Shape, Value
from .along import Axis, axes_of, into, keep, peak, scaled, total
from .op import op


def _shifted(x: Value, axis: Axis) -> tuple[Value, Value]:
    """The maximum, and x - maximum, which is the caller's own; an infinite maximum counts as 0."""
    top = peak(np.maximum, x, axis, keepdims=True)
    finite = np.isfinite(top)
    if not finite.all():
        top = np.where(finite, top, 0)
    return top, np.asarray(x - top)


def _logsumexp(x: Value, axis: Axis = None, keepdims: bool = False) -> Value:
    top, shifted = _shifted(x, axis)
    ans = np.log(total(into(shifted, np.exp), axis, keepdims=True))
    ans += top
    return ans if keepdims else np.squeeze(ans, axes_of(axis, x.ndim))


def _logsumexp_pull(
    g: Value, ans: Value, x: Value, x_shape: Shape, axis: Axis, keepdims: bool
) -> Value:
    softmax = into(x - keep(ans, x_shape, axis, keepdims), np.exp)
    return scaled(softmax, keep(g, x_shape, axis, keepdims))


def _softmax(x: Value, axis: Axis = -1, dtype: Any = None) -> Value:
    _, shifted = _shifted(x if dtype is None else x.astype(dtype), axis)
    exps = into(shifted, np.exp)
    exps /= total(exps, axis, keepdims=True)
    return exps


def _softmax_pull(g: Value, ans: Value, axis: Axis) -> Value:
    weighted = g * ans
    inner = total(weighted, axis, keepdims=True)
    if type(weighted) is not np.ndarray:
        return (g - inner) * ans
    np.subtract(g, inner, out=weighted)
    weighted *= ans
    return weighted


def _log_softmax(x: Value, axis: Axis = -1, dtype: Any = None) -> Value:
    _, shifted = _shifted(x if dtype is None else x.astype(dtype), axis)
    logs = np.log(total(np.exp(shifted), axis, keepdims=True))
    return into(shifted, np.subtract, logs)


def _log_softmax_pull(g: Value, ans: Value, axis: Axis) -> Value:
    share = scaled(np.exp(ans), total(g, axis, keepdims=True))
    return np.subtract(g, share, out=share) if type(share) is np.ndarray else g - share


op("logsumexp", _logsumexp, "x", also="special.logsumexp", x=_logsumexp_pull)
op("softmax", _softmax, "x", also="special.softmax", x=_softmax_pull)
op("log_softmax", _log_softmax, "x", also="special.log_softmax", x=_log_softmax_pull)
