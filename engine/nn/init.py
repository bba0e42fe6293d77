"""Initialisation in place, after ``torch.nn.init``.

Each function draws from the engine's random numbers (``engine.manual_seed``), fills the tensor,
records nothing and returns it. Elements are externally synchronised, as by every write in place.
"""

from __future__ import annotations

import math
from typing import Any

from ..creation import rand, randn
from ..errors import ArgumentError, ShapeError
from ..modes import no_grad
from ..tensor import Tensor
from ..values import Shape

_GAINS = {"linear": 1.0, "sigmoid": 1.0, "tanh": 5 / 3, "relu": math.sqrt(2.0), "selu": 0.75}


def fans(shape: Shape) -> tuple[int, int]:
    """How many inputs each output sees, and outputs each input: of a weight (out, in, *kernel).

    >>> fans((16, 8, 3, 3))
    (72, 144)
    """
    if len(shape) < 2:
        raise ShapeError(f"a weight of shape {shape} has no fan: two axes at least, (out, in)")
    field = math.prod(shape[2:])
    return shape[1] * field, shape[0] * field


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """By how much a layer has to enlarge what the nonlinearity after it makes smaller."""
    if nonlinearity == "leaky_relu":
        return math.sqrt(2 / (1 + (0.01 if param is None else param) ** 2))
    if nonlinearity not in _GAINS:
        known = ", ".join([*_GAINS, "leaky_relu"])
        raise ArgumentError(f"unknown nonlinearity {nonlinearity!r}: choose one of {known}")
    return _GAINS[nonlinearity]


def _fill(tensor: Tensor, values: Any) -> Tensor:
    with no_grad():
        return tensor.copy_(values)


def constant_(tensor: Tensor, val: float) -> Tensor:
    """One value everywhere."""
    with no_grad():
        return tensor.fill_(val)


def zeros_(tensor: Tensor) -> Tensor:
    """Zeros."""
    return constant_(tensor, 0)


def ones_(tensor: Tensor) -> Tensor:
    """Ones."""
    return constant_(tensor, 1)


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0) -> Tensor:
    """Uniform in [a, b)."""
    return _fill(tensor, rand(tensor.shape, dtype=tensor.dtype) * (b - a) + a)


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0) -> Tensor:
    """Normal with that mean and standard deviation."""
    return _fill(tensor, randn(tensor.shape, dtype=tensor.dtype) * std + mean)


def xavier_uniform_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """Uniform, with the variance of Glorot and Bengio 2010: 2 gain^2 / (inputs + outputs)."""
    bound = gain * math.sqrt(6 / sum(fans(tensor.shape)))
    return uniform_(tensor, -bound, bound)


def xavier_normal_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """Normal, with the variance of ``xavier_uniform_``."""
    return normal_(tensor, 0.0, gain * math.sqrt(2 / sum(fans(tensor.shape))))


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    if mode not in ("fan_in", "fan_out"):
        raise ArgumentError(f"mode must be 'fan_in' or 'fan_out', got {mode!r}")
    fan = fans(tensor.shape)[mode == "fan_out"]
    return calculate_gain(nonlinearity, a) / math.sqrt(max(fan, 1))


def kaiming_uniform_(
    tensor: Tensor, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu"
) -> Tensor:
    """Uniform, with the variance of He et al. 2015: gain^2 / fan."""
    bound = math.sqrt(3.0) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound)


def kaiming_normal_(
    tensor: Tensor, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu"
) -> Tensor:
    """Normal, with the variance of ``kaiming_uniform_``."""
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity))
