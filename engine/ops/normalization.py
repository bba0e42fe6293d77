"""Normalisation: to zero mean and unit variance, or to a root mean square of 1.

All of it works on arrays (N, C, P), normalised over N and P: a layer norm is one with N = 1 and a
row of its own for each example, a batch norm one with a C for each channel. The variance is the
mean of the squares, without Bessel's correction. The forward keeps what it normalised; only a
backward that is itself recorded computes that again, as a function of the input.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..values import Shape, Value
from .op import composed, ones, op

Grads = tuple[Value, Value, Value]


def _over_batch(each: Value, batch: int, channels: int) -> Value:
    """The sums (C, 1) of numbers (N * C,): BLAS sums faster than a reduction."""
    if batch == 1:
        return each.reshape(channels, 1)
    return ones(batch, each.dtype).dot(each.reshape(batch, channels)).reshape(channels, 1)


def _sums(x: Value) -> Value:
    """The sums over N and P of (N, C, P), as (C, 1)."""
    if not isinstance(x, np.ndarray):
        return np.add.reduce(np.add.reduce(x, axis=2, keepdims=True), axis=0)
    batch, channels, places = x.shape
    each = x.reshape(batch * channels, places).dot(ones(places, x.dtype))
    return _over_batch(each, batch, channels)


def _products(x: Value, y: Value) -> Value:
    """The sums of products over N and P, as (C, 1)."""
    if not isinstance(x, np.ndarray) or not isinstance(y, np.ndarray):
        return _sums(x * y)
    batch, channels, places = x.shape
    if places == 1:
        return _sums(x * y)
    flat = batch * channels, places
    return _over_batch(np.vecdot(x.reshape(flat), y.reshape(flat)), batch, channels)


def _normalised(x: Value, eps: float, centre: bool) -> tuple[Value, Value, Value, Value]:
    """``x`` with its axes N and P normalised; by what it was scaled; its mean and variance."""
    count = max(x.shape[0] * x.shape[2], 1)
    mean = _sums(x) / count if centre else None
    normal = x - mean if centre else x
    variance = _products(normal, normal) / count
    scale = (variance + eps) ** -0.5
    if centre and isinstance(normal, np.ndarray):
        normal *= scale
    else:
        normal = normal * scale
    return normal, scale, mean, variance


def _without(
    g: Value, normal: Value, products: Value, sums: Value, scale: Value, shape: Shape
) -> Value:
    """``g`` without what lies along ``normal`` and along the mean, scaled, in memory of its own.

    ``products`` with ``normal``, and ``sums``, say how much that is.
    """
    count = max(g.shape[0] * g.shape[2], 1)
    out = np.empty(shape, np.result_type(g, normal))
    along = out.reshape(normal.shape)
    np.multiply(normal, products / -count, out=along)
    if sums is not None:
        along += sums / -count
    along += g
    along *= scale
    return out


def _pull_recorded(g: Value, normal: Value, scale: Value, centre: bool) -> Value:
    count = max(g.shape[0] * g.shape[2], 1)
    rest = g - normal * (_products(g, normal) / count)
    return (rest - _sums(g) / count if centre else rest) * scale


def _input_pull(
    g: Value, input: Value, rows: Shape, normal: Value, scale: Value, eps: float, centre: bool
) -> tuple[Value, Value]:
    """The gradient of the input, and what was normalised, both differentiable if ``g`` is.

    ``g``: the gradient of what was normalised; ``rows``: the shape (N, C, P) of both.
    """
    g = g.reshape(rows)
    if isinstance(g, np.ndarray):
        products, sums = _products(g, normal), _sums(g) if centre else None
        return _without(g, normal, products, sums, scale, input.shape), normal
    normal, scale, _, _ = _normalised(input.reshape(rows), eps, centre)
    return _pull_recorded(g, normal, scale, centre).reshape(input.shape), normal


# -- over the last axes ----------------------------------------------------------------------------


def _rows(x: Value, axes: int) -> Shape:
    """(1, examples, elements of one): the last ``axes`` axes make up an example."""
    cut = x.ndim - axes
    return 1, math.prod(x.shape[:cut]), math.prod(x.shape[cut:])


def _check(input: Value, axes: int, *parameters: Value) -> None:
    last = input.shape[input.ndim - axes :]
    if axes < 1 or any(p is not None and p.shape != last for p in parameters):
        shapes = [p.shape for p in parameters if p is not None]
        raise ValueError(f"weight and bias must have the shape {last} of the last axes: {shapes}")


def _affine(normal: Value, weight: Value, bias: Value) -> Value:
    """``normal * weight + bias`` in memory of its own."""
    if weight is None:
        return normal.copy() if bias is None else normal + bias
    out = normal * weight
    return out if bias is None else np.add(out, bias, out=out if out.dtype == bias.dtype else None)


def _layer_norm(
    input: Value, weight: Value, bias: Value, axes: int = 1, eps: float = 1e-5
) -> tuple[Value, Value, Value]:
    _check(input, axes, weight, bias)
    normal, scale, _, _ = _normalised(input.reshape(_rows(input, axes)), eps, True)
    return _affine(normal.reshape(input.shape), weight, bias), normal, scale


def _layer_norm_pull(
    g: Value,
    input: Value,
    weight: Value,
    normal: Value,
    scale: Value,
    axes: int,
    eps: float,
    needed: tuple[bool, ...],
) -> Grads:
    rows = _rows(input, axes)
    onward = g if weight is None else g * weight
    found, normal = _input_pull(onward, input, rows, normal, scale, eps, True)
    of_bias = _examples(g, axes) if needed[2] else None
    return found, _weighted(g, normal, weight, needed), of_bias


def _weighted(g: Value, normal: Value, weight: Value, needed: tuple[bool, ...]) -> Value:
    """The gradient of a weight that all examples share."""
    if not needed[1]:
        return None
    return _examples(g * normal.reshape(g.shape), weight.ndim)


def _examples(x: Value, axes: int) -> Value:
    """The sum over all but the last axes; of a Tensor, the loop's."""
    if not isinstance(x, np.ndarray):
        return x
    _, count, size = _rows(x, axes)
    return ones(count, x.dtype).dot(x.reshape(count, size)).reshape(x.shape[x.ndim - axes :])


layer_norm = op(
    "nn.layer_norm",
    _layer_norm,
    "input weight bias",
    residuals={"normal": None, "scale": None},
    together=_layer_norm_pull,
)


def _rms_norm(
    input: Value, weight: Value, axes: int = 1, eps: float = 1e-6
) -> tuple[Value, Value, Value]:
    _check(input, axes, weight)
    normal, scale, _, _ = _normalised(input.reshape(_rows(input, axes)), eps, False)
    return _affine(normal.reshape(input.shape), weight, None), normal, scale


def _rms_norm_pull(
    g: Value,
    input: Value,
    weight: Value,
    normal: Value,
    scale: Value,
    axes: int,
    eps: float,
    needed: tuple[bool, ...],
) -> tuple[Value, Value]:
    rows = _rows(input, axes)
    onward = g if weight is None else g * weight
    found, normal = _input_pull(onward, input, rows, normal, scale, eps, False)
    return found, _weighted(g, normal, weight, needed)


op(
    "nn.rms_norm",
    _rms_norm,
    "input weight",
    residuals={"normal": None, "scale": None},
    together=_rms_norm_pull,
)

# -- over the batch --------------------------------------------------------------------------------


def _channels(x: Value) -> Shape:
    """(N, C, places)."""
    if x.ndim < 2:
        raise ValueError(f"the input must have axes (N, C, ...), got shape {x.shape}")
    return *x.shape[:2], math.prod(x.shape[2:])


def _column(parameter: Value) -> Value:
    return None if parameter is None else parameter.reshape(-1, 1)


def _batch_norm(
    input: Value,
    weight: Value,
    bias: Value,
    eps: float = 1e-5,
    observe: Callable[[Value, Value, int], Any] | None = None,
) -> tuple[Value, Value, Value]:
    """``observe`` is told the mean and the variance of each channel, and of how many elements."""
    shape = _channels(input)
    if any(p is not None and p.shape != shape[1:2] for p in (weight, bias)):
        raise ValueError(f"weight and bias must have one element for each of {shape[1]} channels")
    normal, scale, mean, variance = _normalised(input.reshape(shape), eps, True)
    if observe is not None:
        observe(mean.reshape(-1), variance.reshape(-1), shape[0] * shape[2])
    out = _affine(normal, _column(weight), _column(bias))
    return out.reshape(input.shape), normal, scale


def _batch_norm_pull(
    g: Value,
    input: Value,
    weight: Value,
    normal: Value,
    scale: Value,
    eps: float,
    needed: tuple[bool, ...],
) -> Grads:
    shape = _channels(input)
    g = g.reshape(shape)
    if isinstance(g, np.ndarray):  # a weight scales what belongs to a channel, sums and all
        products, sums = _products(g, normal), _sums(g)
        scale = scale if weight is None else scale * weight.reshape(-1, 1)
        found = _without(g, normal, products, sums, scale, input.shape)
        return found, products.reshape(-1), sums.reshape(-1)
    onward = g if weight is None else g * weight.reshape(-1, 1)
    found, normal = _input_pull(onward, input, shape, normal, scale, eps, True)
    of_weight = _products(g, normal).reshape(-1) if needed[1] else None
    of_bias = _sums(g).reshape(-1) if needed[2] else None
    return found, of_weight, of_bias


op(
    "nn.batch_norm",
    _batch_norm,
    "input weight bias",
    residuals={"normal": None, "scale": None},
    together=_batch_norm_pull,
)


def _batch_norm_running(
    input: Value, mean: Value, variance: Value, weight: Value, bias: Value, eps: float = 1e-5
) -> Value:
    """With a mean and a variance that were measured before."""
    scale = (variance + eps) ** -0.5
    if weight is not None:
        scale = scale * weight
    shift = -mean * scale if bias is None else bias - mean * scale
    places = (-1, *[1] * (input.ndim - 2))
    return input * scale.reshape(places) + shift.reshape(places)


def _group_norm(
    input: Value, weight: Value, bias: Value, groups: int = 1, eps: float = 1e-5
) -> Value:
    """The channels in ``groups`` groups, each normalised by itself in each example."""
    batch, channels, places = _channels(input)
    if groups < 1 or channels % groups:
        raise ValueError(f"{channels} channels do not divide into {groups} groups")
    rows = input.reshape((batch, groups, channels // groups * places))
    out = layer_norm(rows, None, None, 1, eps).reshape(input.shape)
    each = (-1, *[1] * (input.ndim - 2))
    if weight is not None:
        out = out * weight.reshape(each)
    return out if bias is None else out + bias.reshape(each)


composed("nn.batch_norm_running", _batch_norm_running, "input mean variance weight bias")
composed("nn.group_norm", _group_norm, "input weight bias")
