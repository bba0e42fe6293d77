"""Bits of arrays: their digest, their distance from the exact sum, and arrays as text."""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Sequence
from math import fsum
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Array", "apart", "digest", "exact_sum", "packed", "relative", "ulps", "unpacked"]

Array = npt.NDArray[Any]


def digest(arrays: Sequence[Array]) -> str:
    """16 characters that tell arrays apart: by shape, dtype and bits.

    >>> digest([np.zeros(2)]) == digest([-np.zeros(2)])
    False
    """
    made = hashlib.sha256()
    for array in arrays:
        made.update(f"{array.shape} {array.dtype.str}".encode())
        made.update(np.ascontiguousarray(array).tobytes())
    return made.hexdigest()[:16]


def exact_sum(terms: Sequence[Array]) -> Array:
    """Element by element the exact sum, as a long double.

    ``math.fsum`` rounds the exact sum once, to a float64; a second one finds what that left over
    (where a long double is no longer than a float64, the rest is rounded away again).
    """
    columns = np.array(terms, np.float64).reshape(len(terms), -1).T.tolist()
    high = [fsum(column) for column in columns]
    low = [fsum([*column, -most]) for column, most in zip(columns, high, strict=True)]
    total = np.array(high, np.longdouble) + np.array(low, np.longdouble)
    return total.reshape(terms[0].shape)


def ulps(found: Array, exact: Array) -> float:
    """The largest error, in units in the last place that the exact value has in ``found``'s dtype.

    >>> ulps(np.array([1.0, 2.0 + 2**-51]), np.array([1.0, 2.0], np.longdouble))
    1.0
    """
    unit = np.spacing(np.abs(exact).astype(found.dtype)).astype(np.longdouble)
    return float(np.max(np.abs(found.astype(np.longdouble) - exact) / unit, initial=0.0))


def relative(found: Array, exact: Array) -> float:
    """The largest relative error; an exact zero must be met, or it is infinite."""
    off = np.abs(found.astype(np.longdouble) - exact)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(off == 0, 0.0, off / np.abs(exact))
    return float(np.max(share, initial=0.0))


def apart(one: Array, other: Array) -> tuple[int, float, float]:
    """How far two arrays are apart: elements that differ, most ULP of the first, most absolutely.

    >>> apart(np.array([1.0, 2.0]), np.array([1.0, 2.0 + 2**-51]))
    (1, 1.0, 4.44...e-16)
    """
    differ = int(np.count_nonzero(one != other))
    gap = np.abs(one.astype(np.longdouble) - other.astype(np.longdouble))
    return differ, ulps(other, one.astype(np.longdouble)), float(gap.max(initial=0.0))


def packed(array: Array) -> dict[str, Any]:
    """An array as what JSON takes, bit by bit.

    >>> unpacked(packed(np.array([1.5, -0.0], "f4")))
    array([ 1.5, -0. ], dtype=float32)
    """
    raw = np.ascontiguousarray(array).tobytes()
    text = base64.b64encode(zlib.compress(raw)).decode("ascii")
    return {"dtype": array.dtype.str, "shape": list(array.shape), "data": text}


def unpacked(text: dict[str, Any]) -> Array:
    """The array that ``packed`` has written."""
    raw = zlib.decompress(base64.b64decode(text["data"]))
    return np.frombuffer(raw, np.dtype(text["dtype"])).reshape(text["shape"])
