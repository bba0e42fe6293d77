"""PyTorch's and NumPy's many names for reading and writing by index, made of a few operations.

PyTorch's ``gather`` and ``scatter`` do not broadcast: an index that is shorter than the array along
another axis leaves the rest alone. Where an index occurs twice, ``scatter_add``, ``index_add`` and
``index_put(accumulate=True)`` add both; of what writes, the last alone counts. What writes does not
write here, but answers a new array; the methods that end in an underscore write.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from ..values import Shape, Value
from .indexing import argwhere, flat_places, getitem, places, put, take
from .loss_elementwise import still
from .op import composed
from .writing import setitem


def _constant(index: Value) -> Any:
    """An index as an array of its own: who writes to it later does not change what was meant."""
    return np.array(index)


def _slices(axis: int, ndim: int, part: Any) -> tuple[Any, ...]:
    """The index that is ``part`` along ``axis`` and takes the others whole."""
    return (slice(None),) * normalize_axis_index(axis, ndim) + (part,)


# -- reading ---------------------------------------------------------------------------------------


def _gather(x: Value, axis: int, index: Value) -> Value:
    flat = flat_places(still(index), axis, x.shape)
    if flat is not None:
        return take(x, flat)
    return getitem(x, index=_part_along(x, axis, _constant(index)))


def _part_along(x: Value, axis: int, index: Value) -> Any:
    """``index`` along ``axis`` as an index of a part of ``x`` that begins where ``x`` does."""
    if x.ndim != index.ndim:
        raise ValueError(f"an index with {index.ndim} axes for an array with {x.ndim}")
    return places(index, axis, index.shape)


def _masked_select(x: Value, mask: Value) -> Value:
    x, mask = np.broadcast_arrays(x, mask)
    return getitem(x, index=_constant(mask))


def _compress(condition: Value, a: Value, axis: int | None = None) -> Value:
    return take(a, np.flatnonzero(_constant(condition)), axis=axis)


def _nonzero(x: Value, as_tuple: bool = False) -> Any:
    found = argwhere(x)
    return tuple(found[:, axis] for axis in range(x.ndim)) if as_tuple else found


composed("gather", _gather, "x axis index")
composed("index_select", lambda x, axis, index: take(x, index, axis=axis), "x axis index")
composed("masked_select", _masked_select, "x mask")
composed("compress", _compress, "condition a", numpy=np.compress, torch=None)
composed(
    "extract",
    lambda condition, arr: _compress(np.ravel(condition), arr),
    "condition arr",
    numpy=np.extract,
    torch=None,
)
composed(
    "select",
    lambda x, axis, index: getitem(x, index=_slices(axis, x.ndim, index)),
    "x",
)
composed(
    "narrow",
    lambda x, axis, start, length: getitem(
        x, index=_slices(axis, x.ndim, slice(start, start + length))
    ),
    "x",
)
composed("nonzero", _nonzero, "x")
composed("numpy.nonzero", lambda a: _nonzero(a, True), "a", numpy=np.nonzero, torch=None)

# -- writing ---------------------------------------------------------------------------------------


def _put_along_axis(arr: Value, indices: Value, values: Value, axis: int | None = -1) -> Value:
    indices = _constant(indices)
    if axis is None:
        return setitem(arr.reshape(-1), values, index=indices).reshape(arr.shape)
    return setitem(arr, values, index=places(indices, axis, arr.shape))


def _part(src: Value, shape: Shape) -> Value:
    """As much of ``src`` as an index of ``shape`` asks for; a number as it is."""
    if np.ndim(src) == 0 or src.shape == shape:
        return src
    return src[tuple(map(slice, shape))]


def _scatter(x: Value, axis: int, index: Value, src: Value) -> Value:
    index = _constant(index)
    return setitem(x, _part(src, index.shape), index=_part_along(x, axis, index))


def _scatter_add(x: Value, axis: int, index: Value, src: Value) -> Value:
    part, flat = _part(src, index.shape), flat_places(still(index), axis, x.shape)
    if flat is not None:
        added = put(part.reshape(-1), index=flat.reshape(-1), shape=(math.prod(x.shape),))
        return x + added.reshape(x.shape)
    return x + put(part, index=_part_along(x, axis, _constant(index)), shape=x.shape)


def _index_add(x: Value, axis: int, index: Value, source: Value, alpha: float = 1) -> Value:
    source = source if alpha == 1 else source * alpha
    return x + put(source, index=_slices(axis, x.ndim, _constant(index)), shape=x.shape)


def _index_write(x: Value, axis: int, index: Value, value: Value) -> Value:
    return setitem(x, value, index=_slices(axis, x.ndim, _constant(index)))


def _index_put(
    x: Value, indices: Sequence[Value], values: Value, accumulate: bool = False
) -> Value:
    index = tuple(map(_constant, indices))
    if not accumulate:
        return setitem(x, values, index=index)
    shape = np.empty(x.shape, bool)[index].shape
    return x + put(np.broadcast_to(values, shape), index=index, shape=x.shape)


composed("put_along_axis", _put_along_axis, "arr indices values", torch=None)
composed("scatter", _scatter, "x axis index src")
composed("scatter_add", _scatter_add, "x axis index src")
composed("index_add", _index_add, "x axis index source")
composed("index_copy", _index_write, "x axis index source")
composed("index_fill", _index_write, "x axis index value")
composed("index_put", _index_put, "x")
