"""Losses that compare inputs with each other, and distances between them.

``reduction`` as in ``loss``. Each function reads its inputs and writes nothing: internally
synchronised.
"""

from __future__ import annotations

from typing import Any

from ...ops import COMPOSED
from ...tensor import Tensor, call


def _made(name: str, inputs: tuple[Any, ...], **options: Any) -> Tensor:
    made: Tensor = call(COMPOSED[name], inputs, options)
    return made


def hinge_embedding_loss(
    input: Any, target: Any, margin: float = 1.0, reduction: str = "mean"
) -> Tensor:
    """``input`` where the target is 1, ``max(0, margin - input)`` where it is -1.

    >>> import engine
    >>> hinge_embedding_loss(engine.tensor([0.5, 0.25]), engine.tensor([1, -1]), reduction="none")
    tensor([0.5000, 0.7500])
    """
    name = "nn.hinge_embedding_loss"
    return _made(name, (input, target), margin=margin, reduction=reduction)


def margin_ranking_loss(
    input1: Any, input2: Any, target: Any, margin: float = 0.0, reduction: str = "mean"
) -> Tensor:
    """``max(0, margin - target * (input1 - input2))``: target 1 wants the first to be larger.

    >>> import engine
    >>> margin_ranking_loss(engine.tensor([1.0]), engine.tensor([3.0]), engine.tensor([1.0]))
    tensor(2.)
    """
    name = "nn.margin_ranking_loss"
    return _made(name, (input1, input2, target), margin=margin, reduction=reduction)


def cosine_embedding_loss(
    input1: Any, input2: Any, target: Any, margin: float = 0.0, reduction: str = "mean"
) -> Tensor:
    """``1 - cosine`` where the target is 1, ``max(0, cosine - margin)`` where it is -1.

    Inputs (n, d) and target (n,), or (d,) and ().

    >>> import engine
    >>> x = engine.tensor([[1.0, 0.0]])
    >>> cosine_embedding_loss(x, x, engine.tensor([-1]))
    tensor(1.)
    """
    name = "nn.cosine_embedding_loss"
    return _made(name, (input1, input2, target), margin=margin, reduction=reduction)


def triplet_margin_loss(
    anchor: Any,
    positive: Any,
    negative: Any,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """``max(0, |anchor - positive| - |anchor - negative| + margin)`` in the ``p``-norm.

    ``swap``: the nearer of anchor and positive counts as the negative's distance.

    >>> import engine
    >>> a, b = engine.zeros(1, 2), engine.ones(1, 2)
    >>> triplet_margin_loss(a, a, b, margin=1.0, p=1)
    tensor(0.)
    """
    inputs, options = (anchor, positive, negative), {"margin": margin, "p": p, "eps": eps}
    return _made("nn.triplet_margin_loss", inputs, swap=swap, reduction=reduction, **options)


def multi_margin_loss(
    input: Any,
    target: Any,
    p: int = 1,
    margin: float = 1.0,
    weight: Any = None,
    reduction: str = "mean",
) -> Tensor:
    """The mean over the other classes of ``max(0, margin - input[target] + input) ** p``.

    >>> import engine
    >>> multi_margin_loss(engine.tensor([[0.0, 1.0]]), engine.tensor([0]))
    tensor(1.)
    """
    name, inputs = "nn.multi_margin_loss", (input, target, weight)
    return _made(name, inputs, p=p, margin=margin, reduction=reduction)


def bpr_loss(positive: Any, negative: Any, reduction: str = "mean") -> Tensor:
    """``-log sigmoid(positive - negative)``: scores of what was chosen and of what was not.

    Rendle, Freudenthaler, Gantner and Schmidt-Thieme, "BPR: Bayesian personalized ranking from
    implicit feedback" (2009).

    >>> import engine
    >>> bpr_loss(engine.zeros(3), engine.zeros(3))
    tensor(0.6931)
    """
    return _made("nn.bpr_loss", (positive, negative), reduction=reduction)


def cosine_similarity(x1: Any, x2: Any, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """The cosine of the angle between vectors along ``dim``, none counting as shorter than eps.

    >>> import engine
    >>> cosine_similarity(engine.tensor([[1.0, 1.0]]), engine.tensor([[1.0, 0.0]]))
    tensor([0.7071])
    """
    return _made("nn.cosine_similarity", (x1, x2), axis=dim, eps=eps)


def pairwise_distance(
    x1: Any, x2: Any, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> Tensor:
    """The ``p``-norm of ``x1 - x2 + eps`` along the last axis.

    >>> import engine
    >>> pairwise_distance(engine.tensor([[3.0, 4.0]]), engine.zeros(1, 2))
    tensor([5.0000])
    """
    return _made("nn.pairwise_distance", (x1, x2), p=p, eps=eps, keepdims=keepdim)


def normalize(input: Any, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Tensor:
    """Vectors along ``dim`` scaled to a ``p``-norm of 1, or by ``1 / eps`` if they are shorter.

    >>> import engine
    >>> normalize(engine.tensor([[3.0, 4.0], [0.0, 0.0]]))
    tensor([[0.6000, 0.8000],
            [0.0000, 0.0000]])
    """
    return _made("nn.normalize", (input,), p=p, axis=dim, eps=eps)
