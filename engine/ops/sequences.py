"""Vectors as sequences: convolutions, polynomials, counts in bins."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..values import Shape, Value
from ._scipy import scipy
from .indexing import getitem
from .op import composed, op
from .writing import setitem

# -- convolution -----------------------------------------------------------------------------------


def _convolve(a: Value, v: Value, mode: Any = "full") -> Value:
    return np.convolve(a, v, mode)


def _full(g: Value, n: int, m: int, mode: str) -> Value:
    """The gradient of the full convolution of ``n`` with ``m`` elements, of which one sees a part.

    The part that ``mode`` leaves starts where NumPy's does.
    """
    start = {"full": 0, "same": (min(n, m) - 1) // 2, "valid": min(n, m) - 1}[mode]
    before = np.zeros(start, g.dtype)
    behind = np.zeros(n + m - 1 - start - len(g), g.dtype)
    return np.concatenate([before, g, behind])


def _convolve_pull(g: Value, a_shape: Shape, v: Value, mode: str) -> Value:
    return convolve(_full(g, a_shape[0], len(v), mode), v[::-1], mode="valid")


convolve = op(
    "convolve",
    _convolve,
    "a v",
    numpy=np.convolve,
    torch=None,
    a=_convolve_pull,
    v=lambda g, v_shape, a, mode: _convolve_pull(g, v_shape, a, mode),
)

# The same for arrays of more axes, from SciPy. ``mode="same"`` is centred on the first.


def _convolve_nd(in1: Value, in2: Value, mode: str = "full", method: str = "auto") -> Value:
    return scipy("signal").convolve(in1, in2, mode=mode, method=method)


def _full_nd(g: Value, own: Shape, other: Shape, skipped: Shape) -> Value:
    """The gradient of the full convolution, of which one sees what comes after ``skipped``."""
    window = tuple(slice(s, s + n) for s, n in zip(skipped, g.shape, strict=True))
    shape = [n + m - 1 for n, m in zip(own, other, strict=True)]
    return setitem(np.zeros(shape, g.dtype), g, index=window)


def _flipped(x: Value) -> Value:
    return x[(slice(None, None, -1),) * x.ndim]


def _skipped(n: Shape, m: Shape, mode: str) -> Shape:
    """How many elements of the full convolution come before what ``mode`` leaves."""
    if mode == "same":
        return tuple((b - 1) // 2 for b in m)
    valid = mode == "valid"
    return tuple(min(a, b) - 1 if valid else 0 for a, b in zip(n, m, strict=True))


def _convolve_nd_pull(
    g: Value, in1: Value, in2: Value, mode: str, method: str, needed: tuple[bool, bool]
) -> list[Value | None]:
    full = _full_nd(g, in1.shape, in2.shape, _skipped(in1.shape, in2.shape, mode))
    return [
        convolve_nd(full, _flipped(other), mode="valid", method=method) if wanted else None
        for other, wanted in zip((in2, in1), needed, strict=True)
    ]


convolve_nd = op(
    "scipy.signal.convolve",
    _convolve_nd,
    "in1 in2",
    torch=None,
    together=_convolve_nd_pull,
)

# -- polynomials -----------------------------------------------------------------------------------


def _polyval(p: Value, x: Value) -> Value:
    """By Horner's rule; the coefficient of the highest power comes first."""
    value = x * 0
    for coefficient in p:
        value = value * x + coefficient
    return value


composed("polyval", _polyval, "p x", numpy=np.polyval, torch=None)

# -- counts ----------------------------------------------------------------------------------------


def _bincount(x: Value, weights: Value, minlength: int = 0) -> Value:
    return np.bincount(x, weights, minlength)


op(
    "bincount",
    _bincount,
    "x weights",
    numpy=np.bincount,
    weights=lambda g, x: getitem(g, index=x),
)
