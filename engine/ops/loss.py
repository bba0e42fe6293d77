"""Losses of one class a row, fused: forward and backward in the fewest passes over the data."""

from __future__ import annotations

import numpy as np

from ..values import Shape, Value
from .loss_classes import place
from .loss_elementwise import still, unknown
from .op import arange, ones, op

# -- cross entropy ---------------------------------------------------------------------------------


_WIDE = 64  # classes from which the logits are not turned


def _cross_entropy(logits: Value, target: Value, reduction: str = "mean") -> tuple[Value, ...]:
    """-log softmax(logits)[target] of rows of logits (n, classes) and integer targets (n,).

    The logits are laid out classes first: NumPy reduces a short last axis slowly. Many classes stay
    where they are, for turning a large matrix is slow; the rest works on either.
    """
    flat = _flat(logits, target)
    rows, classes = logits.shape
    shifted = logits.copy(order="C").T if classes > _WIDE else logits.T.copy(order="C")
    if rows:
        shifted -= np.maximum.reduce(shifted, axis=0)
    picked = shifted.ravel("K").take(flat)
    exps = np.exp(shifted, out=shifted)
    sums = ones(classes, exps.dtype).dot(exps)
    losses = np.log(sums)
    losses -= picked
    return _reduce(losses, reduction), exps, sums, flat


def _classes(logits: Value, target: Value) -> Value:
    """One class for each row of the logits, as indices.

    Raises ``ValueError`` and ``IndexError`` for targets that are no classes.
    """
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
    return target


def _flat(logits: Value, target: Value) -> Value:
    """Where in the logits, as they are laid out, each row's target lies."""
    target, (rows, classes) = _classes(logits, target), logits.shape
    if classes > _WIDE:
        return target + arange(rows) * classes
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
    raise unknown(reduction)


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
        out.ravel("K")[flat] -= g
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
    "nn.cross_entropy",
    _cross_entropy,
    "logits target",
    residuals={"exps": _exps, "sums": _sums, "flat": lambda logits, target: None},
    logits=_cross_entropy_pull,
)

# -- of log-probabilities --------------------------------------------------------------------------


def _nll(logs: Value, target: Value, reduction: str = "mean") -> Value:
    """-logs[target] of rows of log-probabilities (n, classes) and integer targets (n,)."""
    ids = _classes(logs, target)
    return _reduce(-logs[arange(len(ids)), ids], reduction)


def _nll_pull(g: Value, logs_shape: Shape, target: Value, reduction: str) -> Value:
    rows, classes = logs_shape
    g = g / -max(rows, 1) if reduction == "mean" else -g
    return place(np.broadcast_to(g, (rows,)), still(target), classes)


op("nn.nll", _nll, "logs target", logs=_nll_pull)
