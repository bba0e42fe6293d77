"""Losses of each element, and how losses are reduced. Those with a rule of their own are fused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..values import Value
from .along import into, scaled, total
from .op import OPS, composed, op
from .transcendental import sigmoid


def unknown(reduction: str) -> ValueError:
    """What to raise for a reduction that there is not."""
    return ValueError(f"reduction must be 'mean', 'sum' or 'none', got {reduction!r}")


def reduced(losses: Value, reduction: str) -> Value:
    """One loss per element, as asked for."""
    if reduction == "mean":
        return total(losses) / math.prod(losses.shape)
    if reduction == "sum":
        return total(losses)
    if reduction == "none":
        return losses
    raise unknown(reduction)


def weighted(losses: Value, weight: Value, reduction: str) -> Value:
    """As ``reduced``, where each loss counts ``weight`` times. The mean divides by the number of
    losses, not by the sum of the weights."""
    return reduced(losses if weight is None else losses * weight, reduction)


def still(x: Value) -> Value:
    """The elements of an array or Tensor, as constants."""
    return x if isinstance(x, np.ndarray) else x.detach().numpy()


def _each(g: Value, slope: Value, reduction: str) -> Value:
    """The gradient of a reduced loss, given the slope of the loss at each element, which nobody
    else holds."""
    if reduction == "mean":
        g = g / max(math.prod(slope.shape), 1)
    return scaled(slope, g)


# -- of a difference -------------------------------------------------------------------------------


def _mse_loss(input: Value, target: Value, reduction: str = "mean") -> Value:
    return reduced(into(input - target, np.square), reduction)


def _l1_loss(input: Value, target: Value, reduction: str = "mean") -> Value:
    return reduced(into(input - target, np.absolute), reduction)


def _huber_loss(input: Value, target: Value, reduction: str = "mean", delta: float = 1.0) -> Value:
    """d * d / 2 up to |d| = delta, and straight on from there: c * (d - c / 2), c = d cut off."""
    d = input - target
    cut = np.clip(d, -delta, delta)
    return reduced((d - cut * 0.5) * cut, reduction)


op(
    "nn.mse_loss",
    _mse_loss,
    "input target",
    input=lambda g, input, target, reduction: _each(g, (input - target) * 2, reduction),
    target=lambda g, input, target, reduction: _each(g, (target - input) * 2, reduction),
)
op(
    "nn.l1_loss",
    _l1_loss,
    "input target",
    input=lambda g, input, target, reduction: _each(g, np.sign(input - target), reduction),
    target=lambda g, input, target, reduction: _each(g, np.sign(target - input), reduction),
)
op(
    "nn.huber_loss",
    _huber_loss,
    "input target",
    input=lambda g, input, target, reduction, delta: _each(
        g, np.clip(input - target, -delta, delta), reduction
    ),
    target=lambda g, input, target, reduction, delta: _each(
        g, np.clip(target - input, -delta, delta), reduction
    ),
)

# -- of a probability ------------------------------------------------------------------------------

_FLOOR = -100.0  # of a logarithm, as in PyTorch: the loss of an impossible target is finite


def _bce_with_logits(input: Value, target: Value, reduction: str = "mean") -> Value:
    """log(1 + exp(input)) - target * input, without taking exp of what is positive."""
    _same_shape(input, target)
    softplus = np.maximum(input, 0) + np.log1p(np.exp(-np.abs(input)))
    return reduced(softplus - target * input, reduction)


def _same_shape(input: Value, target: Value) -> None:
    if input.shape != target.shape:
        raise ValueError(f"the target must have the input's shape {input.shape}")


def _logs(p: Value) -> tuple[Value, Value]:
    """log(p) and log(1 - p), none below the floor."""
    with np.errstate(divide="ignore"):
        return np.maximum(np.log(p), _FLOOR), np.maximum(np.log1p(-p), _FLOOR)


def _bce(input: Value, target: Value, reduction: str = "mean") -> Value:
    _same_shape(input, target)
    if input.size and not (input.min() >= 0 and input.max() <= 1):
        raise ValueError("the input must hold probabilities, between 0 and 1")
    high, low = _logs(input)
    return reduced((target - 1) * low - target * high, reduction)


def _bce_input(g: Value, input: Value, target: Value, reduction: str) -> Value:
    spread = np.maximum(input * (1 - input), 1e-12)
    return _each(g, (input - target) / spread, reduction)


def _bce_target(g: Value, input: Value, reduction: str) -> Value:
    high, low = _logs(input)
    return _each(g, low - high, reduction)


op(
    "nn.binary_cross_entropy_with_logits",
    _bce_with_logits,
    "input target",
    input=lambda g, input, target, reduction: _each(g, sigmoid(input) - target, reduction),
    target=lambda g, input, reduction: _each(g, -input, reduction),
)
op(
    "nn.binary_cross_entropy",
    _bce,
    "input target",
    input=_bce_input,
    target=_bce_target,
)


def _softplus(x: Value) -> Value:
    return OPS["softplus"](x)


def _bce_with_pos_weight(
    input: Value, target: Value, pos_weight: Value, weight: Value, reduction: str = "mean"
) -> Value:
    """With the losses of positive targets times ``pos_weight``."""
    _same_shape(input, target)
    positive = target * _softplus(-input) * pos_weight
    return weighted(positive + (1 - target) * _softplus(input), weight, reduction)


def _kl_div(
    input: Value, target: Value, reduction: str = "mean", log_target: bool = False
) -> Value:
    """target * (log(target) - input), 0 where the target is 0; ``input`` is a logarithm."""
    if log_target:
        losses = np.exp(target) * (target - input)
    else:
        some = still(target) > 0
        losses = target * (np.log(np.where(some, target, 1)) - input)
    if reduction == "batchmean":
        return reduced(losses, "sum") / (input.shape[0] if input.ndim else 1)
    return reduced(losses, reduction)


def _poisson_nll_loss(
    input: Value,
    target: Value,
    log_input: bool = True,
    full: bool = False,
    eps: float = 1e-8,
    reduction: str = "mean",
) -> Value:
    """The rate, or its logarithm, is ``input``. ``full`` adds Stirling's approximation."""
    rate, log = (np.exp(input), input) if log_input else (input, np.log(input + eps))
    losses = rate - target * log
    if full:
        many = still(target) > 1
        count = np.where(many, target, 1)
        stirling = count * np.log(count) - count + np.log(count * (2 * math.pi)) * 0.5
        losses = losses + np.where(many, stirling, 0)
    return reduced(losses, reduction)


def _gaussian_nll_loss(
    input: Value,
    target: Value,
    variance: Value,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Value:
    """``variance`` counts as at least ``eps``, but its gradient does not know, as in PyTorch."""
    values = still(variance)
    if (values < 0).any():
        raise ValueError("the variance must not be negative")
    variance = variance + np.maximum(eps - values, 0)
    losses = (np.log(variance) + np.square(input - target) / variance) * 0.5
    return reduced(losses + 0.5 * math.log(2 * math.pi) if full else losses, reduction)


def _soft_margin_loss(input: Value, target: Value, reduction: str = "mean") -> Value:
    """log(1 + exp(-target * input)), for targets 1 and -1."""
    return reduced(_softplus(-target * input), reduction)


def _multilabel_soft_margin_loss(
    input: Value, target: Value, weight: Value, reduction: str = "mean"
) -> Value:
    """The mean over the last axis of each label's cross entropy."""
    losses = OPS["nn.binary_cross_entropy_with_logits"](input, target, "none")
    each = losses if weight is None else losses * weight
    return reduced(np.mean(each, axis=-1), reduction)


def _table() -> None:
    """Of those that are made of other operations."""
    rows: dict[str, tuple[Any, str]] = {
        "binary_cross_entropy_with_pos_weight": (
            _bce_with_pos_weight,
            "input target pos_weight weight",
        ),
        "kl_div": (_kl_div, "input target"),
        "poisson_nll_loss": (_poisson_nll_loss, "input target"),
        "gaussian_nll_loss": (_gaussian_nll_loss, "input target variance"),
        "soft_margin_loss": (_soft_margin_loss, "input target"),
        "multilabel_soft_margin_loss": (_multilabel_soft_margin_loss, "input target weight"),
    }
    for name, (function, inputs) in rows.items():
        composed(f"nn.{name}", function, inputs)


_table()
