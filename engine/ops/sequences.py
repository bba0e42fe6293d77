"""Vectors as sequences: convolutions, polynomials, counts in bins."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..values import Shape, Value
from .indexing import getitem
from .op import composed, op

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
