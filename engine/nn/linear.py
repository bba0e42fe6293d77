"""Layers that multiply by a matrix, and those that only turn shapes."""

from __future__ import annotations

import math
from typing import Any

from ..creation import rand
from ..tensor import Tensor
from ..values import Shape
from . import functional as F
from .module import Module, Parameter


def uniform(bound: float, *shape: int, dtype: Any = None) -> Tensor:
    """A parameter drawn from [-bound, bound): PyTorch's default for most layers."""
    return Parameter(rand(shape, dtype=dtype) * (2 * bound) - bound)


def inverse_root(fan: int) -> float:
    """``1 / sqrt(fan)``; 0 where there is nothing to see."""
    return 1 / math.sqrt(fan) if fan else 0.0


class Linear(Module):
    """``x @ weight.T + bias``: (..., in_features) -> (..., out_features).

    Weight (out, in) and bias (out,) are drawn from U(-k, k), k = 1 / sqrt(in_features), as in
    ``torch.nn.Linear``. Internally synchronised.
    """

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, dtype: Any = None
    ) -> None:
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        bound = inverse_root(in_features)
        self.weight = uniform(bound, out_features, in_features, dtype=dtype)
        self.register_parameter("bias", uniform(bound, out_features, dtype=dtype) if bias else None)

    def forward(self, x: Any) -> Tensor:
        """See the class."""
        return F.linear(x, self.weight, self.bias)

    def extra_repr(self) -> str:
        """Its sizes."""
        return f"{self.in_features}, {self.out_features}, bias={self.bias is not None}"


class Identity(Module):
    """Returns what it is given."""

    def forward(self, x: Any) -> Any:
        """See the class."""
        return x


class Flatten(Module):
    """Axes ``start_dim`` to ``end_dim`` made one: (n, c, h, w) -> (n, c * h * w)."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        flat: Tensor = x.flatten(self.start_dim, self.end_dim)
        return flat


class Unflatten(Module):
    """One axis made several: the opposite of ``Flatten``."""

    def __init__(self, dim: int, unflattened_size: Shape) -> None:
        super().__init__()
        self.dim, self.unflattened_size = dim, tuple(unflattened_size)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        axis = range(x.ndim)[self.dim]
        shape = (*x.shape[:axis], *self.unflattened_size, *x.shape[axis + 1 :])
        return x.reshape(shape)  # type: ignore[no-any-return]
