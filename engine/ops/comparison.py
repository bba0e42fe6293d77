"""Questions to elements, and their bits: no gradient flows through these.

Rounding belongs here. PyTorch says zero where this engine says that there is none.
"""

from __future__ import annotations

import numpy as np

from ..values import Value
from .op import op


def _round(x: Value, decimals: int = 0) -> Value:
    return np.round(x, decimals) if decimals else np.rint(x)


def _isclose(
    a: Value, b: Value, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> Value:
    return np.isclose(a, b, rtol, atol, equal_nan)


def _allclose(
    a: Value, b: Value, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> Value:
    return np.allclose(a, b, rtol, atol, equal_nan)


def _array_equal(a: Value, b: Value, equal_nan: bool = False) -> Value:
    return np.array_equal(a, b, equal_nan)


# -- how two compare -------------------------------------------------------------------------------

op("eq", np.equal, "a b")
op("ne", np.not_equal, "a b")
op("lt", np.less, "a b")
op("le", np.less_equal, "a b")
op("gt", np.greater, "a b")
op("ge", np.greater_equal, "a b")
op("isclose", _isclose, "a b", numpy=np.isclose)
op("allclose", _allclose, "a b", numpy=np.allclose)
op("array_equal", _array_equal, "a b", numpy=np.array_equal, torch=None)

# -- truth and bits --------------------------------------------------------------------------------

op("logical_and", np.logical_and, "a b")
op("logical_or", np.logical_or, "a b")
op("logical_xor", np.logical_xor, "a b")
op("logical_not", np.logical_not, "x")
op("bitwise_and", np.bitwise_and, "a b")
op("bitwise_or", np.bitwise_or, "a b")
op("bitwise_xor", np.bitwise_xor, "a b")
op("bitwise_not", np.invert, "x")
op("bitwise_left_shift", np.left_shift, "a b")
op("bitwise_right_shift", np.right_shift, "a b")

# -- what an element is ----------------------------------------------------------------------------

op("isnan", np.isnan, "x")
op("isinf", np.isinf, "x")
op("isfinite", np.isfinite, "x")
op("isposinf", lambda x: np.isposinf(x), "x", numpy=np.isposinf)
op("isneginf", lambda x: np.isneginf(x), "x", numpy=np.isneginf)
op("signbit", np.signbit, "x")

# -- rounding and steps ----------------------------------------------------------------------------

op("floor", np.floor, "x")
op("ceil", np.ceil, "x")
op("trunc", np.trunc, "x", also="fix")
op("round", _round, "x", numpy=(np.rint, np.round, np.around))
op("heaviside", np.heaviside, "a b")
op("nextafter", np.nextafter, "a b")
