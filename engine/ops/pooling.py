"""Pooling, resampling, and the shuffles that go with them, of (N, C, ...).

One pass an axis and offset, over strided views: windows are never laid out. Of equal values in a
window the first gets the gradient, as in PyTorch; a NaN is the largest. Geometry as in ``windows``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import numpy as np

from ..values import Shape, Value
from .choice import only
from .op import Op, composed, op
from .windows import Ints, Pairs, counts, cropped, padded, places

Index = tuple[slice, ...]


def _offsets(axis: int, size: int, stride: int, dilation: int, count: int) -> Iterator[Index]:
    """What all windows see along one axis, an index for each offset in them."""
    before = (slice(None),) * axis
    for start in range(0, size * dilation, dilation):
        yield (*before, slice(start, start + (count - 1) * stride + 1, stride))


def _fold_axes(
    x: Value, size: Ints, stride: Ints, dilation: Ints, count: Ints, join: np.ufunc
) -> Value:
    """``join`` of all that each window sees in a padded ``x``; the axes one after the other."""
    for axis in reversed(range(len(size))):
        seen = _offsets(axis + 2, size[axis], stride[axis], dilation[axis], count[axis])
        first = x[next(seen)]
        second = next(seen, None)
        out = first.copy() if second is None else join(first, x[second])
        for index in seen:
            join(out, x[index], out=out)
        x = out
    return x


# -- the largest -----------------------------------------------------------------------------------


def _lowest(dtype: np.dtype[Any]) -> float:
    return -np.inf if dtype.kind == "f" else int(np.iinfo(dtype).min)


def _max_pool(x: Value, size: Ints, stride: Ints, padding: Pairs, dilation: Ints) -> Value:
    count = counts(x.shape, size, stride, padding, dilation)
    if any(2 * before > k for (before, _), k in zip(padding, size, strict=True)):
        raise ValueError(f"padding {padding} is more than half of the window {size}")
    wide = padded(x, padding, _lowest(x.dtype))
    return _fold_axes(wide, size, stride, dilation, count, np.maximum)


def _hits(
    x: Value, best: Value, size: Ints, stride: Ints, padding: Pairs, dilation: Ints
) -> Iterator[tuple[Index, Value]]:
    """For each offset, what the windows see there and which of them have their maximum there."""
    wide = padded(x, padding, _lowest(x.dtype))
    free = np.ones(best.shape, bool)
    for _, seen in places(size, stride, dilation, best.shape[2:]):
        hit = np.less(wide[seen], best)
        np.logical_not(hit, out=hit)  # nothing is less than a NaN
        hit &= free
        free ^= hit
        yield seen, hit


def _max_pool_input(
    g: Value, x: Value, best: Value, size: Ints, stride: Ints, padding: Pairs, dilation: Ints
) -> Value:
    """``g`` where the maxima were: linear in ``g``, while ``x`` and ``best`` only say where."""
    sizes = [n + sum(pair) for n, pair in zip(x.shape[2:], padding, strict=True)]
    out, g = np.zeros((*x.shape[:2], *sizes), g.dtype), np.ascontiguousarray(g)
    apart = all(d * (k - 1) < s for k, s, d in zip(size, stride, dilation, strict=True))
    for seen, hit in _hits(x, best, size, stride, padding, dilation):
        if apart:  # no two windows see the same
            out[seen] = only(g, hit)
        else:
            out[seen] += only(g, hit)
    return cropped(out, x.shape, padding)


def _max_pool_pick(
    v: Value, x: Value, best: Value, size: Ints, stride: Ints, padding: Pairs, dilation: Ints
) -> Value:
    """What ``v``, of the shape of ``x``, holds where the maxima were."""
    wide = padded(v, padding)
    out = np.zeros(best.shape, v.dtype)
    for seen, hit in _hits(x, best, size, stride, padding, dilation):
        np.copyto(out, wide[seen], where=hit)
    return out


def _max_pool_places(
    x: Value, best: Value, size: Ints, stride: Ints, padding: Pairs, dilation: Ints
) -> Value:
    """Where the maxima are, as indices of the flattened spatial axes."""
    spatial = x.shape[2:]
    flat = padded(np.arange(math.prod(spatial)).reshape(1, 1, *spatial), padding)
    out = np.zeros(best.shape, np.int64)
    for seen, hit in _hits(x, best, size, stride, padding, dilation):
        np.copyto(out, flat[seen], where=hit)
    return out


def _still(x: Value) -> Value:
    """The elements of an array or Tensor: here they only say where something is."""
    return x if isinstance(x, np.ndarray) else x.detach().numpy()


max_pool = op(
    "nn.max_pool",
    _max_pool,
    "x",
    x=lambda g, x, ans, size, stride, padding, dilation: max_pool_input(
        g, _still(x), _still(ans), size, stride, padding, dilation
    ),
)
max_pool_input: Op = op(
    "nn.max_pool_input",
    _max_pool_input,
    "g",
    g=lambda g, x, best, size, stride, padding, dilation: max_pool_pick(
        g, x, best, size, stride, padding, dilation
    ),
)
max_pool_pick: Op = op(
    "nn.max_pool_pick",
    _max_pool_pick,
    "v",
    v=lambda g, x, best, size, stride, padding, dilation: max_pool_input(
        g, x, best, size, stride, padding, dilation
    ),
)
op("nn.max_pool_places", _max_pool_places, "x best")

# -- the mean --------------------------------------------------------------------------------------


def _sum_pool(x: Value, size: Ints, stride: Ints, padding: Pairs) -> Value:
    dilation = (1,) * len(size)
    count = counts(x.shape, size, stride, padding, dilation)
    return _fold_axes(padded(x, padding), size, stride, dilation, count, np.add)


def _sum_pool_input(g: Value, spatial: Shape, size: Ints, stride: Ints, padding: Pairs) -> Value:
    """Its transpose: every element of a window gets the window's ``g``."""
    sizes = [n + sum(pair) for n, pair in zip(spatial, padding, strict=True)]
    for axis in range(len(size)):
        place = axis + 2
        shape = (*g.shape[:place], sizes[axis], *g.shape[place + 1 :])
        out = np.zeros(shape, g.dtype)
        for seen in _offsets(place, size[axis], stride[axis], 1, g.shape[place]):
            out[seen] += g
        g = out
    return cropped(g, (*g.shape[:2], *spatial), padding)


sum_pool: Op = op(
    "nn.sum_pool",
    _sum_pool,
    "x",
    x=lambda g, x_shape, size, stride, padding: sum_pool_input(
        g, x_shape[2:], size, stride, padding
    ),
)
sum_pool_input: Op = op(
    "nn.sum_pool_input",
    _sum_pool_input,
    "g",
    g=lambda g, size, stride, padding: sum_pool(g, size, stride, padding),
)


@lru_cache(maxsize=64)
def _seen(n: int, size: int, stride: int, padding: tuple[int, int], counted: int) -> Value:
    """How many of ``n`` elements, and of ``counted`` beside them, each window along an axis sees.

    Shared and read-only: immutable.
    """
    before, after = padding
    starts = np.arange(0, n + before + after - size + 1, stride) - before
    low, high = -min(counted, before), n + min(counted, after)
    found = np.minimum(starts + size, high) - np.maximum(starts, low)
    found.flags.writeable = False
    return found


def _avg_pool(
    x: Value,
    size: Ints,
    stride: Ints,
    padding: Pairs,
    counted: Ints | None = None,
    divisor: int | None = None,
) -> Value:
    """Means over windows. ``counted``: how much of the padding of each axis the means count, all of
    it if None; ``divisor``: what to divide the sums by instead."""
    total = sum_pool(x, size, stride, padding)
    if divisor is not None or counted is None:
        return total * (1 / (divisor or math.prod(size)))
    each = np.ones((), int)
    for along in zip(x.shape[2:], size, stride, padding, counted, strict=True):
        each = np.multiply.outer(each, _seen(*along))
    return total * (1 / each).astype(x.dtype)


composed("nn.avg_pool", _avg_pool, "x")

# -- resampling ------------------------------------------------------------------------------------


def _areas(here: int, there: int) -> Value:
    """Each is the mean of its part of the axis, as adaptive pooling cuts it."""
    out = np.zeros((there, here))
    for i in range(there):
        low, high = i * here // there, -(-(i + 1) * here // there)
        out[i, low:high] = 1 / (high - low)
    return out


def _between(here: int, at: Value) -> Value:
    """Each is a mean of its two neighbours, weighed by their distances."""
    at = np.maximum(at, 0)
    low = np.minimum(np.floor(at).astype(int), here - 1)
    part, unit = (at - low)[:, None], np.eye(here)
    return unit[low] * (1 - part) + unit[np.minimum(low + 1, here - 1)] * part


def _cubic(here: int, at: Value) -> Value:
    """Keys' cubic convolution of the four neighbours, with a = -0.75."""
    a, low, unit = -0.75, np.floor(at).astype(int), np.eye(here)
    out = np.zeros((len(at), here))
    for offset in (-1, 0, 1, 2):
        d = abs(at - low - offset)
        near = ((a + 2) * d - (a + 3)) * d * d + 1
        far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
        weight = np.where(d <= 1, near, far)
        out += weight[:, None] * unit[np.clip(low + offset, 0, here - 1)]
    return out


_KINDS: dict[str, Callable[[int, Value], Value]] = {
    "linear": _between,
    "cubic": _cubic,
}


@lru_cache(maxsize=64)
def _weights(
    here: int, there: int, mode: str, align_corners: bool, scale: float | None, dtype: str
) -> Value:
    """The matrix (here, there) that resamples an axis. Shared and read-only: immutable."""
    step, index = scale if scale else here / there, np.arange(there)
    if mode == "area":
        out = _areas(here, there)
    elif align_corners:
        out = _KINDS[mode](here, index * ((here - 1) / (there - 1) if there > 1 else 0))
    else:
        out = _KINDS[mode](here, (index + 0.5) * step - 0.5)
    out = np.ascontiguousarray(out.T, dtype)
    out.flags.writeable = False
    return out


def _nearest(here: int, there: int, mode: str, scale: float | None) -> Value:
    """Which element of an axis each of the ``there`` is."""
    middle = 0.5 if mode == "nearest-exact" else 0.0
    at = (np.arange(there) + middle) * (scale if scale else here / there)
    return np.minimum(np.floor(at).astype(int), here - 1)


def _resample(
    x: Value,
    spatial: Shape,
    mode: str = "nearest",
    align_corners: bool = False,
    steps: tuple[float | None, ...] | None = None,
) -> Value:
    """The spatial axes at other sizes, one after the other: each is a product with a matrix, but
    for the nearest elements, which are taken.

    ``mode``: ``area`` (means), ``nearest``, ``nearest-exact``, ``linear`` or ``cubic``. ``steps``:
    how far apart the samples lie, where that is not the ratio of the sizes.
    """
    dtype = np.dtype(x.dtype).str
    for axis, there in enumerate(spatial):
        here, step = x.shape[axis + 2], steps[axis] if steps else None
        if here == there and step is None:
            continue
        if mode == "area" and here % there == 0:
            cut = (*x.shape[: axis + 2], there, here // there, *x.shape[axis + 3 :])
            x = np.mean(x.reshape(cut), axis=axis + 3)
            continue
        if mode.startswith("nearest"):
            x = np.take(x, _nearest(here, there, mode, step), axis=axis + 2)
            continue
        weights = _weights(here, there, mode, align_corners, step, dtype)
        if axis == x.ndim - 3:
            x = np.matmul(x, weights)
        else:
            x = np.swapaxes(np.matmul(np.swapaxes(x, axis + 2, -1), weights), axis + 2, -1)
    return x


def _pixel_shuffle(x: Value, upscale_factor: int) -> Value:
    """(..., C r r, H, W) -> (..., C, H r, W r)."""
    r, (*batch, channels, height, width) = upscale_factor, x.shape
    cut = x.reshape((*batch, channels // (r * r), r, r, height, width))
    n = len(batch)
    turned = np.transpose(cut, (*range(n + 1), n + 3, n + 1, n + 4, n + 2))
    return turned.reshape((*batch, channels // (r * r), height * r, width * r))


def _pixel_unshuffle(x: Value, downscale_factor: int) -> Value:
    """(..., C, H r, W r) -> (..., C r r, H, W)."""
    r, (*batch, channels, height, width) = downscale_factor, x.shape
    cut = x.reshape((*batch, channels, height // r, r, width // r, r))
    n = len(batch)
    turned = np.transpose(cut, (*range(n + 1), n + 2, n + 4, n + 1, n + 3))
    return turned.reshape((*batch, channels * r * r, height // r, width // r))


composed("nn.resample", _resample, "x")
composed("nn.pixel_shuffle", _pixel_shuffle, "x")
composed("nn.pixel_unshuffle", _pixel_unshuffle, "x")
