"""The error function and its complement, in NumPy alone.

Three pieces, with coefficients that were computed for this file by interpolation at Chebyshev
points in 60 digits; ``tests/ops/test_errorfunction.py`` holds them against ``math.erf``.

* Below 1: ``erf(x) = x p(x^2)``.
* From 1/2 on: ``erfc(x) = exp(-x^2) q(t) / (1 + 2 x)`` with ``t = (x - 4) / (x + 4)``, which maps
  all that matters to a bounded interval; the exponent is split in two, because rounding ``x^2``
  would cost ten bits at the far end. ``erf`` is 1 less that.
* In single precision ``erf(x) = tanh(x r(x^2))`` everywhere: one transcendental function that NumPy
  computes fast, and an argument whose errors it hides where they grow. Within 4 units in the last
  place of float32; the others are within 3 of float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..values import Value
from .op import Op, op

_NEAR = (
    1.1283791670955126,
    -0.37612638903183543,
    0.11283791670945006,
    -0.02686617064323777,
    0.0052239776071164225,
    -0.0008548325975389692,
    0.00012055294904839707,
    -1.492473690741966e-05,
    1.6447424703317362e-06,
    -1.6208483801871705e-07,
    1.3720064546777686e-08,
    -7.795898827002142e-10,
)
_FAR = (
    1.2329951186255526,
    -0.1396211168405616,
    0.015379652102614858,
    0.06809705425457811,
    -0.10103906603599298,
    0.09373283500259434,
    -0.0663303658198799,
    0.03716751546515809,
    -0.016197733962200932,
    0.005031970657505758,
    -0.0007577739752266992,
    -0.000199260546967223,
    0.0001506247026512128,
    -2.4385454299846383e-05,
    -1.1230434994851926e-05,
    5.678446518677392e-06,
    3.0842678654442027e-07,
    -7.811785785175153e-07,
    5.941337955131871e-08,
    7.389680444833914e-08,
    -9.455982939872743e-09,
)
_SINGLE = tuple(
    np.array(
        [
            1.1283792473280343,
            0.10276986344372081,
            -0.00019528757821488197,
            -0.0006148386876330306,
            8.459719100008077e-05,
            -4.794863970706406e-06,
            2.7615888333282912e-08,
            5.4196211116134585e-09,
        ],
        "f4",
    )
)
_SINGLE_END = np.float32(4)  # where tanh has reached 1
_END = 28.0  # erfc underflows before
_BLOCK = 65_536  # elements at a time: temporaries stay in the cache
_FEW = 16  # up to which Python's own function is faster
_HALF_ROOT = math.sqrt(0.5)
_SLOPE = 2 / math.sqrt(math.pi)

Piece = Callable[[np.ndarray], Value]


def _polynomial(coefficients: Sequence[Any], t: np.ndarray) -> Value:
    total = t * coefficients[-1]
    for coefficient in coefficients[-2:0:-1]:
        total += coefficient
        total *= t
    total += coefficients[0]
    return total


def _near(x: np.ndarray) -> Value:
    """erf, up to 1."""
    return x * _polynomial(_NEAR, x * x)


def _tail(x: np.ndarray) -> Value:
    """erfc, from 1/2 on."""
    x = np.minimum(x, _END)
    high = x.astype("f4").astype("f8")  # has an exact square
    below = np.exp(-high * high) * np.exp((high - x) * (high + x))
    return below * _polynomial(_FAR, (x - 4) / (x + 4)) / (1 + 2 * x)


def _double(x: np.ndarray) -> Value:
    out = np.empty_like(x)
    near = np.abs(x) < 1
    far = np.logical_not(near)
    out[near] = _near(x[near])
    rest = x[far]
    out[far] = np.copysign(1 - _tail(np.abs(rest)), rest)
    return out


def _single(x: np.ndarray) -> Value:
    x = x.clip(-_SINGLE_END, _SINGLE_END)
    t = _polynomial(_SINGLE, x * x)
    t *= x
    return np.tanh(t, out=t)


def _half(x: np.ndarray) -> Value:
    """(1 + erf(x / sqrt(2))) / 2 in single precision."""
    t = _single(x * _HALF_ROOT)
    t *= 0.5
    t += 0.5
    return t


def _complement(x: np.ndarray) -> Value:
    out = np.empty_like(x)
    near = np.abs(x) < 0.5
    far = np.logical_not(near)
    out[near] = 1 - _near(x[near])
    rest = x[far]
    tail = _tail(np.abs(rest))
    out[far] = np.where(rest < 0, 2 - tail, tail)
    return out


def _by_blocks(piece: Piece, x: np.ndarray) -> Value:
    """``piece`` of all elements, some at a time."""
    flat = x.reshape(-1)
    if flat.size <= _BLOCK:
        return piece(flat).reshape(x.shape)
    out = np.empty_like(flat)
    for start in range(0, flat.size, _BLOCK):
        out[start : start + _BLOCK] = piece(flat[start : start + _BLOCK])
    return out.reshape(x.shape)


def _floating(x: Value) -> Value:
    """As an array of floats; whole numbers become float64, as for NumPy's functions."""
    array = np.asarray(x)
    if array.dtype.kind == "c":
        raise TypeError("the error function is for real numbers")
    return array if array.dtype.kind == "f" else array.astype("f8")


def _each(function: Callable[[float], float], x: np.ndarray) -> Value:
    return np.array([function(one) for one in x.ravel().tolist()], x.dtype).reshape(x.shape)


def erf_of(x: Value) -> Any:
    """The error function of an array."""
    x = _floating(x)
    if x.size <= _FEW:
        return _each(math.erf, x)
    if x.dtype.itemsize <= 4:
        return _by_blocks(_single, x.astype("f4", copy=False)).astype(x.dtype, copy=False)
    return _by_blocks(_double, x.astype("f8", copy=False)).astype(x.dtype, copy=False)


def half_erf(x: Value) -> Any:
    """(1 + erf(x / sqrt(2))) / 2: what a standard normal variable is below ``x`` with."""
    if x.size > _FEW and x.dtype == np.float32:
        return _by_blocks(_half, x)
    half = np.asarray(erf_of(x * _HALF_ROOT))
    half *= 0.5
    half += 0.5
    return half


def _erfc(x: Value) -> Value:
    x = _floating(x)
    if x.size <= _FEW:
        return _each(math.erfc, x)
    return _by_blocks(_complement, x.astype("f8", copy=False)).astype(x.dtype, copy=False)


erf: Op = op("erf", erf_of, "x", also="special.erf", x=lambda g, x: g * (np.exp(-x * x) * _SLOPE))
op("erfc", _erfc, "x", also="special.erfc", x=lambda g, x: g * (np.exp(-x * x) * -_SLOPE))
