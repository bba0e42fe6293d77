"""Elementwise operations. Conventions at kinks and ties are PyTorch's (abs'(0) = 0, ties share)."""

from __future__ import annotations

import numpy as np

from ..values import Value
from .op import op

# A 0-d array of the right dtype makes a ufunc call half as dear as a Python scalar does. Immutable.
_ZEROS = {np.dtype(kind): np.zeros((), kind) for kind in ("f2", "f4", "f8")}
_ZERO = _ZEROS[np.dtype("f4")]


# -- arithmetic ------------------------------------------------------------------------------------


def _power(a: Value, b: Value) -> Value:
    return a**b  # the operator has short cuts for squares and roots that the ufunc lacks


def _power_base(g: Value, a: Value, b: Value) -> Value:
    # Where b is 0 the derivative is 0, also at a = 0, where a ** (b - 1) is not finite.
    if isinstance(b, int | float):
        return g * (b * a ** (b - 1)) if b != 0 else g * 0
    return g * (b * a ** np.where(b == 0, 1, b - 1))


def _power_exponent(g: Value, ans: Value, a: Value, b: Value) -> Value:
    if isinstance(a, int | float):
        a = np.asarray(a, g.dtype)
    # 0 ** b is constant in b >= 0; the log is not taken there.
    flat = np.logical_and(a == 0, b >= 0)
    return g * np.where(flat, 0, ans * np.log(np.where(flat, 1, a)))


op("add", np.add, "a b", a=lambda g: g, b=lambda g: g)
op("sub", np.subtract, "a b", a=lambda g: g, b=lambda g: -g)
op("mul", np.multiply, "a b", a=lambda g, b: g * b, b=lambda g, a: g * a)
op("div", np.divide, "a b", a=lambda g, b: g / b, b=lambda g, ans, b: -g * ans / b)
op("pow", _power, "a b", numpy=np.power, a=_power_base, b=_power_exponent)
op("neg", np.negative, "x", x=lambda g: -g)
op("abs", np.absolute, "x", x=lambda g, x: g * np.sign(x))
op("square", np.square, "x", x=lambda g, x: g * (x * 2))
op("sqrt", np.sqrt, "x", x=lambda g, ans: g / (ans * 2))
op("reciprocal", np.reciprocal, "x", x=lambda g, ans: -g * ans * ans)

# -- transcendental --------------------------------------------------------------------------------

op("exp", np.exp, "x", x=lambda g, ans: g * ans)
op("expm1", np.expm1, "x", x=lambda g, ans: g * (ans + 1))
op("log", np.log, "x", x=lambda g, x: g / x)
op("log1p", np.log1p, "x", x=lambda g, x: g / (x + 1))
op("sin", np.sin, "x", x=lambda g, x: g * np.cos(x))
op("cos", np.cos, "x", x=lambda g, x: -g * np.sin(x))
op("tanh", np.tanh, "x", x=lambda g, ans: g * (1 - ans * ans))

# -- activations -----------------------------------------------------------------------------------


def _sigmoid(x: Value) -> Value:
    # exp is only taken of what is not positive: nothing overflows.
    return np.exp(np.minimum(x, 0)) / (1 + np.exp(-np.abs(x)))


def _relu(x: Value) -> Value:
    return np.maximum(x, _ZEROS.get(x.dtype, 0))


def _leaky_relu(x: Value, negative_slope: float = 0.01) -> Value:
    return np.maximum(x, 0) + np.minimum(x, 0) * negative_slope


def _leaky_relu_pull(g: Value, x: Value, negative_slope: float) -> Value:
    positive = np.greater(x, 0)
    return g * positive + g * negative_slope * np.logical_not(positive)


def _softplus(x: Value) -> Value:
    return np.logaddexp(x, _ZEROS.get(x.dtype, 0))


sigmoid = op("sigmoid", _sigmoid, "x", x=lambda g, ans: g * (ans * (1 - ans)))
# The answer is positive, zero or NaN, which passes the gradient on.
op("relu", _relu, "x", x=lambda g, ans: g * np.not_equal(ans, _ZERO))
op("leaky_relu", _leaky_relu, "x", x=_leaky_relu_pull)
op("softplus", _softplus, "x", x=lambda g, x: g * sigmoid(x))

# -- choice ----------------------------------------------------------------------------------------


def _winner(g: Value, loses: Value, loses_or_ties: Value) -> Value:
    """``g`` where a side wins, half of it where it ties; a NaN loses to nobody."""
    half = g * 0.5
    return half * np.logical_not(loses) + half * np.logical_not(loses_or_ties)


def _where(condition: Value, x: Value, y: Value) -> Value:
    return np.where(condition, x, y)


def _clip(x: Value, min: Value, max: Value) -> Value:
    return np.clip(x, min, max)


def _inside(x: Value, low: Value, high: Value) -> Value:
    """Whether ``x`` lies between the bounds, or on one; a NaN does not."""
    above = np.greater_equal(x, -np.inf if low is None else low)
    return np.logical_and(above, np.less_equal(x, np.inf if high is None else high))


op(
    "maximum",
    np.maximum,
    "a b",
    a=lambda g, a, b: _winner(g, np.less(a, b), np.less_equal(a, b)),
    b=lambda g, a, b: _winner(g, np.less(b, a), np.less_equal(b, a)),
)
op(
    "minimum",
    np.minimum,
    "a b",
    a=lambda g, a, b: _winner(g, np.greater(a, b), np.greater_equal(a, b)),
    b=lambda g, a, b: _winner(g, np.greater(b, a), np.greater_equal(b, a)),
)
op(
    "where",
    _where,
    "condition x y",
    numpy=np.where,
    x=lambda g, condition: np.where(condition, g, 0),
    y=lambda g, condition: np.where(condition, 0, g),
)
op(
    "clip",
    _clip,
    "x min max",
    numpy=np.clip,
    torch="clamp",
    x=lambda g, x, min, max: g * _inside(x, min, max),
)

# -- without a gradient ----------------------------------------------------------------------------

op("eq", np.equal, "a b")
op("ne", np.not_equal, "a b")
op("lt", np.less, "a b")
op("le", np.less_equal, "a b")
op("gt", np.greater, "a b")
op("ge", np.greater_equal, "a b")
op("logical_and", np.logical_and, "a b")
op("logical_or", np.logical_or, "a b")
op("logical_not", np.logical_not, "x")
op("bitwise_and", np.bitwise_and, "a b")
op("bitwise_or", np.bitwise_or, "a b")
op("bitwise_not", np.invert, "x")
op("sign", np.sign, "x")
op("floor", np.floor, "x")
op("ceil", np.ceil, "x")
op("round", np.rint, "x")
op("isnan", np.isnan, "x")
op("isinf", np.isinf, "x")
op("isfinite", np.isfinite, "x")

# -- complex numbers -------------------------------------------------------------------------------

op("conj", np.conjugate, "x", x=lambda g: np.conjugate(g))
