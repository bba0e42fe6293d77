"""Losses that compare: two inputs, an anchor with a like and an unlike one, one class with others.

Made of other operations; a target here is a constant.
"""

from __future__ import annotations

import numpy as np

from ..values import Value
from .distances import pairwise_distance
from .loss_elementwise import reduced, still
from .op import OPS, composed


def _hinge(x: Value) -> Value:
    return OPS["relu"](x)


def _hinge_embedding_loss(
    input: Value, target: Value, margin: float = 1.0, reduction: str = "mean"
) -> Value:
    """``input`` where the target is 1, ``max(0, margin - input)`` where it is -1."""
    sign = still(target)
    like = np.where(sign == -1, 0, input)
    return reduced(like + np.where(sign == 1, 0, _hinge(margin - input)), reduction)


def _margin_ranking_loss(
    input1: Value, input2: Value, target: Value, margin: float = 0.0, reduction: str = "mean"
) -> Value:
    """``max(0, margin - target * (input1 - input2))``."""
    return reduced(_hinge((input2 - input1) * target + margin), reduction)


def _cosine_embedding_loss(
    input1: Value, input2: Value, target: Value, margin: float = 0.0, reduction: str = "mean"
) -> Value:
    """One minus the cosine where the target is 1, the cosine above ``margin`` where it is -1."""
    sign, eps = still(target), 1e-12
    dot, one, two = (
        np.add.reduce(a * b, axis=-1)
        for a, b in [(input1, input2), (input1, input1), (input2, input2)]
    )
    cosine = dot / np.sqrt((one + eps) * (two + eps))
    losses = np.where(sign == 1, 1 - cosine, 0) + np.where(sign == -1, _hinge(cosine - margin), 0)
    return reduced(losses, reduction)


def _triplet_margin_loss(
    anchor: Value,
    positive: Value,
    negative: Value,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
    reduction: str = "mean",
) -> Value:
    """How much nearer the anchor is to the negative than to the positive, and ``margin`` more."""
    near = pairwise_distance(anchor, positive, p, eps)
    far = pairwise_distance(anchor, negative, p, eps)
    if swap:
        far = np.minimum(far, pairwise_distance(positive, negative, p, eps))
    return reduced(_hinge(near - far + margin), reduction)


def _multi_margin_loss(
    input: Value,
    target: Value,
    weight: Value,
    p: int = 1,
    margin: float = 1.0,
    reduction: str = "mean",
) -> Value:
    """The mean over the other classes of ``max(0, margin - input[target] + input) ** p``."""
    ids = still(target)
    rows = input if input.ndim == 2 else input.reshape(1, -1)
    ids = ids.reshape(-1, 1)
    own = np.equal(ids, np.arange(rows.shape[1]))
    right = np.add.reduce(np.where(own, rows, 0), axis=1, keepdims=True)
    over = np.where(own, 0, _hinge(rows - right + margin))
    losses = over if p == 1 else np.square(over)
    if weight is not None:
        losses = losses * still(weight).astype(rows.dtype)[ids]
    each = np.mean(losses, axis=1)
    return reduced(each if input.ndim == 2 else each[0], reduction)


def _bpr_loss(positive: Value, negative: Value, reduction: str = "mean") -> Value:
    """-log sigmoid(positive - negative): scores of what was chosen and of what was not.

    Rendle, Freudenthaler, Gantner and Schmidt-Thieme, "BPR: Bayesian personalized ranking from
    implicit feedback" (2009).
    """
    return reduced(OPS["softplus"](negative - positive), reduction)


composed("nn.hinge_embedding_loss", _hinge_embedding_loss, "input target")
composed("nn.margin_ranking_loss", _margin_ranking_loss, "input1 input2 target")
composed("nn.cosine_embedding_loss", _cosine_embedding_loss, "input1 input2 target")
composed("nn.triplet_margin_loss", _triplet_margin_loss, "anchor positive negative")
composed("nn.multi_margin_loss", _multi_margin_loss, "input target weight")
composed("nn.bpr_loss", _bpr_loss, "positive negative", torch=None)
