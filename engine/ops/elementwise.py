"""Elementwise operations. Conventions at kinks and ties are PyTorch's (abs'(0) = 0, ties share)."""

import numpy as np

from .op import op

# A 0-d array of the right dtype makes a ufunc call half as dear as a Python scalar does.
_ZERO = {np.dtype(kind): np.zeros((), kind) for kind in ("f2", "f4", "f8")}
ZERO = _ZERO[np.dtype("f4")]


def _sigmoid(x):
    # exp is only taken of what is not positive: nothing overflows.
    return np.exp(np.minimum(x, 0)) / (1 + np.exp(-np.abs(x)))


def _relu(x):
    return np.maximum(x, _ZERO.get(x.dtype, 0))


def _power_base(g, a, b):
    # Where b is 0 the derivative is 0, also at a = 0, where a ** (b - 1) is not finite.
    if isinstance(b, int | float):
        return g * (b * a ** (b - 1)) if b != 0 else g * 0
    return g * (b * a ** np.where(b == 0, 1, b - 1))


def _power_exponent(g, ans, a, b):
    # 0 ** b is constant in b >= 0; the log is not taken there.
    flat = (a == 0) & (b >= 0)
    return g * np.where(flat, 0, ans * np.log(np.where(flat, 1, a)))


def _share(a, b):
    """1 where a wins, 1/2 where a and b tie (PyTorch: maximum, minimum)."""
    return (a > b) + (a == b) * 0.5


op("add", np.add, "a b", a=lambda g: g, b=lambda g: g)
op("sub", np.subtract, "a b", a=lambda g: g, b=lambda g: -g)
op("mul", np.multiply, "a b", a=lambda g, b: g * b, b=lambda g, a: g * a)
op("div", np.divide, "a b", a=lambda g, b: g / b, b=lambda g, ans, b: -g * ans / b)
op("pow", np.power, "a b", a=_power_base, b=_power_exponent)
op("neg", np.negative, "x", x=lambda g: -g)
op("abs", np.absolute, "x", x=lambda g, x: g * np.sign(x))
op("exp", np.exp, "x", x=lambda g, ans: g * ans)
op("expm1", np.expm1, "x", x=lambda g, ans: g * (ans + 1))
op("log", np.log, "x", x=lambda g, x: g / x)
op("log1p", np.log1p, "x", x=lambda g, x: g / (x + 1))
op("sqrt", np.sqrt, "x", x=lambda g, ans: g / (ans * 2))
op("square", np.square, "x", x=lambda g, x: g * (x * 2))
op("reciprocal", np.reciprocal, "x", x=lambda g, ans: -g * ans * ans)
op("sin", np.sin, "x", x=lambda g, x: g * np.cos(x))
op("cos", np.cos, "x", x=lambda g, x: -g * np.sin(x))
op("tanh", np.tanh, "x", x=lambda g, ans: g * (1 - ans * ans))
op("sigmoid", _sigmoid, "x", x=lambda g, ans: g * (ans * (1 - ans)))
op("relu", _relu, "x", x=lambda g, ans: g * np.greater(ans, ZERO))
op("maximum", np.maximum, "a b", a=lambda g, a, b: g * _share(a, b), b=lambda g, a, b: g * _share(b, a))
op("minimum", np.minimum, "a b", a=lambda g, a, b: g * _share(b, a), b=lambda g, a, b: g * _share(a, b))
op("where", np.where, "condition x y", x=lambda g, condition: np.where(condition, g, 0), y=lambda g, condition: np.where(condition, 0, g))

for name, function in {
    "eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater,
    "ge": np.greater_equal, "logical_and": np.logical_and, "logical_or": np.logical_or,
    "bitwise_and": np.bitwise_and, "bitwise_or": np.bitwise_or,
}.items():
    op(name, function, "a b")
for name, function in {
    "sign": np.sign, "floor": np.floor, "ceil": np.ceil, "round": np.rint, "isnan": np.isnan,
    "isinf": np.isinf, "isfinite": np.isfinite, "logical_not": np.logical_not,
}.items():
    op(name, function, "x")
