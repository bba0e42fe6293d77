"""One array into several, whose gradients come back in one array.

An operation here has as many outputs as parts are asked for: one node for all of them, so that to
take ``n`` rows apart costs ``n`` and not ``n`` squared. The parts are views, each as ``getitem``
would have made it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np

from ..values import Shape, Value
from .indexing import getitem
from .op import Op

Parts = tuple[Value, ...]
Bounds = tuple[int, ...]


class Several:
    """So many outputs, given as a tuple. Immutable."""

    def __init__(self, count: int) -> None:
        self._fields = tuple(f"part{k}" for k in range(count))

    def __call__(self, *parts: Value) -> Parts:
        return parts


def _at(axis: int, part: int | slice) -> tuple[Any, ...]:
    return (*(slice(None),) * axis, part)


def _unbind(x: Value, axis: int) -> Parts:
    return tuple(x[(*_at(axis, k), ...)] for k in range(x.shape[axis]))


def _unbind_pull(g: Sequence[Value], x_shape: Shape, axis: int) -> Value:
    return np.stack(_filled(g, [x_shape[:axis] + x_shape[axis + 1 :]] * len(g)), axis)


def _cut(x: Value, bounds: Bounds, axis: int) -> Parts:
    return tuple(x[_at(axis, span)] for span in _spans(bounds))


def _cut_pull(g: Sequence[Value], x_shape: Shape, bounds: Bounds, axis: int) -> Value:
    before, behind = x_shape[:axis], x_shape[axis + 1 :]
    shapes = [(*before, span.stop - span.start, *behind) for span in _spans(bounds)]
    return np.concatenate(_filled(g, shapes), axis)


def _spans(bounds: Bounds) -> list[slice]:
    return [slice(*pair) for pair in pairwise(bounds)]


def _filled(g: Sequence[Value], shapes: Sequence[Shape]) -> list[Value]:
    """The gradients of all parts: zeros for those that nothing flowed into."""
    dtype = next(one.dtype for one in g if one is not None)
    pairs = zip(g, shapes, strict=True)
    return [np.zeros(shape, dtype) if one is None else one for one, shape in pairs]


@lru_cache(maxsize=64)
def _unbinding(count: int) -> Op:
    return Op(
        "unbind",
        _unbind,
        "x",
        {"x": _unbind_pull},
        outputs=Several(count),
        parts=lambda k, axis: (getitem, {"index": _at(axis, k)}),
    )


@lru_cache(maxsize=64)
def _cutting(count: int) -> Op:
    return Op(
        "split",
        _cut,
        "x",
        {"x": _cut_pull},
        outputs=Several(count),
        parts=lambda k, bounds, axis: (
            getitem,
            {"index": _at(axis, slice(bounds[k], bounds[k + 1]))},
        ),
    )


def unbound(x: Value, axis: int) -> Parts:
    """Every element of ``x`` along ``axis``, which is not negative."""
    count = x.shape[axis]
    if count < 2:
        return tuple(getitem(x, index=_at(axis, k)) for k in range(count))
    parts: Parts = _unbinding(count)(x, axis=axis)
    return parts


def cut(x: Value, bounds: Sequence[int], axis: int) -> Parts:
    """``x`` cut before each of ``bounds``, as Python cuts: they may be negative or too large.

    ``axis`` is not negative.
    """
    spans = [slice(*pair).indices(x.shape[axis])[:2] for pair in _pairs(bounds)]
    whole = all(a[1] == b[0] for a, b in pairwise(spans))
    if len(spans) == 1 or not whole or any(a > b for a, b in spans):  # one part, or no partition
        return tuple(getitem(x, index=_at(axis, slice(*span))) for span in spans)
    found: Parts = _cutting(len(spans))(x, bounds=(0, *[stop for _, stop in spans]), axis=axis)
    return found


def _pairs(bounds: Sequence[int]) -> list[tuple[int, int | None]]:
    return list(zip([0, *bounds], [*bounds, None], strict=True))
