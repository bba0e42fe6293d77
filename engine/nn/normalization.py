"""Layers that shift and scale to zero mean and unit variance, of an example or of a batch."""

from __future__ import annotations

from typing import Any

from ..creation import ones, tensor, zeros
from ..errors import ShapeError
from ..tensor import Tensor
from ..values import Shape
from . import functional as F
from .module import Module, Parameter


def _shape(normalized_shape: int | Shape) -> Shape:
    return (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)


class LayerNorm(Module):
    """Each example over its last axes, as ``torch.nn.LayerNorm``. Internally synchronised."""

    def __init__(
        self,
        normalized_shape: int | Shape,
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        shape = self.normalized_shape = _shape(normalized_shape)
        self.eps = eps
        affine = elementwise_affine
        weight = Parameter(ones(shape, dtype=dtype)) if affine else None
        self.register_parameter("weight", weight)
        self.register_parameter(
            "bias", Parameter(zeros(shape, dtype=dtype)) if affine and bias else None
        )

    def forward(self, x: Any) -> Tensor:
        """See the class."""
        return F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """Its shape."""
        return f"{self.normalized_shape}, eps={self.eps}"


class RMSNorm(Module):
    """Each example divided by its root mean square, as ``torch.nn.RMSNorm``.

    Internally synchronised.
    """

    def __init__(
        self,
        normalized_shape: int | Shape,
        eps: float | None = None,
        elementwise_affine: bool = True,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        shape = self.normalized_shape = _shape(normalized_shape)
        self.eps = eps
        weight = Parameter(ones(shape, dtype=dtype)) if elementwise_affine else None
        self.register_parameter("weight", weight)

    def forward(self, x: Any) -> Tensor:
        """See the class."""
        return F.rms_norm(x, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        """Its shape."""
        return f"{self.normalized_shape}, eps={self.eps}"


class _BatchNorm(Module):
    """Each channel over the batch; ``dims``: how many axes the input may have."""

    dims: tuple[int, ...]

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.track_running_stats = track_running_stats
        weight = Parameter(ones(num_features, dtype=dtype)) if affine else None
        self.register_parameter("weight", weight)
        self.register_parameter(
            "bias", Parameter(zeros(num_features, dtype=dtype)) if affine else None
        )
        tracked = track_running_stats
        mean = zeros(num_features, dtype=dtype) if tracked else None
        self.register_buffer("running_mean", mean)
        variance = ones(num_features, dtype=dtype) if tracked else None
        self.register_buffer("running_var", variance)
        self.register_buffer("num_batches_tracked", tensor(0) if tracked else None)

    def forward(self, x: Any) -> Tensor:
        """See the class."""
        if x.ndim not in self.dims:
            raise ShapeError(
                f"{type(self).__name__}: expected {' or '.join(map(str, self.dims))} axes, "
                f"got shape {x.shape}"
            )
        return F.batch_norm(
            x,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or not self.track_running_stats,
            self.momentum,
            self.eps,
            self.num_batches_tracked,
        )

    def extra_repr(self) -> str:
        """Its size."""
        return f"{self.num_features}, eps={self.eps}, momentum={self.momentum}"


class BatchNorm1d(_BatchNorm):
    """Channels of (n, c) or (n, c, l) over n and l, as ``torch.nn.BatchNorm1d``.

    In training the statistics are the batch's, and the running ones move towards them in place,
    one batch at a time: no batch is lost, whatever threads do. In use (``eval()``) the running ones
    are read without a lock, and may be half of an update by a thread that trains meanwhile.
    Internally synchronised but for that.

    >>> import engine
    >>> layer = BatchNorm1d(3)
    >>> _ = layer(engine.ones(4, 3))
    >>> layer.running_mean, layer.num_batches_tracked
    (tensor([0.1000, 0.1000, 0.1000]), tensor(1))
    """

    dims = (2, 3)


class BatchNorm2d(_BatchNorm):
    """Channels of (n, c, h, w) over all other axes, as ``torch.nn.BatchNorm2d``.

    Otherwise as ``BatchNorm1d``.
    """

    dims = (4,)
