"""Arithmetic: the four operations, powers and roots, remainders, signs.

``floor_divide`` has no gradient. ``remainder`` has the sign of the divisor, as Python's ``%``;
``fmod`` that of the dividend. For complex numbers, ``abs`` has the gradient of the modulus, 0 at 0.
"""

from __future__ import annotations

import math

import numpy as np

from ..values import Value
from .choice import only
from .op import Op, composed, op

LOG_2 = math.log(2)


def flat(g: Value) -> Value:
    """The rule of an input that the answer is locally constant in: zeros, whatever ``g`` is."""
    return np.where(False, g, 0)


def _positive(x: Value) -> Value:
    """The same elements: a view, as PyTorch answers the tensor itself, and not NumPy's copy."""
    return np.positive(x) if x.dtype.kind == "b" else x[...]  # which NumPy refuses


# -- the four operations ---------------------------------------------------------------------------

op("add", np.add, "a b", a=lambda g: g, b=lambda g: g)
op("sub", np.subtract, "a b", a=lambda g: g, b=lambda g: -g)
op("mul", np.multiply, "a b", a=lambda g, b: g * b, b=lambda g, a: g * a)
op(
    "div",
    np.divide,
    "a b",
    also="true_divide",
    a=lambda g, b: g / b,
    b=lambda g, ans, b: -g * ans / b,
)
op("neg", np.negative, "x", x=lambda g: -g)
op("positive", _positive, "x", numpy=np.positive, view=True, x=lambda g: g)
op("square", np.square, "x", x=lambda g, x: g * (x * 2))
op("reciprocal", np.reciprocal, "x", x=lambda g, ans: -g * ans * ans)

# -- powers and roots ------------------------------------------------------------------------------


def _power(a: Value, b: Value) -> Value:
    return a**b  # the operator has short cuts for squares and roots that the ufunc lacks


def _power_base(g: Value, a: Value, b: Value) -> Value:
    # Where b is 0 the derivative is 0, also at a = 0, where a ** (b - 1) is not finite.
    if isinstance(b, int | float | complex):
        return g * (b * a ** (b - 1)) if b != 0 else flat(g)
    constant = np.equal(b, 0)
    if not constant.any():
        return g * (b * a ** (b - 1))
    return only(g * (b * a ** np.where(constant, 1, b - 1)), np.logical_not(constant))


def _power_exponent(g: Value, ans: Value, a: Value, b: Value) -> Value:
    if isinstance(a, int | float | complex):
        a = np.asarray(a, g.dtype)
    # 0 ** b is constant in b >= 0; the log is not taken there.
    constant = np.logical_and(a == 0, b.real >= 0)
    return only(g * (ans * np.log(np.where(constant, 1, a))), np.logical_not(constant))


def _rsqrt(x: Value) -> Value:
    return 1 / np.sqrt(x)


op("pow", _power, "a b", numpy=np.power, a=_power_base, b=_power_exponent)
op("float_power", np.float_power, "a b", a=_power_base, b=_power_exponent)
op("sqrt", np.sqrt, "x", x=lambda g, ans: g / (ans * 2))
op("rsqrt", _rsqrt, "x", x=lambda g, ans: g * (ans * ans * ans) * -0.5)
op("cbrt", np.cbrt, "x", torch=None, x=lambda g, ans: g / (ans * ans * 3))

# -- remainders ------------------------------------------------------------------------------------


def _divmod(a: Value, b: Value) -> tuple[Value, Value]:
    return np.floor_divide(a, b), np.remainder(a, b)


op("floor_divide", np.floor_divide, "a b")
op(
    "remainder",
    np.remainder,
    "a b",
    also="mod",
    a=lambda g: g,
    b=lambda g, a, b: -g * np.floor_divide(a, b),
)
op("fmod", np.fmod, "a b", a=lambda g: g, b=lambda g, a, b: -g * np.trunc(a / b))
composed("divmod", _divmod, "a b", numpy=np.divmod, torch=None)

# -- signs and lengths -----------------------------------------------------------------------------


def _sgn_pull(g: Value, x: Value, ans: Value) -> Value:
    """Of the point on the unit circle in the direction of ``x``; a real one does not move.

    Along the circle alone: with h = conj(g), what PyTorch gets is (h - (h * ans.conj()).real * ans)
    / |x|. This is the same with the conjugations that the loop adds taken out.
    """
    if x.dtype.kind != "c":
        return flat(g)
    length = np.absolute(x)
    along = np.real(g * ans) * np.conjugate(ans)
    return (g - along) / np.where(length == 0, 1, length) * (length != 0)


sgn: Op = op("sgn", lambda x: np.sign(x), "x", x=_sgn_pull)


def _abs_pull(g: Value, x: Value) -> Value:
    return g * (np.conjugate(sgn(x)) if x.dtype.kind == "c" else np.sign(x))


def _hypot_pull(g: Value, ans: Value, a: Value) -> Value:
    """0 at the origin, where it could be anything between -g and g."""
    return g * (a / np.where(ans == 0, 1, ans))


def _copysign_pull(g: Value, a: Value, b: Value) -> Value:
    """The sign by which ``a`` was multiplied; 0 where it has none, as at a kink of ``abs``."""
    return g * (np.sign(a) * np.copysign(1, b).astype(g.dtype))


def _ldexp(a: Value, b: Value) -> Value:
    if getattr(b, "dtype", np.dtype(int)).kind == "f":
        return a * np.exp2(b)
    return np.ldexp(a, b)


def _sign(x: Value) -> Value:
    if getattr(x, "dtype", None) is not None and x.dtype.kind == "c":
        raise TypeError("the sign of a complex number is sgn(x), or x / abs(x)")
    return np.sign(x)


op("abs", np.absolute, "x", numpy=np.fabs, x=_abs_pull)
op("sign", _sign, "x", numpy=np.sign)
op(
    "hypot",
    np.hypot,
    "a b",
    a=lambda g, ans, a: _hypot_pull(g, ans, a),
    b=lambda g, ans, b: _hypot_pull(g, ans, b),
)
op("copysign", np.copysign, "a b", a=_copysign_pull, b=flat)
ldexp: Op = op(
    "ldexp",
    _ldexp,
    "a b",
    numpy=np.ldexp,
    a=lambda g, b: ldexp(g, b),
    b=lambda g, ans: g * (ans * LOG_2),
)
