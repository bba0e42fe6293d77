"""Sorting and selecting. Ties keep their order; NaN counts as larger than all else.

``sort`` answers values, as NumPy's does; ``argsort`` tells from where. What only PyTorch has
answers as there: ``topk`` and ``kthvalue`` give values and indices. Which of several equal elements
``partition``, ``topk`` and ``kthvalue`` take is not said. Indices are constants.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ..values import Shape, Value
from .along import one_axis, places
from .op import composed, op
from .writing import setitem

Whole = int | None


class Selected(NamedTuple):
    """What ``topk`` and ``kthvalue`` answer. Immutable."""

    values: Any
    indices: Any


# -- all of them -----------------------------------------------------------------------------------


def _argsort(
    x: Value,
    axis: Whole = -1,
    descending: bool = False,
    stable: bool = True,
    kind: str | None = None,
) -> Value:
    """The stable order; ``stable`` and ``kind`` ask for no less."""
    if axis is None:
        x, axis = x.reshape(-1), -1
    if not descending:
        return np.argsort(x, axis=axis, kind="stable")
    # Backwards twice: of equal elements the first still comes first.
    if not x.ndim:
        return np.zeros((), np.intp)
    turned = np.flip(np.argsort(np.flip(x, axis), axis=axis, kind="stable"), axis)
    return x.shape[axis] - 1 - turned


def _sort(
    x: Value,
    axis: Whole = -1,
    descending: bool = False,
    stable: bool = True,
    kind: str | None = None,
) -> tuple[Value, Any]:
    if axis is None:
        x, axis = x.reshape(-1), -1
    return _picked(x, _argsort(x, axis, descending), axis)


def _picked(x: Value, indices: Value, axis: int) -> tuple[Value, Any]:
    """The elements at ``indices`` along ``axis``, and where they lie in the array."""
    if not x.ndim:
        return x.copy(), ()
    index = places(indices, one_axis(axis, x.ndim))
    return x[index], index


def _unpick(g: Value, index: Any, shape: Shape) -> Value:
    """Zeros with ``g`` at ``index``, which holds no place twice."""
    return setitem(np.zeros(shape, g.dtype), g, index=index)


def _sort_pull(g: Value, x_shape: Shape, index: Any, axis: Whole) -> Value:
    if axis is None:
        return _unpick(g, index, g.shape).reshape(x_shape)
    return _unpick(g, index, x_shape)


def _partition(x: Value, kth: Any, axis: Whole = -1) -> tuple[Value, Any]:
    if axis is None:
        x, axis = x.reshape(-1), -1
    return _picked(x, np.argpartition(x, kth, axis=axis), axis)


sort = op("sort", _sort, "x", numpy=np.sort, residuals={"index": None}, x=_sort_pull)
op(
    "partition",
    _partition,
    "x",
    numpy=np.partition,
    torch=None,
    residuals={"index": None},
    x=_sort_pull,
)
op("argsort", _argsort, "x", numpy=np.argsort)
composed("msort", lambda x: sort(x, axis=0), "x")

# -- some of them ----------------------------------------------------------------------------------


def _topk(
    x: Value, k: int, axis: int = -1, largest: bool = True, sorted: bool = True
) -> tuple[Value, ...]:
    """The ``k`` largest or smallest. They always come sorted, which ``sorted`` does not undo."""
    n = x.shape[axis] if x.ndim else 1
    if not 0 <= k <= n:
        raise ValueError(f"k={k} of {n} elements")
    if not x.ndim:
        return x.copy(), np.zeros((), np.intp), ()
    sides = slice(n - k, None) if largest else slice(None, k)
    before = (slice(None),) * one_axis(axis, x.ndim)
    some = np.argpartition(x, (n - k if largest else k - 1) % max(n, 1), axis=axis) if k else None
    chosen = np.argsort(x, axis=axis)[(*before, sides)] if some is None else some[(*before, sides)]
    order = _argsort(np.take_along_axis(x, chosen, axis), axis, descending=largest)
    indices = np.take_along_axis(chosen, order, axis)
    values, index = _picked(x, indices, axis)
    return values, indices, index


def _kthvalue(x: Value, k: int, axis: int = -1, keepdims: bool = False) -> tuple[Value, ...]:
    """The ``k``-th smallest, counted from 1."""
    n = x.shape[axis] if x.ndim else 1
    if not 1 <= k <= n:
        raise ValueError(f"k={k} of {n} elements, counted from 1")
    if not x.ndim:
        return x.copy(), np.zeros((), np.intp), ()
    indices = np.take(np.argpartition(x, k - 1, axis=axis), [k - 1], axis=axis)
    values, index = _picked(x, indices, axis)
    if keepdims:
        return values, indices, index
    return values.squeeze(axis), indices.squeeze(axis), index


def _kthvalue_pull(g: list[Value], x_shape: Shape, index: Any, axis: int, keepdims: bool) -> Value:
    slope = g[0] if keepdims or not x_shape else np.expand_dims(g[0], axis)
    return _unpick(slope, index, x_shape)


op(
    "topk",
    _topk,
    "x",
    outputs=Selected,
    residuals={"index": None},
    x=lambda g, x_shape, index: _unpick(g[0], index, x_shape),
)
op(
    "kthvalue",
    _kthvalue,
    "x",
    outputs=Selected,
    residuals={"index": None},
    x=_kthvalue_pull,
)

# -- distinct ones, and places ---------------------------------------------------------------------


def _searchsorted(
    a: Value, v: Value, side: Any = "left", sorter: Value = None, right: bool = False
) -> Value:
    return np.searchsorted(a, v, side="right" if right else side, sorter=sorter)


class Distinct(NamedTuple):
    """What ``unique_all`` answers, as the array API names it. Immutable."""

    values: Any
    indices: Any
    inverse_indices: Any
    counts: Any


def _unique_all(x: Value, axis: Whole = None) -> tuple[Any, ...]:
    found = np.unique(x, return_index=True, return_inverse=True, return_counts=True, axis=axis)
    before = 0 if axis is None else one_axis(axis, x.ndim)
    return *found, (*[slice(None)] * before, found[1])


def _unique_pull(g: list[Value], x_shape: Shape, index: Any, axis: Whole) -> Value:
    """Of equal elements the first gets the gradient."""
    shape = (math.prod(x_shape),) if axis is None else x_shape
    return _unpick(g[0], index, shape).reshape(x_shape)


def _unique(
    x: Value,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: Whole = None,
) -> Any:
    """The distinct elements in order; what more is asked for follows, in NumPy's order."""
    found = unique_all(x, axis=axis)
    asked = (True, return_index, return_inverse, return_counts)
    answers = tuple(each for each, wanted in zip(found, asked, strict=True) if wanted)
    return answers if len(answers) > 1 else answers[0]


unique_all = op(
    "unique_all",
    _unique_all,
    "x",
    numpy=np.unique_all,
    torch=None,
    outputs=Distinct,
    residuals={"index": None},
    x=_unique_pull,
)
op("searchsorted", _searchsorted, "a v", numpy=np.searchsorted)
composed("unique", _unique, "x", numpy=np.unique)
