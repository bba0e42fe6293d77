"""Activations, and the softmax family.

Each function reads its inputs and writes nothing: internally synchronised.
"""

from __future__ import annotations

from typing import Any

from ...ops import OPS
from ...tensor import Tensor, record

_RELU, _SIGMOID, _TANH = OPS["relu"], OPS["sigmoid"], OPS["tanh"]
_SOFTMAX, _LOG_SOFTMAX = OPS["softmax"], OPS["log_softmax"]


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
