"""Choosing between elements: extremes of two, conditions, bounds.

Conventions are PyTorch's: a tie in ``maximum`` and ``minimum`` is shared evenly, in ``fmax`` and
``fmin`` it goes to the first; a bound of ``clip`` passes the gradient on to what lies on it.

``where`` cuts off what it does not choose, but cannot make a NaN of an infinite slope good:
``where(x > 0, log(x), 0)`` has the gradient NaN at 0, because 0 times infinity comes back through
``log``. Choose before and after: ``where(x > 0, log(where(x > 0, x, 1)), 0)``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from ..errors import IndexRangeError, ShapeError
from ..values import Value
from .op import Op, composed, op
from .parting import Several

# From so many elements on, where a mask is random, choosing by bits is many times faster: NumPy's
# loop over a mask takes a branch for each element.
MANY = 1024
# A 0-d array of the right dtype makes a ufunc call half as dear as a Python scalar does. Immutable.
ZEROS = {np.dtype(kind): np.zeros((), kind) for kind in ("f2", "f4", "f8")}
_BITS = {np.dtype("f4"): np.dtype("i4"), np.dtype("f8"): np.dtype("i8")}


def _by_bits(mask: Value, x: Value) -> bool:
    """Whether ``x`` is large, and laid out so that its bits can be chosen."""
    return (
        type(x) is type(mask) is np.ndarray
        and x.size >= MANY
        and x.dtype in _BITS
        and mask.dtype == np.bool_
        and mask.shape == x.shape
        and x.flags.c_contiguous
        and mask.flags.c_contiguous
    )


def _ones_where(mask: np.ndarray, bits: Any) -> Value:
    """All bits set where ``mask``, none elsewhere."""
    ones = mask.view(np.int8).astype(bits)
    return np.negative(ones, out=ones)


def only(g: Value, mask: Value) -> Value:
    """``g`` where ``mask``, else 0, also where ``g`` is infinite or NaN."""
    if not _by_bits(mask, g):
        return np.where(mask, g, ZEROS.get(g.dtype, 0))
    bits = _ones_where(mask, _BITS[g.dtype])
    bits &= g.view(bits.dtype)
    return bits.view(g.dtype)


# -- the larger, the smaller -----------------------------------------------------------------------


def _winner(g: Value, loses: Value, ties: Value) -> Value:
    """``g`` where a side wins, half of it where it ties; a NaN loses to nobody."""
    won = only(g, np.logical_not(loses))
    if type(ties) is np.ndarray and not ties.any():
        return won
    return np.where(ties, g * 0.5, won)


def _first(g: Value, a: Value, b: Value, beats: Any, wins: bool) -> Value:
    """``g`` where the first ``wins``, or does not; a NaN loses to all."""
    first = np.logical_or(beats(a, b), np.isnan(b))
    return only(g, first if wins else np.logical_not(first))


op(
    "maximum",
    np.maximum,
    "a b",
    ordered=True,
    a=lambda g, a, b: _winner(g, np.less(a, b), np.equal(a, b)),
    b=lambda g, a, b: _winner(g, np.less(b, a), np.equal(a, b)),
)
op(
    "minimum",
    np.minimum,
    "a b",
    ordered=True,
    a=lambda g, a, b: _winner(g, np.greater(a, b), np.equal(a, b)),
    b=lambda g, a, b: _winner(g, np.greater(b, a), np.equal(a, b)),
)
op(
    "fmax",
    np.fmax,
    "a b",
    ordered=True,
    a=lambda g, a, b: _first(g, a, b, np.greater_equal, True),
    b=lambda g, a, b: _first(g, a, b, np.greater_equal, False),
)
op(
    "fmin",
    np.fmin,
    "a b",
    ordered=True,
    a=lambda g, a, b: _first(g, a, b, np.less_equal, True),
    b=lambda g, a, b: _first(g, a, b, np.less_equal, False),
)

# -- conditions ------------------------------------------------------------------------------------


def _where(condition: Value, x: Value, y: Value) -> Value:
    if x is None or y is None:
        raise TypeError("where takes a condition alone, or a condition and two values")
    return chosen(condition, x, y)


def chosen(condition: Value, x: Value, y: Value) -> Value:
    """``np.where(condition, x, y)``, faster."""
    if not (_by_bits(condition, x) and _by_bits(condition, y) and x.dtype == y.dtype):
        return np.where(condition, x, y)
    bits = _ones_where(condition, _BITS[x.dtype])
    other = y.view(bits.dtype)
    bits &= x.view(bits.dtype) ^ other
    bits ^= other
    return bits.view(x.dtype)


def _masked_fill(x: Value, mask: Value, value: Value) -> Value:
    return chosen(mask, np.asarray(value, x.dtype), x)


class _Where(Op):
    """Of a condition alone the indices where it holds, an array for each axis."""

    def bind(
        self, args: tuple[Any, ...], keywords: Mapping[str, Any]
    ) -> tuple[Op, tuple[Any, ...], dict[str, Any]]:
        if len(args) == 1 and not keywords:
            return _indices(np.ndim(args[0])), args, {}
        return super().bind(args, keywords)


@lru_cache(maxsize=64)
def _indices(ndim: int) -> Op:
    return Op("where", np.nonzero, "condition", {}, outputs=Several(ndim))


op(
    "where",
    _where,
    "condition x y",
    numpy=np.where,
    kind=_Where,
    x=lambda g, condition: only(g, condition),
    y=lambda g, condition: only(g, np.logical_not(condition)),
)
op(
    "masked_fill",
    _masked_fill,
    "x mask value",
    x=lambda g, mask: only(g, np.logical_not(mask)),
    value=lambda g, mask: only(g, mask),
)


def _select(conditions: Sequence[Value], choices: Sequence[Value], default: Value = 0) -> Value:
    """The first condition that holds chooses."""
    if len(conditions) != len(choices):
        raise ShapeError(f"select: {len(conditions)} conditions, {len(choices)} choices")
    for condition, choice in zip(reversed(conditions), reversed(choices), strict=True):
        default = np.where(condition, choice, default)
    return default


def _choose(a: Value, choices: Sequence[Value], mode: Any = "raise") -> Value:
    """``choices[a[i]][i]`` for all indices i, of arrays broadcast against each other."""
    which: Any = np.asarray(a)
    shape = np.broadcast_shapes(which.shape, *[np.shape(choice) for choice in choices])
    stacked = np.stack([np.broadcast_to(choice, shape) for choice in choices])
    try:
        which = np.choose(which, range(len(choices)), mode=mode)  # wrapped, clipped or refused
    except (ValueError, TypeError) as error:
        raise IndexRangeError(f"choose, of {len(choices)} choices: {error}") from error
    return stacked[(np.broadcast_to(which, shape), *np.indices(shape, sparse=True))]


composed("numpy.select", _select, "*condlist *choicelist default", numpy=np.select, torch=None)
composed("choose", _choose, "a *choices", numpy=np.choose, torch=None)

# -- bounds ----------------------------------------------------------------------------------------


def _clip(x: Value, min: Value, max: Value) -> Value:
    return x.clip(min, max) if type(x) is np.ndarray else np.clip(x, min, max)


def _clip_pull(g: Value, x: Value, min: Value, max: Value) -> Value:
    """What lies between the bounds, or on one, passes ``g`` on; a NaN does not."""
    inside: Any = np.logical_not(np.isnan(x)) if min is None else np.greater_equal(x, min)
    return only(g, inside if max is None else np.logical_and(inside, np.less_equal(x, max)))


def _clip_low(g: Value, x: Value, min: Value, max: Value) -> Value:
    below = np.less(x, min)
    return only(g, below if max is None else np.logical_and(below, np.less(min, max)))


def _clip_high(g: Value, x: Value, min: Value, max: Value) -> Value:
    """The upper bound wins where it is below the lower one."""
    above = np.greater(x, max)
    return only(g, above if min is None else np.logical_or(above, np.less(max, min)))


def _nan_to_num(
    x: Value, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None
) -> Value:
    return np.nan_to_num(x, nan=nan, posinf=posinf, neginf=neginf)


op(
    "clip",
    _clip,
    "x min max",
    numpy=np.clip,
    torch="clamp",
    ordered=True,
    x=_clip_pull,
    min=_clip_low,
    max=_clip_high,
)
op(
    "nan_to_num",
    _nan_to_num,
    "x",
    numpy=np.nan_to_num,
    ordered=True,
    x=lambda g, x: only(g, np.isfinite(x)),
)
