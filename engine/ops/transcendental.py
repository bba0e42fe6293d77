"""Exponentials, logarithms, trigonometric and hyperbolic functions, and their inverses.

On a branch cut of the complex plane a gradient is that of the side which the answer continues.
"""

from __future__ import annotations

import math

import numpy as np

from ..values import Value
from .arithmetic import LOG_2
from .choice import only
from .op import Op, op

_LOG_10 = math.log(10)
_DEGREE = math.pi / 180
_FEW = 64

# -- exponentials and logarithms -------------------------------------------------------------------


@np.errstate(over="ignore")  # exp may become infinite: its reciprocal is 0, as it should be
def _sigmoid(x: Value) -> Value:
    below = np.exp(-x)
    below += 1
    return np.reciprocal(below)


sigmoid: Op = op(
    "sigmoid", _sigmoid, "x", also="special.expit", x=lambda g, ans: g * (ans * (1 - ans))
)

op("exp", np.exp, "x", x=lambda g, ans: g * ans)
op("exp2", np.exp2, "x", also="special.exp2", x=lambda g, ans: g * (ans * LOG_2))
op("expm1", np.expm1, "x", also="special.expm1", x=lambda g, ans: g * (ans + 1))
op("log", np.log, "x", x=lambda g, x: g / x)
op("log2", np.log2, "x", x=lambda g, x: g / (x * LOG_2))
op("log10", np.log10, "x", x=lambda g, x: g / (x * _LOG_10))
op("log1p", np.log1p, "x", also="special.log1p", x=lambda g, x: g / (x + 1))


@np.errstate(invalid="ignore")  # of infinities on both sides: the larger is the answer
def _logaddexp(a: Value, b: Value) -> Value:
    """NumPy's own does one element at a time, which pays for few."""
    if max(np.size(a), np.size(b)) < _FEW or np.result_type(a, b).kind != "f":
        return np.logaddexp(a, b)
    gap = np.fmin(-np.abs(a - b), 0)  # 0 for NaN
    gap = np.log1p(np.exp(gap, out=gap), out=gap)
    gap += np.maximum(a, b)
    return gap


# Sigmoids of the difference, and not exp(a - ans): the answer is rounded where it is large.
op(
    "logaddexp",
    _logaddexp,
    "a b",
    numpy=np.logaddexp,
    a=lambda g, a, b: g * sigmoid(a - b),
    b=lambda g, a, b: g * sigmoid(b - a),
)
op(
    "logaddexp2",
    np.logaddexp2,
    "a b",
    a=lambda g, a, b: g * sigmoid((a - b) * LOG_2),
    b=lambda g, a, b: g * sigmoid((b - a) * LOG_2),
)


def _xlogy(x: Value, y: Value) -> Value:
    nothing = np.logical_and(np.equal(x, 0), np.logical_not(np.isnan(y)))
    return np.where(nothing, 0, x * np.log(np.where(nothing, 1, y)))


def _xlogy_x(g: Value, x: Value, y: Value) -> Value:
    """log(y), but 0 where x is 0 and the logarithm is not finite."""
    nothing = np.logical_and(np.equal(x, 0), np.less_equal(y, 0))
    return only(g * np.log(np.where(nothing, 1, y)), np.logical_not(nothing))


op("xlogy", _xlogy, "x y", also="special.xlogy", x=_xlogy_x, y=lambda g, x, y: g * (x / y))

# -- circles ---------------------------------------------------------------------------------------

op("sin", np.sin, "x", x=lambda g, x: g * np.cos(x))
op("cos", np.cos, "x", x=lambda g, x: -g * np.sin(x))
op("tan", np.tan, "x", x=lambda g, ans: g * (ans * ans + 1))
op("asin", np.arcsin, "x", x=lambda g, x: g / np.sqrt((1 - x) * (1 + x)))
op("acos", np.arccos, "x", x=lambda g, x: -g / np.sqrt((1 - x) * (1 + x)))
op("atan", np.arctan, "x", x=lambda g, x: g / (x * x + 1))
op("deg2rad", np.deg2rad, "x", numpy=np.radians, x=lambda g: g * _DEGREE)
op("rad2deg", np.rad2deg, "x", numpy=np.degrees, x=lambda g: g / _DEGREE)


def _turn(g: Value, a: Value, b: Value) -> Value:
    """g * a / (a^2 + b^2), without overflow; 0 at the origin."""
    length = np.hypot(a, b)
    length = np.where(length == 0, 1, length)
    return g * (a / length / length)


op(
    "atan2",
    np.arctan2,
    "a b",
    a=lambda g, a, b: _turn(g, b, a),
    b=lambda g, a, b: -_turn(g, a, b),
)

# -- hyperbolas ------------------------------------------------------------------------------------

op("sinh", np.sinh, "x", x=lambda g, x: g * np.cosh(x))
op("cosh", np.cosh, "x", x=lambda g, x: g * np.sinh(x))
op("tanh", np.tanh, "x", x=lambda g, ans: g * (1 - ans * ans))
op("asinh", np.arcsinh, "x", x=lambda g, x: g / np.sqrt(x * x + 1))
op("acosh", np.arccosh, "x", x=lambda g, x: g / (np.sqrt(x - 1) * np.sqrt(x + 1)))
op("atanh", np.arctanh, "x", x=lambda g, x: g / ((1 - x) * (1 + x)))

# -- sin(pi x) / (pi x) ----------------------------------------------------------------------------

# Of its derivative, (-1)^k 2k pi^(2k) / (2k + 1)! from k = 1 on: the powers x, x^3, ... Below 0.1
# seven of them are exact, where cos(pi x) - sinc(x) would cancel.
_SINC = [(-1) ** k * 2 * k * math.pi ** (2 * k) / math.factorial(2 * k + 1) for k in range(1, 8)]


def _sinc_pull(g: Value, x: Value) -> Value:
    near = np.abs(x) < 0.1
    small, large = np.where(near, x, 0), np.where(near, 1, x)
    square, series = small * small, small * 0
    for coefficient in reversed(_SINC):
        series = series * square + coefficient
    slope = (np.cos(math.pi * large) - np.sinc(large)) / large
    return g * np.where(near, series * small, slope)


op("sinc", lambda x: np.sinc(x), "x", numpy=np.sinc, also="special.sinc", x=_sinc_pull)
