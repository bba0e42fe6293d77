"""Losses, fused: forward and backward in the fewest passes over the data."""

from __future__ import annotations

import math

import numpy as np

from ..values import Shape, Value
from .op import arange, ones, op
from .transcendental import sigmoid


def _unknown(reduction: str) -> ValueError:
    return ValueError(f"reduction must be 'mean', 'sum' or 'none', got {reduction!r}")


# -- cross entropy ---------------------------------------------------------------------------------


def _cross_entropy(logits: Value, target: Value, reduction: str = "mean") -> tuple[Value, ...]:
    """-log softmax(logits)[target] of rows of logits (n, classes) and integer targets (n,).

    The logits are laid out classes first: NumPy reduces a short last axis slowly.
    """
    flat = _flat(logits, target)
    rows, classes = logits.shape
    shifted = logits.T.copy()
    if rows:
        shifted -= np.maximum.reduce(shifted, axis=0)
    picked = shifted.ravel().take(flat)
    exps = np.exp(shifted, out=shifted)
    sums = ones(classes, exps.dtype).dot(exps)
    losses = np.log(sums)
    losses -= picked
    return _reduce(losses, reduction), exps, sums, flat


def _flat(logits: Value, target: Value) -> Value:
    """Where in the logits, laid out classes first, each row's target lies."""
    if logits.ndim != 2:
        raise ValueError(f"the logits must be a matrix (n, classes), got shape {logits.shape}")
    rows, classes = logits.shape
    if target.shape != (rows,) or target.dtype.kind not in "iu":
        raise ValueError(
            f"the target must hold one class index per row, shape ({rows},) of an integer dtype; "
            f"got shape {target.shape} of {target.dtype}"
        )
    target = target.astype(np.intp, copy=False)
    unsigned = target.view(np.uintp)  # a negative index is a huge one
    if rows and unsigned[unsigned.argmax()] >= classes:
        raise IndexError(
            f"class indices must lie in 0..{classes - 1}, got {target.min()}..{target.max()}"
        )
    flat = target * rows
    flat += arange(rows)
    return flat


def _reduce(losses: Value, reduction: str) -> Value:
    """One loss per row, as asked for. The mean of none is NaN, as in NumPy and PyTorch."""
    if reduction == "mean":
        return losses.dot(ones(len(losses), losses.dtype)) / len(losses)
    if reduction == "sum":
        return np.add.reduce(losses)
    if reduction == "none":
        return losses
    raise _unknown(reduction)


def _cross_entropy_pull(
    g: Value,
    logits_shape: Shape,
    target: Value,
    exps: Value,
    sums: Value,
    flat: Value,
    reduction: str,
) -> Value:
    """g * (softmax - one hot), classes first as the forward left them, and turned back."""
    rows, classes = logits_shape
    if reduction == "mean":
        g = g / max(rows, 1)
    if isinstance(exps, np.ndarray):
        out = exps * (g / sums)
        out.ravel()[flat] -= g
        return out.T
    hot = np.equal(target, np.arange(classes)[:, None])
    return ((exps / sums - hot) * g).T


def _exps(logits: Value, target: Value) -> Value:
    """The residual ``exps`` again, differentiably: the maximum is a constant."""
    turned = logits.T
    return np.exp(turned - np.maximum.reduce(turned.detach().numpy(), axis=0))


def _sums(logits: Value, target: Value) -> Value:
    return np.add.reduce(_exps(logits, target), axis=0)


op(
    "cross_entropy",
    _cross_entropy,
    "logits target",
    residuals={"exps": _exps, "sums": _sums, "flat": lambda logits, target: None},
    logits=_cross_entropy_pull,
)

# -- elementwise losses ----------------------------------------------------------------------------


def _reduce_all(losses: Value, reduction: str) -> Value:
    """One loss per element, as asked for."""
    if reduction == "mean":
        return np.add.reduce(losses, axis=None) / losses.size
    if reduction == "sum":
        return np.add.reduce(losses, axis=None)
    if reduction == "none":
        return losses
    raise _unknown(reduction)


def _each(g: Value, slope: Value, reduction: str) -> Value:
    """The gradient of a reduced loss, given the slope of the loss at each element."""
    if reduction == "mean":
        g = g / max(math.prod(slope.shape), 1)
    return g * slope


def _mse_loss(input: Value, target: Value, reduction: str = "mean") -> Value:
    return _reduce_all(np.square(input - target), reduction)


def _bce(input: Value, target: Value, reduction: str = "mean") -> Value:
    """log(1 + exp(input)) - target * input, without taking exp of what is positive."""
    if input.shape != target.shape:
        raise ValueError(f"the target must have the input's shape {input.shape}")
    softplus = np.maximum(input, 0) + np.log1p(np.exp(-np.abs(input)))
    return _reduce_all(softplus - target * input, reduction)


op(
    "mse_loss",
    _mse_loss,
    "input target",
    input=lambda g, input, target, reduction: _each(g, (input - target) * 2, reduction),
    target=lambda g, input, target, reduction: _each(g, (target - input) * 2, reduction),
)
op(
    "binary_cross_entropy_with_logits",
    _bce,
    "input target",
    input=lambda g, input, target, reduction: _each(g, sigmoid(input) - target, reduction),
    target=lambda g, input, reduction: _each(g, -input, reduction),
)
