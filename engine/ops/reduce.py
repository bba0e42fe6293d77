"""Reductions. ``axis=None`` reduces all axes; ``keepdims`` keeps them with size 1."""

import math

import numpy as np

from .op import op


def _axes(axis, ndim):
    """``axis`` as a tuple of non-negative ints."""
    if axis is None:
        return tuple(range(ndim))
    return np.lib.array_utils.normalize_axis_tuple(axis, ndim)


def _count(shape, axis):
    return math.prod(shape[i] for i in _axes(axis, len(shape)))


def _keep(value, shape, axis, keepdims):
    """``value``, a reduction, with the reduced axes back in place at size 1."""
    if keepdims:
        return value
    reduced = _axes(axis, len(shape))
    return value.reshape(tuple(1 if i in reduced else n for i, n in enumerate(shape)))


def _spread(g, shape, axis, keepdims):
    """The gradient of a sum: the same for everything that was summed."""
    return np.broadcast_to(_keep(g, shape, axis, keepdims), shape)


def _sum(x, axis=None, keepdims=False):
    return np.add.reduce(x, axis=axis, keepdims=keepdims)


def _mean(x, axis=None, keepdims=False):
    return np.add.reduce(x, axis=axis, keepdims=keepdims) / max(_count(x.shape, axis), 1)


def _extremum(function):
    def forward(x, axis=None, keepdims=False):
        return function(x, axis=axis, keepdims=keepdims)

    return forward


def _extremum_pull(g, ans, x, x_shape, axis, keepdims):
    # Ties share the gradient evenly.
    hit = x == _keep(ans, x_shape, axis, keepdims)
    share = hit / np.add.reduce(hit, axis=axis, keepdims=True)
    return _keep(g, x_shape, axis, keepdims) * share


def _shifted(x, axis, keepdims):
    """exp(x - max) and its sum; a max that is infinite shifts by nothing."""
    top = np.maximum.reduce(x, axis=axis, keepdims=True)
    top = np.where(np.isfinite(top), top, 0)
    return top, np.exp(x - top)


def _logsumexp(x, axis=None, keepdims=False):
    top, exps = _shifted(x, axis, keepdims)
    total = np.log(np.add.reduce(exps, axis=axis, keepdims=True)) + top
    return total if keepdims else np.squeeze(total, _axes(axis, x.ndim))


def _softmax(x, axis=-1):
    _, exps = _shifted(x, axis, True)
    return exps / np.add.reduce(exps, axis=axis, keepdims=True)


def _log_softmax(x, axis=-1):
    top, exps = _shifted(x, axis, True)
    return (x - top) - np.log(np.add.reduce(exps, axis=axis, keepdims=True))


def _softmax_pull(g, ans, axis):
    weighted = g * ans
    return weighted - ans * np.add.reduce(weighted, axis=axis, keepdims=True)


def _argument(function):
    def forward(x, axis=None, keepdims=False):
        return function(x, axis=axis, keepdims=keepdims)

    return forward


op("sum", _sum, "x", numpy=np.sum, x=lambda g, x_shape, axis, keepdims: _spread(g, x_shape, axis, keepdims))
op(
    "mean", _mean, "x", numpy=np.mean,
    x=lambda g, x_shape, axis, keepdims: _spread(g, x_shape, axis, keepdims) / max(_count(x_shape, axis), 1),
)
op("amax", _extremum(np.maximum.reduce), "x", numpy=np.max, x=_extremum_pull)
op("amin", _extremum(np.minimum.reduce), "x", numpy=np.min, x=_extremum_pull)
op(
    "logsumexp", _logsumexp, "x",
    x=lambda g, ans, x, x_shape, axis, keepdims: _keep(g, x_shape, axis, keepdims)
    * np.exp(x - _keep(ans, x_shape, axis, keepdims)),
)
op("softmax", _softmax, "x", x=_softmax_pull)
op(
    "log_softmax", _log_softmax, "x",
    x=lambda g, ans, axis: g - np.exp(ans) * np.add.reduce(g, axis=axis, keepdims=True),
)
op("argmax", _argument(np.argmax), "x", numpy=np.argmax)
op("argmin", _argument(np.argmin), "x", numpy=np.argmin)
op("all", _argument(np.all), "x", numpy=np.all)
op("any", _argument(np.any), "x", numpy=np.any)
