"""Losses of classes, in their general form: weights, ignored targets, smoothing, further axes.

The class axis is the second one, or the only one. ``cross_entropy`` of rows with plain targets has
a faster way of its own, in ``loss``.
"""

from __future__ import annotations

import math

import numpy as np

from ..values import Value
from .loss_elementwise import reduced, still, unknown
from .op import Op, arange, composed, op


def _pick(x: Value, ids: Value) -> Value:
    """One element of each row (n, classes)."""
    return x[arange(len(x)), ids]


def _place(g: Value, ids: Value, classes: int) -> Value:
    out = np.zeros((len(g), classes), g.dtype)
    out[arange(len(g)), ids] = g
    return out


pick: Op = op("nn.pick", _pick, "x", x=lambda g, x_shape, ids: place(g, ids, x_shape[1]))
place: Op = op("nn.place", _place, "g", g=lambda g, ids: pick(g, ids))


def _rows(input: Value) -> Value:
    """(N, C, d1, ...) as rows (N * d1 * ..., C)."""
    if input.ndim < 2:
        return input.reshape(1, -1)
    if input.ndim > 2:
        input = np.transpose(input, (0, *range(2, input.ndim), 1))
    return input.reshape(math.prod(input.shape[:-1]), input.shape[-1])


def _ids(input: Value, target: Value, ignore_index: int) -> tuple[Value, Value]:
    """One class per row, 0 where it is ignored, and whether it is not.

    Raises ``ValueError`` and ``IndexError`` for targets that are no classes.
    """
    ids = still(target)
    expected = (*input.shape[:1], *input.shape[2:]) if input.ndim > 1 else ()
    if ids.shape != expected or ids.dtype.kind not in "iu":
        raise ValueError(
            f"the target must hold class indices of shape {expected} for an input of shape "
            f"{input.shape}; got shape {ids.shape} of {ids.dtype}"
        )
    counts = ids.reshape(-1) != ignore_index
    ids = np.where(counts, ids.reshape(-1), 0).astype(np.intp)
    classes = input.shape[1 if input.ndim > 1 else 0]
    if ids.size and not 0 <= ids.min() <= ids.max() < classes:
        raise IndexError(
            f"class indices must lie in 0..{classes - 1} or be ignore_index={ignore_index}, "
            f"got {ids.min()}..{ids.max()}"
        )
    return ids, counts


def _chosen(
    input: Value, target: Value, weight: Value, ignore_index: int, label_smoothing: float
) -> tuple[Value, Value]:
    """The loss of each row of log-probabilities, 0 where ignored, and how much each counts."""
    ids, counts = _ids(input, target, ignore_index)
    rows = _rows(input)
    weights = None if weight is None else still(weight).astype(rows.dtype)
    how = counts.astype(rows.dtype) if weights is None else np.where(counts, weights[ids], 0)
    picked = pick(rows, ids)
    losses = np.where(counts, -picked, 0) * how
    if label_smoothing:
        spread = np.add.reduce(rows if weights is None else rows * weights, axis=1)
        smooth = np.where(counts, -spread, 0) * (label_smoothing / rows.shape[1])
        losses = losses * (1 - label_smoothing) + smooth
    return losses, how


def _gathered(losses: Value, how: Value, shape: tuple[int, ...], reduction: str) -> Value:
    if reduction == "mean":
        return np.add.reduce(losses, axis=None) / np.add.reduce(how, axis=None)
    if reduction == "sum":
        return np.add.reduce(losses, axis=None)
    if reduction == "none":
        return losses.reshape(shape)
    raise unknown(reduction)


def _nll_loss(
    input: Value,
    target: Value,
    weight: Value,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
) -> Value:
    """``-weight[target] * input[target]`` of log-probabilities; the mean is weighted too."""
    losses, how = _chosen(input, target, weight, ignore_index, label_smoothing)
    return _gathered(losses, how, target.shape, reduction)


def _cross_entropy_of_probabilities(
    input: Value,
    target: Value,
    weight: Value,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
) -> Value:
    """``-sum(weight * target * input)`` of log-probabilities, over the class axis."""
    if input.shape != target.shape:
        raise ValueError(
            f"a target of probabilities must have the input's shape {input.shape}, "
            f"got {target.shape}"
        )
    axis = 1 if input.ndim > 1 else 0
    if label_smoothing:
        target = target * (1 - label_smoothing) + label_smoothing / input.shape[axis]
    terms = target * input
    if weight is not None:
        terms = terms * weight.reshape(-1, *[1] * (input.ndim - axis - 1))
    losses = -np.add.reduce(terms, axis=axis)
    return reduced(losses, reduction)


composed("nn.nll_loss", _nll_loss, "input target weight")
composed(
    "nn.cross_entropy_of_probabilities", _cross_entropy_of_probabilities, "input target weight"
)
