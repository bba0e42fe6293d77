"""Losses of a prediction and a target, element by element or class by class.

``reduction`` is ``"mean"``, ``"sum"`` or ``"none"``, one loss each; any other raises ``ShapeError``
(a ``ValueError``). Each function reads its inputs and writes nothing: internally synchronised.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import IndexRangeError
from ...ops import COMPOSED, OPS
from ...tensor import Tensor, call, record

_CROSS_ENTROPY, _MSE = OPS["nn.cross_entropy"], OPS["nn.mse_loss"]
_LOG_SOFTMAX = OPS["log_softmax"]


def cross_entropy(
    input: Any,
    target: Any,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """-log softmax(input)[target]: input (n, classes), integer target (n,) -> scalar, or (n,).

    Also of (n, classes, d1, ...) and a target (n, d1, ...), of one row (classes,) and a target (),
    and of a target of probabilities, shaped like the input. ``weight`` (classes,): how much each
    class counts; the mean is weighted too. Targets of ``ignore_index`` do not count.
    ``label_smoothing``: how much of each target is spread over all classes.

    Raises ``ShapeError`` for a target of another shape or dtype, ``IndexRangeError`` for one that
    is no class.

    >>> import engine
    >>> cross_entropy(engine.zeros(2, 4), engine.tensor([1, 3]))
    tensor(1.3863)
    >>> cross_entropy(engine.zeros(2, 4), engine.tensor([1, -100]), reduction="none").tolist()[1]
    0.0
    """
    if not isinstance(target, Tensor):
        target = np.asarray(target)
    if weight is None and not label_smoothing and len(input.shape) == 2:
        plain = target.dtype.kind in "iu" and ignore_index < 0
        if plain and (loss := _whole(_CROSS_ENTROPY, input, target, ignore_index, reduction)):
            return loss[0]
    logs = record(_LOG_SOFTMAX, (input,), {"axis": 1 if len(input.shape) > 1 else 0})
    if target.dtype.kind == "f":
        row = COMPOSED["nn.cross_entropy_of_probabilities"]
        options = {"label_smoothing": label_smoothing, "reduction": reduction}
        return _made(row, (logs, target, weight), options)
    return _nll(logs, target, weight, ignore_index, label_smoothing, reduction)


def _whole(op: Any, input: Any, target: Any, ignore_index: int, reduction: str) -> list[Tensor]:
    """The loss of rows of which none is ignored; nothing if one is."""
    try:
        return [record(op, (input, target), {"reduction": reduction})]
    except IndexRangeError:
        if (np.asarray(target) == ignore_index).any():
            return []
        raise


def _made(row: Any, inputs: tuple[Any, ...], options: dict[str, Any]) -> Tensor:
    made: Tensor = call(row, inputs, options)
    return made


def _nll(
    logs: Any, target: Any, weight: Any, ignore_index: int, smoothing: float, reduction: str
) -> Tensor:
    options = {
        "ignore_index": ignore_index,
        "label_smoothing": smoothing,
        "reduction": reduction,
    }
    return _made(COMPOSED["nn.nll_loss"], (logs, target, weight), options)


def nll_loss(
    input: Any,
    target: Any,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:
    """``-input[target]`` of log-probabilities (n, classes, ...): see ``cross_entropy``.

    >>> import engine
    >>> nll_loss(engine.tensor([[-1.0, -2.0], [-3.0, -4.0]]), engine.tensor([0, 1]))
    tensor(2.5000)
    """
    if weight is None and ignore_index < 0 and len(input.shape) == 2:
        target = target if isinstance(target, Tensor) else np.asarray(target)
        if loss := _whole(OPS["nn.nll"], input, target, ignore_index, reduction):
            return loss[0]
    return _nll(input, target, weight, ignore_index, 0.0, reduction)


def mse_loss(input: Any, target: Any, reduction: str = "mean", weight: Any = None) -> Tensor:
    """The mean (``reduction="mean"``) or sum of squared differences.

    >>> import engine
    >>> mse_loss(engine.tensor([1.0, 3.0]), engine.tensor([1.0, 1.0]))
    tensor(2.)
    """
    return _weighted(_MSE, input, target, weight, reduction, {})


def l1_loss(input: Any, target: Any, reduction: str = "mean", weight: Any = None) -> Tensor:
    """Absolute differences; where there is none, the gradient is 0.

    >>> import engine
    >>> l1_loss(engine.tensor([1.0, 4.0]), engine.tensor([1.0, 1.0]))
    tensor(1.5000)
    """
    return _weighted(OPS["nn.l1_loss"], input, target, weight, reduction, {})


def huber_loss(
    input: Any, target: Any, reduction: str = "mean", delta: float = 1.0, weight: Any = None
) -> Tensor:
    """Half of squared differences up to ``delta``, and straight on from there.

    >>> import engine
    >>> huber_loss(engine.tensor([1.0, 4.0]), engine.tensor([0.0, 0.0]), "none")
    tensor([0.5000, 3.5000])
    """
    return _weighted(OPS["nn.huber_loss"], input, target, weight, reduction, {"delta": delta})


def smooth_l1_loss(input: Any, target: Any, reduction: str = "mean", beta: float = 1.0) -> Tensor:
    """``huber_loss`` with ``delta = beta``, divided by ``beta``; ``l1_loss`` where that is 0.

    >>> import engine
    >>> smooth_l1_loss(engine.tensor([1.0, 4.0]), engine.tensor([0.0, 0.0]), "none", beta=2.0)
    tensor([0.2500, 3.0000])
    """
    if beta == 0:
        return l1_loss(input, target, reduction)
    return huber_loss(input, target, reduction, beta) * (1 / beta)


def binary_cross_entropy(
    input: Any, target: Any, weight: Any = None, reduction: str = "mean"
) -> Tensor:
    """-log of the probability that ``input`` in 0..1 gives to ``target`` in 0..1.

    No logarithm counts as less than -100, as in PyTorch. Raises ``ShapeError`` where the input is
    no probability. ``binary_cross_entropy_with_logits`` is more accurate.

    >>> import engine
    >>> binary_cross_entropy(engine.tensor([0.5, 0.0]), engine.tensor([1.0, 0.0]), reduction="none")
    tensor([0.6931, 0.0000])
    """
    op = OPS["nn.binary_cross_entropy"]
    return _weighted(op, input, target, weight, reduction, {})


def binary_cross_entropy_with_logits(
    input: Any,
    target: Any,
    weight: Any = None,
    reduction: str = "mean",
    pos_weight: Any = None,
) -> Tensor:
    """-log of the probability that ``sigmoid(input)`` gives to ``target`` in 0..1, fused.

    ``weight``: how much each element counts, ``pos_weight``: how much a target of 1 does; both
    broadcast.

    >>> import engine
    >>> binary_cross_entropy_with_logits(engine.zeros(2), engine.tensor([0.0, 1.0]))
    tensor(0.6931)
    """
    if pos_weight is not None:
        row = COMPOSED["nn.binary_cross_entropy_with_pos_weight"]
        return _made(row, (input, target, pos_weight, weight), {"reduction": reduction})
    op = OPS["nn.binary_cross_entropy_with_logits"]
    return _weighted(op, input, target, weight, reduction, {})


def _weighted(
    op: Any, input: Any, target: Any, weight: Any, reduction: str, options: dict[str, Any]
) -> Tensor:
    """A loss whose elements count ``weight`` times. The mean is over the number of elements."""
    if weight is None:
        return record(op, (input, target), {"reduction": reduction, **options})
    losses = record(op, (input, target), {"reduction": "none", **options}) * weight
    reduce = {"mean": losses.mean, "sum": losses.sum, "none": lambda: losses}
    if reduction not in reduce:
        return record(op, (input, target), {"reduction": reduction, **options})  # which raises
    made: Tensor = reduce[reduction]()
    return made


def kl_div(input: Any, target: Any, reduction: str = "mean", log_target: bool = False) -> Tensor:
    """``target * (log(target) - input)``: ``input`` is a logarithm, and ``target`` if asked for.

    ``reduction`` may be ``"batchmean"``: the sum over the size of the first axis.

    >>> import engine
    >>> p = engine.tensor([[0.5, 0.5]])
    >>> kl_div(engine.tensor([[0.25, 0.75]]).log(), p, "batchmean")
    tensor(0.1438)
    """
    options = {"reduction": reduction, "log_target": log_target}
    return _made(COMPOSED["nn.kl_div"], (input, target), options)


def poisson_nll_loss(
    input: Any,
    target: Any,
    log_input: bool = True,
    full: bool = False,
    eps: float = 1e-8,
    reduction: str = "mean",
) -> Tensor:
    """-log of what a Poisson distribution gives to counts; ``input`` is its rate's logarithm.

    >>> import engine
    >>> poisson_nll_loss(engine.zeros(2), engine.tensor([1.0, 2.0]))
    tensor(1.)
    """
    options = {"log_input": log_input, "full": full, "eps": eps, "reduction": reduction}
    return _made(COMPOSED["nn.poisson_nll_loss"], (input, target), options)


def gaussian_nll_loss(
    input: Any,
    target: Any,
    var: Any,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Tensor:
    """-log of what a normal distribution of mean ``input`` and variance ``var`` gives to targets.

    ``var`` is shaped like the input, or without its last axis, or with a last axis of 1. Raises
    ``ShapeError`` for a variance that is negative.

    >>> import engine
    >>> gaussian_nll_loss(engine.zeros(2), engine.ones(2), engine.ones(2))
    tensor(0.5000)
    """
    var = var if isinstance(var, Tensor) else np.asarray(var)
    if 0 < var.ndim == len(input.shape) - 1:
        var = var[..., None]
    options = {"full": full, "eps": eps, "reduction": reduction}
    return _made(COMPOSED["nn.gaussian_nll_loss"], (input, target, var), options)


def soft_margin_loss(input: Any, target: Any, reduction: str = "mean") -> Tensor:
    """``log(1 + exp(-target * input))``, for targets 1 and -1.

    >>> import engine
    >>> soft_margin_loss(engine.zeros(2), engine.tensor([1.0, -1.0]))
    tensor(0.6931)
    """
    return _made(COMPOSED["nn.soft_margin_loss"], (input, target), {"reduction": reduction})


def multilabel_soft_margin_loss(
    input: Any, target: Any, weight: Any = None, reduction: str = "mean"
) -> Tensor:
    """The mean over classes (the last axis) of the cross entropy of each label by itself.

    >>> import engine
    >>> multilabel_soft_margin_loss(engine.zeros(2, 3), engine.ones(2, 3))
    tensor(0.6931)
    """
    row = COMPOSED["nn.multilabel_soft_margin_loss"]
    return _made(row, (input, target, weight), {"reduction": reduction})
