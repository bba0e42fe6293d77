"""Losses.

Each function reads its inputs and writes nothing: internally synchronised.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...ops import OPS
from ...tensor import Tensor, record

_CROSS_ENTROPY, _MSE = OPS["cross_entropy"], OPS["mse_loss"]


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
