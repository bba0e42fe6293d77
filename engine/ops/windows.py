"""Windows that slide over the spatial axes of (N, C, ...): geometry, and sums over what they see.

``size``, ``stride`` and ``dilation`` are tuples, one int a spatial axis; ``padding`` one pair
(before, after) a spatial axis. ``unfold`` lays the windows out, ``fold`` adds them up again; each
is the gradient of the other, and neither ever writes through overlapping views.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import product

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ..values import Shape, Value
from .op import Op, op

Ints = tuple[int, ...]
Pairs = tuple[tuple[int, int], ...]


def counts(shape: Shape, size: Ints, stride: Ints, padding: Pairs, dilation: Ints) -> Ints:
    """How many windows fit along each spatial axis of an array (N, C, ...) of ``shape``.

    Raises ``ValueError`` where the array has other axes, or none fits.
    """
    if len(shape) != len(size) + 2:
        raise ValueError(
            f"the input must have {len(size) + 2} axes (N, C and {len(size)} spatial ones), "
            f"got shape {shape}"
        )
    found = tuple(
        (n + before + after - d * (k - 1) - 1) // s + 1
        for n, k, s, (before, after), d in zip(
            shape[2:], size, stride, padding, dilation, strict=True
        )
    )
    if min(found) < 1:
        raise ValueError(
            f"a window of {size} (dilation {dilation}, padding {padding}) does not fit into {shape}"
        )
    return found


def padded(x: Value, padding: Pairs, fill: float = 0) -> Value:
    """``x`` with ``fill`` around its spatial axes; ``x`` itself where there is none to add."""
    if not any(map(any, padding)):
        return x
    sizes = [n + sum(pair) for n, pair in zip(x.shape[2:], padding, strict=True)]
    shape = (*x.shape[:2], *sizes)
    out = np.full(shape, fill, x.dtype) if fill else np.zeros(shape, x.dtype)
    out[inner(x.shape, padding)] = x
    return out


def inner(shape: Shape, padding: Pairs) -> tuple[slice, ...]:
    """Where in a padded array the array of ``shape`` lies."""
    spans = zip(shape[2:], padding, strict=True)
    return (slice(None), slice(None), *[slice(lo, lo + n) for n, (lo, _) in spans])


def cropped(wide: Value, shape: Shape, padding: Pairs) -> Value:
    """The array of ``shape`` in a padded one: itself where there is no padding, else a view."""
    return wide[inner(shape, padding)] if any(map(any, padding)) else wide


def patches(x: Value, size: Ints, stride: Ints, dilation: Ints, count: Ints) -> Value:
    """The windows as a read-only view (N, C, *size, *count) of a padded ``x``."""
    spatial = x.strides[2:]
    return as_strided(
        x,
        (*x.shape[:2], *size, *count),
        (
            *x.strides[:2],
            *[step * d for step, d in zip(spatial, dilation, strict=True)],
            *[step * s for step, s in zip(spatial, stride, strict=True)],
        ),
        writeable=False,
    )


def places(
    size: Ints, stride: Ints, dilation: Ints, count: Ints
) -> Iterator[tuple[Ints, tuple[slice, ...]]]:
    """Each offset in a window, and what all windows see there, as an index of a padded array."""
    for offset in product(*map(range, size)):
        spans = zip(offset, stride, dilation, count, strict=True)
        seen = [slice(o * d, o * d + (n - 1) * s + 1, s) for o, s, d, n in spans]
        yield offset, (slice(None), slice(None), *seen)


def _unfold(x: Value, size: Ints, stride: Ints, padding: Pairs, dilation: Ints) -> Value:
    count = counts(x.shape, size, stride, padding, dilation)
    seen = patches(padded(x, padding), size, stride, dilation, count)
    out = seen.reshape(len(x), x.shape[1] * math.prod(size), math.prod(count))
    return out.copy() if np.may_share_memory(out, x) else out


def _fold(
    g: Value, spatial: Shape, size: Ints, stride: Ints, padding: Pairs, dilation: Ints
) -> Value:
    """One addition an offset: every element of a slice is written once."""
    shape = (len(g), g.shape[1] // math.prod(size), *spatial)
    count = counts(shape, size, stride, padding, dilation)
    if g.shape != (len(g), shape[1] * math.prod(size), math.prod(count)):
        raise ValueError(f"{math.prod(count)} windows of {size} make up {spatial}, got {g.shape}")
    sizes = [n + sum(pair) for n, pair in zip(spatial, padding, strict=True)]
    out = np.zeros((*shape[:2], *sizes), g.dtype)
    laid = g.reshape(*shape[:2], *size, *count)
    for offset, seen in places(size, stride, dilation, count):
        out[seen] += laid[(slice(None), slice(None), *offset)]
    return cropped(out, shape, padding)


unfold: Op = op(
    "nn.unfold",
    _unfold,
    "x",
    x=lambda g, x_shape, size, stride, padding, dilation: fold(
        g, x_shape[2:], size, stride, padding, dilation
    ),
)
fold: Op = op(
    "nn.fold",
    _fold,
    "g",
    g=lambda g, size, stride, padding, dilation: unfold(g, size, stride, padding, dilation),
)
