"""Convolutions and pooling over images and sequences, channels first."""

from __future__ import annotations

import math
from typing import Any

from ..errors import ArgumentError
from ..tensor import Tensor
from . import functional as F
from .linear import inverse_root, uniform
from .module import Module

Size = int | tuple[int, ...]


def _sizes(value: Size, ndim: int) -> tuple[int, ...]:
    return (value,) * ndim if isinstance(value, int) else tuple(value)


class _Conv(Module):
    """What convolutions share: parameters, drawn as in PyTorch, and how they print."""

    ndim: int

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size | str = 0,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if groups < 1 or in_channels % groups or out_channels % groups:
            raise ArgumentError(
                f"{type(self).__name__}: groups={groups} must divide in_channels={in_channels} and "
                f"out_channels={out_channels}"
            )
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size = _sizes(kernel_size, self.ndim)
        self.stride, self.padding, self.dilation, self.groups = stride, padding, dilation, groups
        seen = in_channels // groups
        bound = inverse_root(seen * math.prod(self.kernel_size))
        self.weight = uniform(bound, out_channels, seen, *self.kernel_size, dtype=dtype)
        self.register_parameter("bias", uniform(bound, out_channels, dtype=dtype) if bias else None)

    def extra_repr(self) -> str:
        """Its sizes."""
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, "
            f"stride={self.stride}, padding={self.padding}"
        )


class Conv1d(_Conv):
    """Cross-correlation over the last axis: (n, in, l) -> (n, out, l').

    Weight (out, in / groups, k) and bias (out,) are drawn from U(-b, b), b = 1 / sqrt(fan in), as
    in ``torch.nn.Conv1d``. Internally synchronised.
    """

    ndim = 1

    def forward(self, x: Any) -> Tensor:
        """See the class."""
        return F.conv1d(
            x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups
        )


class Conv2d(_Conv):
    """Cross-correlation over the last two axes: (n, in, h, w) -> (n, out, h', w').

    As ``Conv1d``, after ``torch.nn.Conv2d``. Internally synchronised.

    >>> import engine
    >>> Conv2d(3, 8, 3, padding=1)(engine.ones(2, 3, 5, 5)).shape
    (2, 8, 5, 5)
    """

    ndim = 2

    def forward(self, x: Any) -> Tensor:
        """See the class."""
        return F.conv2d(
            x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups
        )


class _Pool(Module):
    def __init__(self, kernel_size: Size, stride: Size | None = None, padding: Size = 0) -> None:
        super().__init__()
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding

    def extra_repr(self) -> str:
        """Its sizes."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxPool2d(_Pool):
    """The largest of each window, as ``torch.nn.MaxPool2d``. Internally synchronised."""

    def forward(self, x: Any) -> Tensor:
        """See the class."""
        pooled: Tensor = F.max_pool2d(x, self.kernel_size, self.stride, self.padding)
        return pooled


class AvgPool2d(_Pool):
    """The mean of each window, as ``torch.nn.AvgPool2d``. Internally synchronised."""

    def forward(self, x: Any) -> Tensor:
        """See the class."""
        return F.avg_pool2d(x, self.kernel_size, self.stride, self.padding)
