"""``torch.nn.functional``'s names over the op table.

Each function reads its inputs and writes nothing: internally synchronised.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..ops import OPS
from ..tensor import Tensor, record

_CROSS_ENTROPY, _LINEAR, _MSE = OPS["cross_entropy"], OPS["linear"], OPS["mse_loss"]
_RELU, _SIGMOID, _TANH = OPS["relu"], OPS["sigmoid"], OPS["tanh"]
_SOFTMAX, _LOG_SOFTMAX = OPS["softmax"], OPS["log_softmax"]


def linear(input: Any, weight: Any, bias: Any = None) -> Tensor:
    """``input @ weight.T + bias``: input (..., in), weight (out, in), bias (out,) -> (..., out).

    >>> import engine
    >>> linear(engine.ones(2, 3), engine.ones(4, 3), engine.zeros(4))
    tensor([[3., 3., 3., 3.],
            [3., 3., 3., 3.]])
    """
    return record(_LINEAR, (input, weight, bias), {})


def relu(input: Any) -> Tensor:
    """``max(input, 0)``; the slope at 0 is 0."""
    return record(_RELU, (input,), {})


def leaky_relu(input: Any, negative_slope: float = 0.01) -> Tensor:
    """``input`` where it is positive, else ``negative_slope * input``."""
    return record(OPS["leaky_relu"], (input,), {"negative_slope": negative_slope})


def softplus(input: Any) -> Tensor:
    """``log(1 + exp(input))``, without overflow."""
    return record(OPS["softplus"], (input,), {})


def tanh(input: Any) -> Tensor:
    """The hyperbolic tangent."""
    return record(_TANH, (input,), {})


def sigmoid(input: Any) -> Tensor:
    """``1 / (1 + exp(-input))``."""
    return record(_SIGMOID, (input,), {})


def softmax(input: Any, dim: int = -1) -> Tensor:
    """``exp(input)`` scaled to sum to 1 along ``dim``."""
    return record(_SOFTMAX, (input,), {"axis": dim})


def log_softmax(input: Any, dim: int = -1) -> Tensor:
    """The logarithm of ``softmax``."""
    return record(_LOG_SOFTMAX, (input,), {"axis": dim})


def cross_entropy(input: Any, target: Any, reduction: str = "mean") -> Tensor:
    """-log softmax(input)[target]: input (n, classes), integer target (n,) -> scalar, or (n,).

    ``reduction``: ``"mean"``, ``"sum"`` or ``"none"``. Raises ``ShapeError`` for a target that is
    no class index of each row.

    >>> import engine
    >>> cross_entropy(engine.zeros(2, 4), engine.tensor([1, 3]))
    tensor(1.3863)
    """
    if not isinstance(target, Tensor):
        target = np.asarray(target)
    return record(_CROSS_ENTROPY, (input, target), {"reduction": reduction})


def mse_loss(input: Any, target: Any, reduction: str = "mean") -> Tensor:
    """The mean (``reduction="mean"``) or sum of squared differences.

    >>> import engine
    >>> mse_loss(engine.tensor([1.0, 3.0]), engine.tensor([1.0, 1.0]))
    tensor(2.)
    """
    return record(_MSE, (input, target), {"reduction": reduction})


def binary_cross_entropy_with_logits(input: Any, target: Any, reduction: str = "mean") -> Tensor:
    """-log of the probability that ``sigmoid(input)`` gives to ``target`` in 0..1, fused.

    >>> import engine
    >>> binary_cross_entropy_with_logits(engine.zeros(2), engine.tensor([0.0, 1.0]))
    tensor(0.6931)
    """
    op = OPS["binary_cross_entropy_with_logits"]
    return record(op, (input, target), {"reduction": reduction})
