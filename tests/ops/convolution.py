"""Cases of `engine.ops.convolution` and of `engine.ops.windows`.

NumPy's side multiplies the weight with each window in a loop; the transposes are the gradients of
that, so they are built from what each place contributes.
"""

from typing import Any

import numpy as np

from tests.ops.case import Case, call


def _spread(x, padding):
    return np.pad(x, [(0, 0), (0, 0), *padding])


def _windows(shape, size, stride, padding, dilation):
    """For each window: where it is, and the index of what it sees in a padded array."""
    sizes = [n + sum(pair) for n, pair in zip(shape[2:], padding, strict=True)]
    counts = [
        (n - d * (k - 1) - 1) // s + 1
        for n, k, s, d in zip(sizes, size, stride, dilation, strict=True)
    ]
    for at in np.ndindex(*counts):
        spans = zip(at, size, stride, dilation, strict=True)
        yield at, tuple(slice(i * s, i * s + d * (k - 1) + 1, d) for i, k, s, d in spans)


def _convolution(x, weight, bias, stride, padding, dilation, groups=1):
    x, out = _spread(x, padding), {}
    per, axes = len(weight) // groups, range(1, x.ndim)
    for at, seen in _windows(x.shape, weight.shape[2:], stride, [(0, 0)] * len(stride), dilation):
        window = x[(slice(None), slice(None), *seen)]
        parts = [
            np.tensordot(part, weight[i * per : (i + 1) * per], (axes, axes))
            for i, part in enumerate(np.split(window, groups, axis=1))
        ]
        out[at] = np.concatenate(parts, axis=1)
    made = np.zeros((len(x), len(weight), *(i + 1 for i in max(out))), x.dtype)
    for at, value in out.items():
        made[(..., *at)] = value
    return made if bias is None else made + bias.reshape(-1, *[1] * len(stride))


def _convolution_input(g, weight, spatial, stride, padding, dilation, groups=1):
    channels = weight.shape[1] * groups
    out = _spread(np.zeros((len(g), channels, *spatial), g.dtype), padding)
    per = len(weight) // groups
    for at, seen in _windows((0, 0, *spatial), weight.shape[2:], stride, padding, dilation):
        parts = [
            np.einsum("no,oc...->nc...", part, weight[i * per : (i + 1) * per])
            for i, part in enumerate(np.split(g[(..., *at)], groups, axis=1))
        ]
        out[(slice(None), slice(None), *seen)] += np.concatenate(parts, axis=1)
    return _inner(out, padding)


def _inner(out, padding):
    return out[
        (..., *[slice(lo, n - hi) for (lo, hi), n in zip(padding, out.shape[2:], strict=True)])
    ]


def _convolution_weight(x, g, size, stride, padding, dilation, groups=1):
    x = _spread(x, padding)
    per = g.shape[1] // groups
    out = np.zeros((g.shape[1], x.shape[1] // groups, *size), x.dtype)
    for at, seen in _windows(x.shape, size, stride, [(0, 0)] * len(stride), dilation):
        for i, part in enumerate(np.split(x[(slice(None), slice(None), *seen)], groups, axis=1)):
            rows = slice(i * per, (i + 1) * per)
            out[rows] += np.einsum("nc...,no->oc...", part, g[(slice(None), rows, *at)])
    return out


def _unfold(x, size, stride, padding, dilation):
    x = _spread(x, padding)
    seen = [
        x[(slice(None), slice(None), *seen)].reshape(len(x), -1)
        for _, seen in _windows(x.shape, size, stride, [(0, 0)] * len(size), dilation)
    ]
    return np.stack(seen, axis=-1)


def _fold(g, spatial, size, stride, padding, dilation):
    channels = g.shape[1] // int(np.prod(size))
    out = _spread(np.zeros((len(g), channels, *spatial), g.dtype), padding)
    windows = _windows((0, 0, *spatial), size, stride, padding, dilation)
    for k, (_, seen) in enumerate(windows):
        out[(slice(None), slice(None), *seen)] += g[..., k].reshape(len(g), channels, *size)
    return _inner(out, padding)


def _even(padding):
    """PyTorch's spelling of pairs that are the same on both sides."""
    return tuple(before for before, _ in padding)


def _torch_convolution(torch, x, weight, bias, *, stride, padding, dilation, groups=1):
    function = [torch.conv1d, torch.conv2d, torch.conv3d][len(stride) - 1]
    return function(x, weight, bias, stride, _even(padding), dilation, groups)


def _torch_input(torch, g, weight, *, spatial, stride, padding, dilation, groups=1):
    shape = (len(g), weight.shape[1] * groups, *spatial)
    function = torch.nn.grad.conv2d_input if len(stride) == 2 else torch.nn.grad.conv1d_input
    return function(shape, weight, g, stride, _even(padding), dilation, groups)


def _torch_weight(torch, x, g, *, size, stride, padding, dilation, groups=1):
    shape = (g.shape[1], x.shape[1] // groups, *size)
    function = torch.nn.grad.conv2d_weight if len(stride) == 2 else torch.nn.grad.conv1d_weight
    return function(x, shape, g, stride, _even(padding), dilation, groups)


def _windowed(stride: Any, padding: Any, dilation: Any, **more: Any) -> dict[str, Any]:
    return {"stride": stride, "padding": padding, "dilation": dilation, **more}


PLAIN = _windowed((1, 1), ((0, 0), (0, 0)), (1, 1))
WIDE = _windowed((2, 1), ((1, 1), (2, 2)), (1, 2))
UNEVEN = _windowed((1, 1), ((0, 1), (1, 0)), (1, 1))
LINE = _windowed((2,), ((1, 1),), (2,))

CONVOLUTIONS = (
    Case(
        "nn.convolution",
        (
            call((2, 2, 4, 3), (3, 2, 3, 2), (3,), **PLAIN),
            call((2, 2, 4, 4), (2, 2, 2, 3), None, **WIDE),
            call((1, 2, 3, 3), (1, 2, 2, 2), (1,), **UNEVEN, peer=False),
            call((2, 4, 3, 3), (4, 2, 2, 2), (4,), groups=2, **PLAIN),
            call((1, 3, 4, 3), (6, 1, 2, 2), None, groups=3, **WIDE),
            call((2, 3, 2, 2), (2, 3, 1, 1), (2,), **PLAIN),
            call((2, 2, 7), (3, 2, 3), (3,), **LINE),
            call(
                (1, 2, 3, 2, 3),
                (2, 2, 2, 2, 1),
                (2,),
                **_windowed((1, 2, 1), ((0, 0), (1, 1), (0, 0)), (1, 1, 2)),
            ),
            call((0, 2, 3, 3), (1, 2, 2, 2), (1,), **PLAIN),
            call((9, 1, 2, 2), (5, 1, 2, 1), None, **PLAIN),
        ),
        _convolution,
        _torch_convolution,
    ),
    Case(
        "nn.convolution_input",
        (
            call((2, 3, 2, 2), (3, 2, 3, 2), spatial=(4, 3), **PLAIN),
            call((2, 2, 3, 4), (2, 2, 2, 3), spatial=(4, 4), **WIDE),
            call((2, 4, 2, 2), (4, 2, 2, 2), spatial=(3, 3), groups=2, **PLAIN),
            call((1, 2, 3), (2, 3, 3), spatial=(7,), **LINE),
            call((1, 1, 3, 3), (1, 2, 2, 2), spatial=(3, 3), **UNEVEN, peer=False),
        ),
        _convolution_input,
        _torch_input,
    ),
    Case(
        "nn.convolution_weight",
        (
            call((2, 2, 4, 3), (2, 3, 2, 2), size=(3, 2), **PLAIN),
            call((2, 2, 4, 4), (2, 2, 3, 4), size=(2, 3), **WIDE),
            call((2, 4, 3, 3), (2, 4, 2, 2), size=(2, 2), groups=2, **PLAIN),
            call((2, 3, 7), (2, 5, 3), size=(3,), **LINE),
        ),
        _convolution_weight,
        _torch_weight,
    ),
    Case(
        "nn.unfold",
        (
            call((2, 2, 4, 3), size=(2, 2), **PLAIN),
            call((1, 2, 4, 4), size=(2, 3), **WIDE),
            call((2, 3, 2, 2), size=(1, 1), **PLAIN),
            call((2, 2, 5), size=(2,), **LINE, peer=False),
        ),
        _unfold,
        lambda torch, x, *, size, stride, padding, dilation: torch.nn.functional.unfold(
            x, size, dilation, _even(padding), stride
        ),
    ),
    Case(
        "nn.fold",
        (
            call((2, 8, 6), spatial=(4, 3), size=(2, 2), **PLAIN),
            call((1, 6, 12), spatial=(4, 4), size=(2, 3), **WIDE),
            call((2, 4, 3), spatial=(5,), size=(2,), **LINE, peer=False),
        ),
        _fold,
        lambda torch, g, *, spatial, size, stride, padding, dilation: torch.nn.functional.fold(
            g, spatial, size, dilation, _even(padding), stride
        ),
    ),
)
