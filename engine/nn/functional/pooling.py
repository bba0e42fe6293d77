"""Pooling over windows, and to sizes.

``kernel_size``, ``stride`` (the kernel's size, if None) and ``padding`` are one int, or one for
each spatial axis. An input without N is a batch of one. ``ceil_mode``: a window that begins inside
counts although it does not fit. Raises ``ArgumentError`` for sizes that there are not,
``ShapeError`` where no window fits. Each function reads its inputs and writes nothing: internally
synchronised.
"""

from __future__ import annotations

from typing import Any

from ...errors import ArgumentError
from ...ops import COMPOSED, OPS
from ...tensor import Tensor, call, record
from . import spatial

_MAX, _PLACES = OPS["nn.max_pool"], OPS["nn.max_pool_places"]


def max_pool1d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest of each window along the last axis: see ``max_pool2d``.

    >>> import engine
    >>> max_pool1d(engine.tensor([[1.0, 3.0, 2.0, 0.0]]), 2)
    tensor([[3., 2.]])
    """
    sizes = kernel_size, stride, padding, dilation
    return _max("max_pool1d", 1, input, *sizes, ceil_mode, return_indices)


def max_pool2d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest of each window over the last two axes, a NaN being the largest.

    Of equal ones the first gets the gradient. ``return_indices``: also where they are, in the
    flattened spatial axes.

    >>> import engine
    >>> x = engine.arange(16.0).reshape(1, 1, 4, 4)
    >>> max_pool2d(x, 2)
    tensor([[[[ 5.,  7.],
              [13., 15.]]]])
    >>> max_pool2d(x, 3, stride=2, padding=1, return_indices=True)[1].tolist()
    [[[[5, 7], [13, 15]]]]
    """
    sizes = kernel_size, stride, padding, dilation
    return _max("max_pool2d", 2, input, *sizes, ceil_mode, return_indices)


def max_pool3d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest of each window over the last three axes: see ``max_pool2d``.

    >>> import engine
    >>> max_pool3d(engine.ones(1, 1, 2, 2, 2), 2).shape
    (1, 1, 1, 1, 1)
    """
    sizes = kernel_size, stride, padding, dilation
    return _max("max_pool3d", 3, input, *sizes, ceil_mode, return_indices)


def _max(
    name: str,
    dims: int,
    input: Any,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    ceil_mode: bool,
    return_indices: bool,
) -> Any:
    size, steps, around = _windows(name, kernel_size, stride, padding, dims)
    gaps = spatial.ints("dilation", dilation, dims)

    def run(x: Tensor) -> Any:
        wide = spatial.ceiled(x.shape, size, steps, around, gaps) if ceil_mode else around
        options = {"size": size, "stride": steps, "padding": wide, "dilation": gaps}
        best = record(_MAX, (x,), options)
        return (best, record(_PLACES, (x, best), options)) if return_indices else best

    return spatial.batched(name, input, dims, run)


def _windows(
    name: str, kernel_size: Any, stride: Any, padding: Any, dims: int
) -> tuple[spatial.Ints, spatial.Ints, spatial.Pairs]:
    """Sizes, strides and padding, one each an axis. Raises ``ArgumentError`` if they are none."""
    size = spatial.ints("kernel_size", kernel_size, dims)
    steps = size if stride in (None, ()) else spatial.ints("stride", stride, dims)
    around = spatial.pairs(padding, dims)
    if any(2 * before > k for (before, _), k in zip(around, size, strict=True)):
        raise ArgumentError(f"{name}: padding {padding} is more than half of the kernel {size}")
    return size, steps, around


def avg_pool1d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """The mean of each window along the last axis: see ``avg_pool2d``.

    >>> import engine
    >>> avg_pool1d(engine.tensor([[1.0, 3.0, 2.0, 0.0]]), 2)
    tensor([[2., 1.]])
    """
    options = ceil_mode, count_include_pad, None
    return _avg("avg_pool1d", 1, input, kernel_size, stride, padding, *options)


def avg_pool2d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The mean of each window over the last two axes.

    ``count_include_pad``: the zeros of the padding are elements too. ``divisor_override``: what to
    divide the sum of a window by.

    >>> import engine
    >>> avg_pool2d(engine.arange(16.0).reshape(1, 1, 4, 4), 2)
    tensor([[[[ 2.5000,  4.5000],
              [10.5000, 12.5000]]]])
    """
    options = ceil_mode, count_include_pad, divisor_override
    return _avg("avg_pool2d", 2, input, kernel_size, stride, padding, *options)


def avg_pool3d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The mean of each window over the last three axes: see ``avg_pool2d``.

    >>> import engine
    >>> avg_pool3d(engine.ones(1, 1, 2, 2, 2), 2).item()
    1.0
    """
    options = ceil_mode, count_include_pad, divisor_override
    return _avg("avg_pool3d", 3, input, kernel_size, stride, padding, *options)


def _avg(
    name: str,
    dims: int,
    input: Any,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor: int | None,
) -> Tensor:
    size, steps, around = _windows(name, kernel_size, stride, padding, dims)
    if divisor == 0:
        raise ArgumentError(f"{name}: divisor_override must not be 0")

    def run(x: Tensor) -> Tensor:
        wide = spatial.ceiled(x.shape, size, steps, around, (1,) * dims) if ceil_mode else around
        counted = None  # all of the padding
        if wide != around or not count_include_pad:
            counted = tuple(before if count_include_pad else 0 for before, _ in around)
        options = {"size": size, "stride": steps, "padding": wide}
        more = {"counted": counted, "divisor": divisor}
        return call(COMPOSED["nn.avg_pool"], (x,), options | more)  # type: ignore[no-any-return]

    made: Tensor = spatial.batched(name, input, dims, run)
    return made


def adaptive_avg_pool1d(input: Any, output_size: Any) -> Tensor:
    """The last axis cut into ``output_size`` parts, and the mean of each.

    >>> import engine
    >>> adaptive_avg_pool1d(engine.tensor([[1.0, 3.0, 2.0]]), 2)
    tensor([[2.0000, 2.5000]])
    """
    return _adaptive("adaptive_avg_pool1d", 1, input, output_size)


def adaptive_avg_pool2d(input: Any, output_size: Any) -> Tensor:
    """The last two axes cut into ``output_size`` parts, None keeping an axis; the mean of each.

    >>> import engine
    >>> adaptive_avg_pool2d(engine.arange(16.0).reshape(1, 1, 4, 4), 1)
    tensor([[[[7.5000]]]])
    """
    return _adaptive("adaptive_avg_pool2d", 2, input, output_size)


def adaptive_avg_pool3d(input: Any, output_size: Any) -> Tensor:
    """The last three axes cut into ``output_size`` parts: see ``adaptive_avg_pool2d``.

    >>> import engine
    >>> adaptive_avg_pool3d(engine.ones(1, 1, 2, 2, 2), 1).item()
    1.0
    """
    return _adaptive("adaptive_avg_pool3d", 3, input, output_size)


def _adaptive(name: str, dims: int, input: Any, output_size: Any) -> Tensor:
    wanted = (output_size,) * dims if isinstance(output_size, int) else tuple(output_size)

    def run(x: Tensor) -> Tensor:
        kept = [n if w is None else w for n, w in zip(x.shape[2:], wanted, strict=True)]
        sizes = spatial.ints("output_size", kept, dims)
        options = {"spatial": sizes, "mode": "area"}
        return call(COMPOSED["nn.resample"], (x,), options)  # type: ignore[no-any-return]

    if len(wanted) != dims:
        raise ArgumentError(f"{name}: output_size must be {dims} ints, or one, got {output_size}")
    made: Tensor = spatial.batched(name, input, dims, run)
    return made
