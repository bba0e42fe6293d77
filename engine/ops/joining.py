"""Several arrays into one, and one into several.

What is split is views, each with a history of its own. Where NumPy and PyTorch mean different
things by one name, NumPy's function means NumPy's, and the engine's PyTorch's: ``np.split(x, 2)``
makes two parts, ``engine.split(x, 2)`` parts of two.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from ..values import Shape, Value
from .op import composed, op
from .parting import Parts, cut, unbound
from .shape import at_least

Sections = int | Sequence[int]

# -- several into one ------------------------------------------------------------------------------


def _concatenate(arrays: Sequence[Value], axis: int | None = 0) -> Value:
    return np.concatenate(arrays, axis=axis)


def _concatenate_pull(g: Value, shapes: Sequence[Shape], axis: int | None) -> list[Value]:
    """Each array gets its part of ``g``, a view."""
    if axis is None:
        return [part.reshape(s) for part, s in _parts(g, [math.prod(s) for s in shapes], 0, shapes)]
    return [part for part, _ in _parts(g, [shape[axis] for shape in shapes], axis, shapes)]


def _parts(
    g: Value, sizes: Sequence[int], axis: int, shapes: Sequence[Shape]
) -> Iterator[tuple[Value, Shape]]:
    before, start = (slice(None),) * (axis % g.ndim), 0
    for size, shape in zip(sizes, shapes, strict=True):
        yield g[(*before, slice(start, start + size))], shape
        start += size


def _stack(arrays: Sequence[Value], axis: int = 0) -> Value:
    return np.stack(arrays, axis=axis)


def _stack_pull(g: Value, shapes: Sequence[Shape], axis: int) -> list[Value]:
    before = (slice(None),) * (axis % g.ndim)
    return [g[(*before, index, ...)] for index in range(len(shapes))]


op(
    "cat",
    _concatenate,
    "*arrays",
    numpy=np.concatenate,
    also="concat",
    together=_concatenate_pull,
)
op("stack", _stack, "*arrays", numpy=np.stack, together=_stack_pull)


def _hstack(arrays: Sequence[Value]) -> Value:
    flat = [at_least(1, x) for x in arrays]
    return np.concatenate(flat, axis=0 if flat[0].ndim == 1 else 1)


def _vstack(arrays: Sequence[Value]) -> Value:
    return np.concatenate([at_least(2, x) for x in arrays], axis=0)


def _dstack(arrays: Sequence[Value]) -> Value:
    return np.concatenate([at_least(3, x) for x in arrays], axis=2)


def _column_stack(arrays: Sequence[Value]) -> Value:
    return np.concatenate([x if x.ndim > 1 else x.reshape(-1, 1) for x in arrays], axis=1)


def _append(arr: Value, values: Value, axis: int | None = None) -> Value:
    values = values if hasattr(values, "shape") else np.asarray(values)
    return np.concatenate([arr, values], axis=axis)


def _block(arrays: Any) -> Value:
    """Innermost lists are joined along the last axis, those around them along the one before."""
    ndim = max(_depth(arrays), _widest(arrays))
    return _joined(arrays, ndim, ndim - _depth(arrays))


def _depth(arrays: Any) -> int:
    return 1 + max(map(_depth, arrays)) if isinstance(arrays, list) else 0


def _widest(arrays: Any) -> int:
    return max(map(_widest, arrays)) if isinstance(arrays, list) else np.ndim(arrays)


def _joined(arrays: Any, ndim: int, axis: int) -> Value:
    if not isinstance(arrays, list):
        if axis != ndim:
            raise ValueError("block: lists must be nested equally deep everywhere")
        x = arrays if hasattr(arrays, "ndim") else np.asarray(arrays)
        return x.reshape((1,) * (ndim - x.ndim) + tuple(x.shape))
    if not arrays:
        raise ValueError("block: lists must not be empty")
    return np.concatenate([_joined(x, ndim, axis + 1) for x in arrays], axis=axis)


def _array(values: Any) -> Value:
    """Numbers and arrays in nested sequences, stacked; an array is copied."""
    if isinstance(values, list | tuple) and any(map(_holds_arrays, values)):
        return np.stack([_array(value) for value in values])
    return np.copy(values) if hasattr(values, "shape") else np.asarray(values)


def _holds_arrays(values: Any) -> bool:
    if isinstance(values, list | tuple):
        return any(map(_holds_arrays, values))
    return hasattr(values, "shape")


composed("hstack", _hstack, "*arrays", numpy=np.hstack)
composed("vstack", _vstack, "*arrays", numpy=np.vstack, also="row_stack")
composed("dstack", _dstack, "*arrays", numpy=np.dstack)
composed("column_stack", _column_stack, "*arrays", numpy=np.column_stack)
composed("append", _append, "arr values", numpy=np.append, torch=None)
composed("block", _block, "", numpy=np.block, torch=None)
composed("array", _array, "", torch=None)

# -- one into several ------------------------------------------------------------------------------


def _bounds(size: int, sections: Sections) -> Sequence[int]:
    """Where to cut into so many parts, the first ones longer by one; or the places as given."""
    if not isinstance(sections, int | np.integer):
        return [int(place) for place in sections]
    if sections < 1:
        raise ValueError(f"cannot split into {sections} sections")
    each, more = divmod(size, sections)
    return [k * each + min(k, more) for k in range(1, sections)]


def _array_split(x: Value, indices_or_sections: Sections, axis: int = 0) -> Parts:
    return _cut(x, _bounds(x.shape[axis], indices_or_sections), axis)


def _split_equally(ary: Value, indices_or_sections: Sections, axis: int = 0) -> Parts:
    whole = isinstance(indices_or_sections, int | np.integer)
    if whole and ary.shape[axis] % indices_or_sections:
        raise ValueError(
            f"array split does not result in an equal division: {ary.shape[axis]} elements in "
            f"{indices_or_sections} sections"
        )
    return _array_split(ary, indices_or_sections, axis)


def _hsplit(x: Value, indices_or_sections: Sections) -> Parts:
    if not x.ndim:
        raise ValueError("hsplit: a number cannot be split")
    return _split_equally(x, indices_or_sections, min(1, x.ndim - 1))


def _vsplit(x: Value, indices_or_sections: Sections) -> Parts:
    if x.ndim < 2:
        raise ValueError(f"vsplit needs two axes, got {x.ndim}")
    return _split_equally(x, indices_or_sections, 0)


def _dsplit(x: Value, indices_or_sections: Sections) -> Parts:
    if x.ndim < 3:
        raise ValueError(f"dsplit needs three axes, got {x.ndim}")
    return _split_equally(x, indices_or_sections, 2)


def _split(x: Value, split_size: Sections, axis: int = 0) -> Parts:
    """Parts of a size, of which the last may be smaller, or of the sizes given."""
    size = x.shape[axis]
    if isinstance(split_size, int | np.integer):
        if split_size < 1:
            raise ValueError(f"split: parts of {split_size} elements")
        return _cut(x, range(split_size, size, split_size), axis)
    if sum(split_size) != size:
        raise ValueError(f"split: the sizes {list(split_size)} must add up to {size}")
    return _cut(x, np.cumsum(split_size)[:-1].tolist(), axis)


def _chunk(x: Value, chunks: int, axis: int = 0) -> Parts:
    """At most so many parts, all of one size but the last."""
    if chunks < 1:
        raise ValueError(f"chunk: {chunks} chunks")
    return _split(x, max(-(-x.shape[axis] // chunks), 1), axis)


def _cut(x: Value, bounds: Sequence[int], axis: int) -> Parts:
    return cut(x, bounds, normalize_axis_index(axis, x.ndim))


def _unbind(x: Value, axis: int = 0) -> Parts:
    return unbound(x, normalize_axis_index(axis, x.ndim))


composed("tensor_split", _array_split, "x", numpy=np.array_split)
composed("numpy.split", _split_equally, "ary", numpy=np.split, torch=None)
composed("hsplit", _hsplit, "x", numpy=np.hsplit)
composed("vsplit", _vsplit, "x", numpy=np.vsplit)
composed("dsplit", _dsplit, "x", numpy=np.dsplit)
composed("split", _split, "x")
composed("chunk", _chunk, "x")
composed("unbind", _unbind, "x", numpy=np.unstack)
