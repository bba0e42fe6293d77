"""The exponential of a matrix, by scaling and squaring."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..values import Value
from .linalg import cubic, eye, t
from .op import op

# Of the Pade approximant of degree 13, and the norm up to which it is exact in float64:
# Higham, The scaling and squaring method for the matrix exponential revisited, 2005.
_PADE = [math.factorial(26 - k) // (math.factorial(k) * math.factorial(13 - k)) for k in range(14)]
_COEFFICIENTS = [c / _PADE[-1] for c in _PADE]
_REACH = 5.37


def _matrix_exp(x: Value) -> Value:
    """A batch is scaled by its largest matrix."""
    norm = float(np.abs(x).sum(-2).max(initial=0))
    if not math.isfinite(norm):
        return np.full_like(x, np.nan)
    squarings = max(0, math.ceil(math.log2(norm / _REACH))) if norm else 0
    out = _approximant(x / 2**squarings)
    for _ in range(squarings):
        out = out @ out
    return out


def _approximant(x: Value) -> Value:
    c, one = _COEFFICIENTS, eye(x)
    x2 = x @ x
    x4 = x2 @ x2
    x6 = x4 @ x2
    odd = x6 @ (c[13] * x6 + c[11] * x4 + c[9] * x2) + c[7] * x6 + c[5] * x4 + c[3] * x2
    even = x6 @ (c[12] * x6 + c[10] * x4 + c[8] * x2) + c[6] * x6 + c[4] * x4 + c[2] * x2
    odd, even = x @ (odd + c[1] * one), even + c[0] * one
    return np.linalg.solve(even - odd, even + odd)


def _matrix_exp_pull(g: Value, x: Value) -> Value:
    """The corner of the exponential of a matrix of blocks: Mathias, 1996, theorem 2.1."""
    n, x = x.shape[-1], t(x)
    top = np.concatenate([x, g], axis=-1)
    bottom = np.concatenate([x * 0, x], axis=-1)
    return matrix_exp(np.concatenate([top, bottom], axis=-2))[..., :n, n:]


matrix_exp: Any = op(
    "linalg.matrix_exp",
    _matrix_exp,
    "x",
    also="matrix_exp linalg.expm",
    cost=lambda g, *saved: 20 * cubic(g),
    x=_matrix_exp_pull,
)
