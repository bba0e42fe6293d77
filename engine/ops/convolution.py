"""Convolution: windows laid out as the columns of a matrix, and batched products with them.

Three operations, each the gradients of the other two: the convolution, its transpose, and the
correlation of an input with an output that gives the weight's gradient. All take tuples, one entry
a spatial axis: ``stride``, ``dilation``, and ``padding`` in pairs (before, after). The weight has
shape (out, in / groups, ...), the input (N, in, ...).
"""

from __future__ import annotations

import math

import numpy as np

from ..values import Shape, Value
from .op import Op, ones, op
from .windows import Ints, Pairs, counts, fold, padded, patches

_KEPT = 1 << 26  # bytes of columns up to which the forward keeps them for the weight's gradient


def _columns(
    x: Value, size: Ints, stride: Ints, padding: Pairs, dilation: Ints, groups: int
) -> Value:
    """What the windows see, (N, [groups,] in / groups * size, count); a view for windows of 1."""
    count = counts(x.shape, size, stride, padding, dilation)
    seen = patches(padded(x, padding), size, stride, dilation, count)
    rows = x.shape[1] // groups * math.prod(size)
    batch = (len(x),) if groups == 1 else (len(x), groups)
    return seen.reshape(*batch, rows, math.prod(count))


def _matrix(weight: Value, groups: int) -> Value:
    """The weight as a matrix (out, in * size), or as one for each group."""
    out, columns = len(weight), math.prod(weight.shape[1:])
    return weight.reshape(out, columns) if groups == 1 else weight.reshape(groups, -1, columns)


def _grouped(g: Value, groups: int) -> Value:
    """An output (N, out, ...) with its places on one axis, and its groups on one of their own."""
    places = math.prod(g.shape[2:])
    batch = (len(g),) if groups == 1 else (len(g), groups)
    return g.reshape(*batch, g.shape[1] // groups, places)


def _check(x: Shape, weight: Shape, groups: int) -> None:
    if len(x) == len(weight) and (x[1] != weight[1] * groups or weight[0] % groups):
        raise ValueError(
            f"a weight of shape {weight} (out, in / groups, ...) in {groups} groups takes "
            f"{weight[1] * groups} channels, the input has {x[1]}"
        )


def _convolution(
    input: Value,
    weight: Value,
    bias: Value,
    stride: Ints,
    padding: Pairs,
    dilation: Ints,
    groups: int = 1,
) -> tuple[Value, Value]:
    size = weight.shape[2:]
    _check(input.shape, weight.shape, groups)
    count = counts(input.shape, size, stride, padding, dilation)
    columns = _columns(input, size, stride, padding, dilation, groups)
    out = (_matrix(weight, groups) @ columns).reshape(len(input), len(weight), *count)
    if bias is not None:
        if bias.shape != (len(weight),):
            raise ValueError(f"the bias must have shape {(len(weight),)}, got {bias.shape}")
        turned = bias.reshape(-1, *[1] * len(count))
        out = np.add(out, turned, out=out if out.dtype == bias.dtype else None)
    return out, columns if columns.nbytes <= _KEPT else None


def _convolution_input(
    g: Value,
    weight: Value,
    spatial: Shape,
    stride: Ints,
    padding: Pairs,
    dilation: Ints,
    groups: int = 1,
) -> Value:
    """The transpose: what each place of ``g`` was computed from gets its share, times the weight.

    ``spatial``: the sizes of the result, of which a stride leaves several possible.
    """
    if g.ndim != weight.ndim or g.shape[1] != len(weight) or len(weight) % groups:
        raise ValueError(
            f"a weight of shape {weight.shape} (out, in / groups, ...) in {groups} groups gives "
            f"{len(weight)} channels, there are {g.shape}"
        )
    columns = np.swapaxes(_matrix(weight, groups), -1, -2) @ _grouped(g, groups)
    rows = weight.shape[1] * groups * math.prod(weight.shape[2:])
    columns = columns.reshape(len(g), rows, columns.shape[-1])
    return fold(columns, spatial, weight.shape[2:], stride, padding, dilation)


def _convolution_weight(
    input: Value,
    g: Value,
    size: Ints,
    stride: Ints,
    padding: Pairs,
    dilation: Ints,
    groups: int = 1,
) -> Value:
    columns = _columns(input, size, stride, padding, dilation, groups)
    return _correlation(columns, g, groups).reshape(g.shape[1], input.shape[1] // groups, *size)


def _correlation(columns: Value, g: Value, groups: int) -> Value:
    """The sum over the batch of ``g @ columns.T``."""
    g = _grouped(g, groups)
    turned = np.swapaxes(columns, -1, -2)
    if g.shape[-2] <= g.shape[-1]:  # the products are smaller than the columns
        return np.add.reduce(g @ turned, axis=0)
    out = np.zeros((*g.shape[1:-1], columns.shape[-2]), np.result_type(g, columns))
    for each, columns_of_each in zip(g, turned, strict=True):
        out += each @ columns_of_each
    return out


def _weight_pull(
    g: Value,
    input: Value,
    weight_shape: Shape,
    columns: Value,
    stride: Ints,
    padding: Pairs,
    dilation: Ints,
    groups: int,
) -> Value:
    if columns is not None and isinstance(g, np.ndarray):
        return _correlation(columns, g, groups).reshape(weight_shape)
    return convolution_weight(input, g, weight_shape[2:], stride, padding, dilation, groups)


def _bias_pull(g: Value) -> Value:
    if not isinstance(g, np.ndarray):
        return np.add.reduce(g, axis=(0, *range(2, g.ndim)))
    flat = g.reshape(*g.shape[:2], math.prod(g.shape[2:]))
    return np.add.reduce(flat.dot(ones(flat.shape[-1], g.dtype)), axis=0)


def _cost(g: Value, *saved: Value) -> int:
    """Two products with the largest array that was saved, at about 20 operations a nanosecond."""
    sizes = [math.prod(value.shape) for value in saved if hasattr(value, "shape")]
    return 2 * int(max([math.prod(g.shape), *sizes]))


convolution: Op = op(
    "nn.convolution",
    _convolution,
    "input weight bias",
    residuals={"columns": None},
    input=lambda g, weight, input_shape, stride, padding, dilation, groups: convolution_input(
        g, weight, input_shape[2:], stride, padding, dilation, groups
    ),
    weight=_weight_pull,
    bias=_bias_pull,
    cost=_cost,
)
convolution_input: Op = op(
    "nn.convolution_input",
    _convolution_input,
    "g weight",
    g=lambda g, weight, stride, padding, dilation, groups: convolution(
        g, weight, None, stride, padding, dilation, groups
    ),
    weight=lambda gg, g, weight_shape, stride, padding, dilation, groups: convolution_weight(
        gg, g, weight_shape[2:], stride, padding, dilation, groups
    ),
    cost=_cost,
)
convolution_weight: Op = op(
    "nn.convolution_weight",
    _convolution_weight,
    "input g",
    input=lambda gg, g, input_shape, stride, padding, dilation, groups: convolution_input(
        g, gg, input_shape[2:], stride, padding, dilation, groups
    ),
    g=lambda gg, input, stride, padding, dilation, groups: convolution(
        input, gg, None, stride, padding, dilation, groups
    ),
    cost=_cost,
)
