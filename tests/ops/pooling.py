"""Cases of `engine.ops.pooling`. NumPy's side looks at each window by itself."""

from typing import Any

import numpy as np

from tests.ops.case import Case, call
from tests.ops.convolution import _even, _windows

ONE = ((0, 0),)
TWO = ((0, 0), (0, 0))


def _spread(x, padding, fill):
    return np.pad(x, [(0, 0), (0, 0), *padding], constant_values=fill)


def _pool(x, size, stride, padding, dilation, fill, function):
    wide, found = _spread(x, padding, fill), {}
    for at, seen in _windows(x.shape, size, stride, padding, dilation):
        window = wide[(slice(None), slice(None), *seen)]
        found[at] = function(window.reshape(*x.shape[:2], int(np.prod(size))))
    out = np.zeros((*x.shape[:2], *(i + 1 for i in max(found))), x.dtype)
    for at, value in found.items():
        out[(..., *at)] = value
    return out


def _max_pool(x, size, stride, padding, dilation):
    return _pool(x, size, stride, padding, dilation, -np.inf, lambda window: window.max(-1))


def _sum_pool(x, size, stride, padding):
    return _pool(x, size, stride, padding, (1,) * len(size), 0, lambda window: window.sum(-1))


def _avg_pool(x, size, stride, padding, counted=None, divisor=None):
    by = np.prod(size) if divisor is None else divisor
    if counted is not None:
        seen = _spread(np.ones((1, 1, *x.shape[2:])), [(n, n) for n in counted], 1)
        more = [(lo - n, hi - n) for n, (lo, hi) in zip(counted, padding, strict=True)]
        by = _sum_pool(seen, size, stride, more)
    return (_sum_pool(x, size, stride, padding) / by).astype(x.dtype)


def _sum_pool_input(g, spatial, size, stride, padding):
    out = _spread(np.zeros((*g.shape[:2], *spatial), g.dtype), padding, 0)
    for at, seen in _windows(g.shape[:2] + spatial, size, stride, padding, (1,) * len(size)):
        out[(slice(None), slice(None), *seen)] += g[(..., *at)][(..., *[None] * len(size))]
    return out[
        (..., *[slice(lo, n - hi) for (lo, hi), n in zip(padding, out.shape[2:], strict=True)])
    ]


# An input with its maxima, for what only says where these are.
X = np.random.default_rng(3).permutation(40).reshape(2, 1, 4, 5) / 7.0
AT: dict[str, Any] = {
    "size": (2, 3),
    "stride": (2, 1),
    "padding": ((0, 0), (1, 1)),
    "dilation": (1, 1),
}
BEST = _max_pool(X, **AT)


def _first(x, best, size, stride, padding, dilation):
    """For each window and channel, the index in a padded array of the first largest element."""
    wide = _spread(x, padding, -np.inf)
    for at, seen in _windows(x.shape, size, stride, padding, dilation):
        window = wide[(slice(None), slice(None), *seen)]
        for n, c in np.ndindex(x.shape[:2]):
            offset = np.unravel_index(window[n, c].argmax(), size)
            spans = zip(seen, offset, dilation, strict=True)
            yield (n, c, *at), (n, c, *(s.start + o * d for s, o, d in spans))


def _max_pool_input(g, x, best, padding, **at):
    out = _spread(np.zeros(x.shape, g.dtype), padding, 0)
    for here, there in _first(x, best, padding=padding, **at):
        out[there] += g[here]
    return out[
        (..., *[slice(lo, n - hi) for (lo, hi), n in zip(padding, out.shape[2:], strict=True)])
    ]


def _max_pool_pick(v, x, best, padding, **at):
    out, wide = np.zeros(best.shape, v.dtype), _spread(v, padding, 0)
    for here, there in _first(x, best, padding=padding, **at):
        out[here] = wide[there]
    return out


def _max_pool_places(x, best, padding, **at):
    flat = np.arange(x[0, 0].size).reshape(1, 1, *x.shape[2:])
    every = np.broadcast_to(flat, x.shape)
    return _max_pool_pick(every, x, best, padding, **at)


def _torch_max_pool(torch, x, *, size, stride, padding, dilation):
    function = torch.max_pool1d if len(size) == 1 else torch.max_pool2d
    return function(x, size, stride, _even(padding), dilation)


def _torch_avg_pool(torch, x, *, size, stride, padding, counted=None, divisor=None):
    function = torch.nn.functional.avg_pool1d if len(size) == 1 else torch.nn.functional.avg_pool2d
    more = {} if divisor is None else {"divisor_override": divisor}
    return function(x, size, stride, _even(padding), count_include_pad=counted is None, **more)


def _torch_resample(torch, x, *, spatial, mode="nearest", align_corners=False, steps=None):
    names = {"linear": ["linear", "bilinear", "trilinear"], "cubic": ["", "bicubic"]}
    return torch.nn.functional.interpolate(
        x,
        size=spatial if steps is None else None,
        scale_factor=None if steps is None else tuple(1 / step for step in steps),
        mode=names[mode][len(spatial) - 1] if mode in names else mode,
        align_corners=align_corners if mode in names else None,
    )


def _resample(x, spatial, mode="nearest", align_corners=False, steps=None):
    """Whatever resampling does, it does to each axis by itself and linearly: by its columns."""
    from engine.ops.pooling import _weights

    for axis, there in enumerate(spatial):
        here = x.shape[axis + 2]
        step = steps[axis] if steps else None
        if mode.startswith("nearest"):
            middle = 0.5 if mode == "nearest-exact" else 0
            places = (np.arange(there) + middle) * (step or here / there)
            x = np.take(x, np.minimum(places.astype(int), here - 1), axis + 2)
        elif here != there or step:
            weights = _weights(here, there, mode, align_corners, step, x.dtype.str)
            x = np.moveaxis(np.moveaxis(x, axis + 2, -1) @ weights, -1, axis + 2)
    return x


def _shuffled(torch_name):
    return lambda torch, x, factor: getattr(torch, torch_name)(x, factor)


def _pixel_shuffle(x, r):
    *batch, channels, height, width = x.shape
    out = np.zeros((*batch, channels // r**2, height * r, width * r), x.dtype)
    for c, i, j in np.ndindex(channels // r**2, r, r):
        out[..., c, i::r, j::r] = x[..., c * r * r + i * r + j, :, :]
    return out


def _pixel_unshuffle(x, r):
    return np.stack(
        [x[..., c, i::r, j::r] for c in range(x.shape[-3]) for i in range(r) for j in range(r)], -3
    )


POOLING = (
    Case(
        "nn.max_pool",
        (
            call((2, 1, 4, 6), size=(2, 2), stride=(2, 2), padding=TWO, dilation=(1, 1)),
            call((2, 2, 4, 5), **AT),
            call(
                (1, 2, 5, 5), size=(2, 2), stride=(1, 2), padding=((1, 1), (0, 0)), dilation=(1, 2)
            ),
            call((2, 3, 7), size=(3,), stride=(2,), padding=((1, 1),), dilation=(1,)),
            call((1, 1, 3, 3), size=(1, 1), stride=(1, 1), padding=TWO, dilation=(1, 1)),
            call(
                (0, 1, 4, 4), size=(2, 2), stride=(2, 2), padding=TWO, dilation=(1, 1), peer=False
            ),
        ),
        _max_pool,
        _torch_max_pool,
    ),
    Case("nn.max_pool_input", (call((2, 1, 2, 5), x=X, best=BEST, **AT),), _max_pool_input),
    Case("nn.max_pool_pick", (call((2, 1, 4, 5), x=X, best=BEST, **AT),), _max_pool_pick),
    Case("nn.max_pool_places", (call(X, BEST, **AT),), _max_pool_places, order=0),
    Case(
        "nn.sum_pool",
        (
            call((2, 1, 4, 6), size=(2, 2), stride=(2, 2), padding=TWO),
            call((1, 2, 4, 5), size=(3, 2), stride=(1, 2), padding=((1, 1), (0, 1))),
            call((2, 2, 6), size=(2,), stride=(2,), padding=ONE),
            call((1, 1, 3), size=(1,), stride=(1,), padding=ONE),
        ),
        _sum_pool,
    ),
    Case(
        "nn.sum_pool_input",
        (
            call((2, 1, 2, 3), spatial=(4, 6), size=(2, 2), stride=(2, 2), padding=TWO),
            call(
                (1, 2, 4, 3), spatial=(4, 5), size=(3, 2), stride=(1, 2), padding=((1, 1), (0, 1))
            ),
        ),
        _sum_pool_input,
    ),
    Case(
        "nn.avg_pool",
        (
            call((2, 1, 4, 6), size=(2, 2), stride=(2, 2), padding=TWO),
            call((1, 2, 4, 5), size=(3, 2), stride=(1, 2), padding=((1, 1), (1, 1))),
            call(
                (1, 2, 4, 5), size=(3, 2), stride=(1, 2), padding=((1, 1), (1, 1)), counted=(0, 0)
            ),
            call((1, 1, 4, 5), size=(2, 2), stride=(2, 2), padding=TWO, divisor=3),
            call((2, 2, 6), size=(3,), stride=(2,), padding=((1, 1),)),
        ),
        _avg_pool,
        _torch_avg_pool,
    ),
    Case(
        "nn.resample",
        (
            call((2, 1, 3), spatial=(5,), mode="nearest"),
            call((1, 2, 3, 4), spatial=(2, 6), mode="nearest-exact"),
            call((1, 2, 3, 4), spatial=(5, 3), mode="linear"),
            call((1, 2, 3, 4), spatial=(5, 7), mode="linear", align_corners=True),
            call((1, 1, 2, 3, 2), spatial=(3, 4, 4), mode="linear"),
            call((1, 1, 4, 3), spatial=(7, 5), mode="cubic"),
            call((1, 1, 4, 3), spatial=(3, 5), mode="cubic", align_corners=True),
            call((1, 2, 6, 5), spatial=(3, 2), mode="area"),
            call((1, 1, 4, 4), spatial=(6, 6), mode="linear", steps=(1 / 1.6, 1 / 1.6)),
            call((1, 1, 3, 3), spatial=(3, 1), mode="linear", align_corners=True),
        ),
        _resample,
        _torch_resample,
    ),
    Case(
        "nn.pixel_shuffle",
        (call((2, 8, 2, 3), 2), call((4, 1, 1), 2)),
        _pixel_shuffle,
        _shuffled("pixel_shuffle"),
    ),
    Case(
        "nn.pixel_unshuffle",
        (call((2, 2, 4, 6), 2), call((1, 2, 2), 2)),
        _pixel_unshuffle,
        _shuffled("pixel_unshuffle"),
    ),
)
