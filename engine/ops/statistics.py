"""Statistics. Variances divide by n, as NumPy's do, unless told otherwise; PyTorch's by n - 1.

``ddof`` and ``correction`` are one thing under two names; ``unbiased=True`` is ``correction=1``.
The deviation of a constant has gradient 0. Of an even number of elements the median is the mean of
the two in the middle, as in NumPy, and each gets half of the gradient.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import ArgumentError
from ..values import Shape, Value
from .along import Axis, axes_of, count, keep, kept_shape, last, scaled, total
from .op import Forward, composed, op
from .reduce import valid

# -- variance --------------------------------------------------------------------------------------


def _degrees(
    shape: Shape, axis: Axis, ddof: float | None, correction: float | None, unbiased: bool | None
) -> float:
    """How many the squares are divided by."""
    if isinstance(axis, bool):
        raise TypeError(f"axis={axis}: where PyTorch's `unbiased` is meant, name it")
    given = [each for each in (ddof, correction, unbiased) if each is not None]
    if len(given) > 1:
        raise TypeError("ddof, correction and unbiased say the same: give one of them")
    return max(count(shape, axis) - (given[0] if given else 0), 0)


def _centred(x: Value, axis: Axis) -> Value:
    return x - total(x, axis, keepdims=True) / count(x.shape, axis)


def _var(
    x: Value,
    axis: Axis = None,
    unbiased: bool | None = None,
    keepdims: bool = False,
    ddof: float | None = None,
    correction: float | None = None,
) -> Value:
    n = _degrees(x.shape, axis, ddof, correction, unbiased)
    apart = np.asarray(_centred(x, axis))
    if apart.dtype.kind == "c":
        squares = np.square(apart.real) + np.square(apart.imag)
    else:
        squares = np.square(apart, out=apart)
    return total(squares, axis, keepdims) / np.asarray(n, squares.dtype)


def _var_pull(
    g: Value,
    x: Value,
    x_shape: Shape,
    axis: Axis,
    keepdims: bool,
    ddof: float | None,
    correction: float | None,
    unbiased: bool | None,
) -> Value:
    n = _degrees(x_shape, axis, ddof, correction, unbiased)
    return scaled(_conjugate(_centred(x, axis)), keep(g, x_shape, axis, keepdims) * _over(2, n))


def _conjugate(x: Value) -> Value:
    return np.conjugate(x) if x.dtype.kind == "c" else x


def _over(a: float, n: float) -> float:
    return a / n if n else math.nan


def _std(
    x: Value,
    axis: Axis = None,
    unbiased: bool | None = None,
    keepdims: bool = False,
    ddof: float | None = None,
    correction: float | None = None,
) -> Value:
    return np.sqrt(_var(x, axis, unbiased, keepdims, ddof, correction))


def _std_pull(
    g: Value,
    ans: Value,
    x: Value,
    x_shape: Shape,
    axis: Axis,
    keepdims: bool,
    ddof: float | None,
    correction: float | None,
    unbiased: bool | None,
) -> Value:
    n = _degrees(x_shape, axis, ddof, correction, unbiased)
    constant = np.equal(ans, 0)
    slope = np.where(constant, 0, g / np.where(constant, 1, ans)) * _over(1, n)
    return scaled(_conjugate(_centred(x, axis)), keep(slope, x_shape, axis, keepdims))


op("var", _var, "x", numpy=np.var, x=_var_pull)
op("std", _std, "x", numpy=np.std, x=_std_pull)


def _nanvar(
    x: Value,
    axis: Axis = None,
    keepdims: bool = False,
    ddof: float = 0,
    correction: float | None = None,
) -> Value:
    missing = np.isnan(x)
    there = valid(x, axis, True)
    mean = total(np.where(missing, 0, x), axis, True) / there
    apart = np.where(missing, 0, x - mean)
    left = valid(x, axis, keepdims) - (ddof if correction is None else correction)
    return total(np.square(apart), axis, keepdims) / np.where(
        np.greater(left, 0), left, np.asarray(np.nan, x.dtype)
    )


def _nanstd(
    x: Value,
    axis: Axis = None,
    keepdims: bool = False,
    ddof: float = 0,
    correction: float | None = None,
) -> Value:
    variance = _nanvar(x, axis, keepdims, ddof, correction)
    constant = np.equal(variance, 0)
    return np.where(constant, 0, np.sqrt(np.where(constant, 1, variance)))


composed("nanvar", _nanvar, "x", numpy=np.nanvar, torch=None)
composed("nanstd", _nanstd, "x", numpy=np.nanstd, torch=None)

# -- weighted and joint ----------------------------------------------------------------------------


def _average(
    x: Value,
    axis: Axis = None,
    weights: Value = None,
    returned: bool = False,
    keepdims: bool = False,
) -> Any:
    if weights is None:
        mean = total(x, axis, keepdims) / count(x.shape, axis)
        scale = np.asarray(count(x.shape, axis), mean.dtype)
        return (mean, np.broadcast_to(scale, mean.shape)) if returned else mean
    weights = _weights(weights, x.shape, axis)
    scale = total(np.broadcast_to(weights, x.shape), axis, keepdims)
    mean = total(x * weights, axis, keepdims) / scale
    return (mean, scale) if returned else mean


def _weights(weights: Value, shape: Shape, axis: Axis) -> Value:
    """Weights of the averaged axes, in the shape of the whole."""
    weights = weights if hasattr(weights, "reshape") else np.asarray(weights)
    if weights.shape == shape:
        return weights
    axes = axes_of(axis, len(shape))
    if weights.shape != tuple(shape[i] for i in axes):
        raise ArgumentError(f"weights of shape {weights.shape} for axes {axis} of {shape}")
    order = np.argsort(axes).tolist()
    sizes = [n if i in axes else 1 for i, n in enumerate(shape)]
    return np.transpose(weights, order).reshape(sizes)


def _cov(
    x: Value,
    y: Value = None,
    rowvar: bool = True,
    bias: bool = False,
    ddof: float | None = None,
    fweights: Value = None,
    aweights: Value = None,
    correction: float | None = None,
) -> Value:
    """Rows are variables, columns observations; divided by n - 1 unless told otherwise."""
    x = _observations(x, rowvar)
    if y is not None:
        x = np.concatenate([x, _observations(y, rowvar)], axis=0)
    given = ddof if ddof is not None else correction
    given = (0 if bias else 1) if given is None else given
    weights = _product(fweights, aweights)
    if weights is None:
        centred = x - total(x, 1, True) / x.shape[1]
        product = centred @ _conjugate(np.transpose(centred)) / (x.shape[1] - given)
    else:
        mass = np.add.reduce(weights)
        centred = x - total(x * weights, 1, True) / mass
        extra = weights if aweights is None else weights * aweights
        left = mass - given * (np.add.reduce(extra) / mass if aweights is not None else 1)
        product = (centred * weights) @ _conjugate(np.transpose(centred)) / left
    return product.reshape(()) if product.shape == (1, 1) else product


def _observations(x: Value, rowvar: bool) -> Value:
    if x.ndim > 2:
        raise ArgumentError("covariances are of vectors and matrices")
    if x.ndim < 2:
        return x.reshape(1, -1)
    return x if rowvar else np.transpose(x)


def _product(a: Value, b: Value) -> Value:
    return b if a is None else a if b is None else a * b


def _corrcoef(x: Value, y: Value = None, rowvar: bool = True) -> Value:
    joint = _cov(x, y, rowvar)
    if not joint.ndim:
        return joint / joint
    n = len(joint)
    diagonal = joint[np.arange(n), np.arange(n)]
    widths = np.sqrt(np.real(diagonal) if diagonal.dtype.kind == "c" else diagonal)
    return joint / widths.reshape(n, 1) / widths


composed("average", _average, "x", numpy=np.average, torch=None)
composed("cov", _cov, "x", numpy=np.cov)
composed("corrcoef", _corrcoef, "x", numpy=np.corrcoef)

# -- quantiles -------------------------------------------------------------------------------------

_METHODS: dict[str, Callable[[Value], Value]] = {
    "linear": lambda at: at,
    "lower": np.floor,
    "higher": np.ceil,
    "nearest": np.rint,
    "midpoint": lambda at: (np.floor(at) + np.ceil(at)) / 2,
}


def _values(x: Value) -> Value:
    """The elements, as a constant."""
    return x if isinstance(x, np.ndarray) else x.detach().numpy()


def _at(rows: Value, at: Value, order: Value) -> Value:
    """Along the last axis the elements ``order`` puts at ``at``, between two if that is between.

    ``at`` has the shape of a batch of rows, or of what broadcasts to that.
    """
    low = np.floor(at).astype(np.intp)
    at = np.broadcast_to(at, order.shape[:-1])
    below, above = (
        _taken(rows, order, np.broadcast_to(each, order.shape[:-1]))
        for each in (low, np.ceil(at).astype(np.intp))
    )
    share = np.asarray(at - low, _values(rows).dtype)
    # Where nothing is between, the one is taken as it is, infinite or not.
    return np.where(share == 0, below, below * (1 - share) + above * share)


def _taken(rows: Value, order: Value, at: Value) -> Value:
    picked = np.take_along_axis(order, at[..., None], -1)[..., 0]
    return rows[(*np.indices(picked.shape, sparse=True), picked)]


def _quantiles(x: Value, q: Value, axis: Axis, keepdims: bool, method: str, skip: bool) -> Value:
    if method not in _METHODS:
        raise ArgumentError(f"method must be one of {', '.join(_METHODS)}; got {method!r}")
    if not ((q >= 0) & (q <= 1)).all():
        raise ArgumentError(f"quantiles lie in 0..1, got {q}")
    rows = last(x, axis)
    plain = _values(rows)
    if not plain.shape[-1]:
        raise ArgumentError(f"no quantile of an empty axis: shape {x.shape}, axis {axis}")
    order = np.argsort(plain, axis=-1)
    missing = np.isnan(plain).sum(axis=-1)
    n = plain.shape[-1]
    known = n - missing if skip else np.where(missing, 0, n)
    kept = kept_shape(x.shape, axis) if keepdims else rows.shape[:-1]
    answers = []
    for each in q.reshape(-1):
        at = _METHODS[method](each * np.maximum(known - 1, 0))
        # Without anything to go by the last is taken: a NaN, if there is one.
        answers.append(_at(rows, np.where(known == 0, n - 1, at), order).reshape(kept))
    if not q.ndim:
        return answers[0]
    return np.stack(answers).reshape((*q.shape, *kept))


def _quantile(skip: bool, unit: float = 1) -> Forward:
    """The forward that leaves NaN out if it is to ``skip`` it, for parts in ``unit`` of the whole.

    ``q`` is a constant, a number or an array of them; their axes come first in the answer.
    """

    def forward(
        x: Value, q: Any, axis: Axis = None, keepdims: bool = False, method: str = "linear"
    ) -> Value:
        q = np.asarray(_values(q) if hasattr(q, "detach") else q, np.float64) / unit
        return _quantiles(x, q, axis, keepdims, method, skip)

    return forward


def _median(skip: bool) -> Forward:
    def forward(x: Value, axis: Axis = None, keepdims: bool = False) -> Value:
        return _quantiles(x, np.asarray(0.5), axis, keepdims, "midpoint", skip)

    return forward


composed("median", _median(skip=False), "x", numpy=np.median)
composed("nanmedian", _median(skip=True), "x", numpy=np.nanmedian)
composed("quantile", _quantile(skip=False), "x", numpy=np.quantile)
composed("nanquantile", _quantile(skip=True), "x", numpy=np.nanquantile)
composed("percentile", _quantile(False, 100), "x", numpy=np.percentile, torch=None)
composed("nanpercentile", _quantile(True, 100), "x", numpy=np.nanpercentile, torch=None)
