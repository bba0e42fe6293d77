"""Losses, fused: forward and backward in the fewest passes over the data."""

import numpy as np

from .op import arange, ones, op


def _cross_entropy(logits, target, reduction="mean"):
    """-log softmax(logits)[target] of rows of logits (n, classes) and integer targets (n,).

    The logits are laid out classes first: NumPy reduces a short last axis slowly.
    """
    rows, classes = logits.shape
    flat = _flat(logits, target)
    shifted = logits.T.copy()
    if rows:
        shifted -= np.maximum.reduce(shifted, axis=0)
    picked = shifted.ravel().take(flat)
    exps = np.exp(shifted, out=shifted)
    sums = ones(classes, exps.dtype).dot(exps)
    losses = np.log(sums)
    losses -= picked
    return _reduce(losses, reduction), exps, sums, flat


def _flat(logits, target):
    """Where in the logits, laid out classes first, each row's target lies."""
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


def _reduce(losses, reduction):
    if reduction == "mean":
        return losses.dot(ones(len(losses), losses.dtype)) / max(len(losses), 1)
    if reduction == "sum":
        return np.add.reduce(losses)
    if reduction == "none":
        return losses
    raise ValueError(f"reduction must be 'mean', 'sum' or 'none', got {reduction!r}")


def _cross_entropy_pull(g, logits_shape, target, exps, sums, flat, reduction):
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


def _exps(logits, target):
    """The residual ``exps`` again, differentiably: the maximum is a constant."""
    turned = logits.T
    return np.exp(turned - np.maximum.reduce(turned.detach().numpy(), axis=0))


def _sums(logits, target):
    return np.add.reduce(_exps(logits, target), axis=0)


def _mse_loss(x, target, reduction="mean"):
    difference = x - target
    return _reduce((difference * difference).reshape(-1) if reduction != "none" else difference * difference, reduction)


def _mse_scale(g, shape, reduction):
    return g * (2 / max(int(np.prod(shape)), 1)) if reduction == "mean" else g * 2


op(
    "cross_entropy", _cross_entropy, "logits target",
    residuals={"exps": _exps, "sums": _sums, "flat": lambda logits, target: None}, logits=_cross_entropy_pull,
)
op(
    "mse_loss", _mse_loss, "x target",
    x=lambda g, x, target, reduction: _mse_scale(g, np.broadcast_shapes(x.shape, target.shape), reduction) * (x - target),
    target=lambda g, x, target, reduction: _mse_scale(g, np.broadcast_shapes(x.shape, target.shape), reduction) * (target - x),
)
