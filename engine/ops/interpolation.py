"""On straight lines between points. At a knot ``interp`` has the slope to the right of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..values import Value
from .indexing import take
from .op import composed, op


def _interp(
    x: Value,
    xp: Value,
    fp: Value,
    left: Value = None,
    right: Value = None,
    period: float | None = None,
) -> Value:
    """Answers float64, as NumPy's does. ``xp`` must increase, unless there is a ``period``."""
    if xp.ndim != 1 or xp.shape != fp.shape or not len(xp):
        raise ValueError(f"interp: xp {list(xp.shape)} and fp {list(fp.shape)} must be vectors")
    x, xp = np.multiply(x, np.float64(1)), np.multiply(xp, np.float64(1))
    if period is not None:
        x, xp, fp = _periodic(x, xp, fp, abs(period))
        left = right = None
    y = _between(x, xp, fp) if len(xp) > 1 else fp[0] + x * 0
    y = np.where(np.less(x, xp[0]), fp[0] if left is None else left, y)
    return np.where(np.greater(x, xp[-1]), fp[-1] if right is None else right, y)


def _between(x: Value, xp: Value, fp: Value) -> Value:
    at = np.clip(np.searchsorted(xp, x, side="right"), 1, len(xp) - 1)
    x0, x1, f0, f1 = take(xp, at - 1), take(xp, at), take(fp, at - 1), take(fp, at)
    gap = np.where(np.greater(x1, x0), x1 - x0, 1)
    return f0 + (x - x0) * ((f1 - f0) / gap)


def _periodic(x: Value, xp: Value, fp: Value, period: float) -> tuple[Value, Value, Value]:
    """Everything in one period, and one more knot on either side of it."""
    if not period:
        raise ValueError("interp: period must not be 0")
    x, xp = (v - np.floor(v / period) * period for v in (x, xp))
    order = np.argsort(xp)
    xp, fp = take(xp, order), take(fp, order)
    xp = np.concatenate([xp[-1:] - period, xp, xp[:1] + period])
    return x, xp, np.concatenate([fp[-1:], fp, fp[:1]])


composed("interp", _interp, "x xp fp", numpy=np.interp, torch=None)


def _linspace(
    start: Value,
    stop: Value,
    num: int = 50,
    endpoint: bool = True,
    dtype: Any = None,
    axis: int = 0,
) -> Value:
    """Of two Python numbers float32, as ``engine.tensor`` makes of them."""
    if dtype is None and not hasattr(start, "dtype") and not hasattr(stop, "dtype"):
        dtype = np.float32
    return np.linspace(start, stop, num, endpoint, dtype=dtype, axis=axis)


def _weighted(g: Value, num: int, endpoint: bool, axis: int, of_stop: bool) -> Value:
    """``g`` along the new axis, which is moved to the front, by how much one end counts there."""
    part = np.linspace(0, 1, num, endpoint, dtype=g.dtype)
    part = (part if of_stop else 1 - part).reshape(num, *(1,) * (g.ndim - 1))
    return np.sum(np.moveaxis(g, axis, 0) * part, axis=0)


op(
    "linspace",
    _linspace,
    "start stop",
    numpy=np.linspace,
    start=lambda g, num, endpoint, axis: _weighted(g, num, endpoint, axis, False),
    stop=lambda g, num, endpoint, axis: _weighted(g, num, endpoint, axis, True),
)
