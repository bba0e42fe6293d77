"""Ordinary differential equations, differentiated through the steps that were taken.

The gradient is that of the numbers computed, not of the exact solution: it is right for any
tolerance, at any order, and for every tensor that ``func`` uses, also one it does not take as an
argument. The steps are chosen from values, as constants. No SciPy is needed. A stiff system, which
SciPy's ``odeint`` would solve by an implicit method, takes too many steps here and raises.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from ..errors import NotSupportedError, ShapeError
from ..values import Value
from .op import composed

Slope = Callable[[Value, float], Value]

# The pair of orders 5 and 4 of J. R. Dormand, P. J. Prince, "A family of embedded Runge-Kutta
# formulae", Journal of Computational and Applied Mathematics 6 (1980).
_TIMES = (0.2, 0.3, 0.8, 8 / 9, 1.0, 1.0)
_STAGES = (
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)
_ERRORS = (71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40)


def _values(x: Value) -> np.ndarray:
    return np.asarray(x.detach() if hasattr(x, "detach") else x)


def _mix(slopes: list[Value], weights: tuple[float, ...]) -> Value:
    terms = [s * w for s, w in zip(slopes, weights, strict=True) if w]
    return sum(terms[1:], terms[0])


def _step(slope: Slope, y: Value, t: float, h: float, first: Value) -> tuple[Value, Value, Value]:
    """One step: the state after it, the slope there, and the estimated error."""
    slopes, after = [first], y
    for time, weights in zip(_TIMES, _STAGES, strict=True):
        after = y + _mix(slopes, weights) * h
        slopes.append(slope(after, t + time * h))
    return after, slopes[-1], _mix([_values(s) for s in slopes], _ERRORS) * h


def _advance(
    slope: Slope, y: Value, start: float, stop: float, tolerances: tuple[float, float], most: int
) -> Value:
    """The state at ``stop``, by as many steps as the tolerances ask for."""
    rtol, atol = tolerances
    t, first = start, slope(y, start)
    size, speed = (float(np.linalg.norm(_values(each))) for each in (y, first))
    h = (stop - start) * min(1.0, 0.01 * (size + atol) / (speed + 1e-8))
    for _ in range(most):
        if abs(h) >= abs(stop - t) * (1 - 1e-12):
            h = stop - t
        after, following, error = _step(slope, y, t, h, first)
        scale = atol + rtol * np.maximum(abs(_values(y)), abs(_values(after)))
        off = float(np.sqrt(np.mean(np.square(error / scale)))) if error.size else 0.0
        if off <= 1:
            if h == stop - t:
                return after
            y, t, first = after, t + h, following
        h *= min(5.0, max(0.2, 0.9 * max(off, 1e-10) ** -0.2)) if np.isfinite(off) else 0.1
    raise NotSupportedError(
        f"odeint: no more than {most} steps from t={start} led to t={t}: the system may be stiff, "
        "which this method is not for; scale it, raise rtol and atol, or raise mxstep"
    )


def _odeint(
    func: Callable[..., Any],
    y0: Value,
    t: Value,
    args: tuple[Any, ...] = (),
    rtol: float = 1.5e-8,
    atol: float = 1.5e-8,
    mxstep: int = 2000,
    tfirst: bool = False,
) -> Value:
    """The states at the times ``t``, one row each, of ``y' = func(y, t, *args)`` from ``y0`` on.

    ``t`` is a constant. ``func`` gets and returns vectors of the shape of ``y0``.
    """

    def slope(y: Value, time: float) -> Value:
        made = func(time, y, *args) if tfirst else func(y, time, *args)
        made = np.stack(made) if isinstance(made, list | tuple) else made
        if made.shape != y.shape:
            raise ShapeError(f"odeint: func returned {made.shape} for a state of {y.shape}")
        return made

    if getattr(t, "requires_grad", False):
        raise NotSupportedError("odeint: no gradient with respect to the times: detach() them")
    y = y0 if y0.ndim else y0.reshape(1)
    y = y if y.dtype.kind in "fc" else y.astype(np.float64)
    rtol = max(rtol, 100 * float(np.finfo(y.dtype).eps))  # rounding is no error to step down for
    states = [y]
    times = [float(time) for time in _values(t)]
    for start, stop in pairwise(times):
        states.append(_advance(slope, states[-1], start, stop, (rtol, atol), mxstep))
    return np.stack(states)


composed("scipy.integrate.odeint", _odeint, "func y0 t", torch=None)
