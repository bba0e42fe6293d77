"""Convolutions, in PyTorch's sense: the kernel is not flipped.

Each function reads its inputs and writes nothing: internally synchronised.
"""

from __future__ import annotations

from typing import Any

from ...errors import ArgumentError, ShapeError
from ...ops import OPS
from ...tensor import Tensor, record
from . import spatial

_CONVOLUTION, _TRANSPOSE = OPS["nn.convolution"], OPS["nn.convolution_input"]


def conv1d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """Windows along the last axis times a weight: see ``conv2d``.

    >>> import engine
    >>> conv1d(engine.tensor([[[1.0, 2.0, 4.0]]]), engine.tensor([[[-1.0, 1.0]]]))
    tensor([[[1., 2.]]])
    """
    return _conv("conv1d", 1, input, weight, bias, stride, padding, dilation, groups)


def conv2d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """Windows over the last two axes times a weight: (N, in, H, W) -> (N, out, H', W').

    weight (out, in / groups, h, w), bias (out,); ``padding`` in zeros, or ``"same"`` or
    ``"valid"``; an input (in, H, W) is a batch of one. Windows are laid out as columns and
    multiplied by BLAS; the columns are kept for the backward up to 64 MB.

    Raises ``ShapeError`` where shapes do not fit, ``ArgumentError`` for a stride or padding that
    there is not.

    >>> import engine
    >>> x, w = engine.ones(1, 1, 3, 3), engine.ones(1, 1, 2, 2)
    >>> conv2d(x, w)
    tensor([[[[4., 4.],
              [4., 4.]]]])
    >>> conv2d(x, w, padding="same", stride=1).shape
    (1, 1, 3, 3)
    """
    return _conv("conv2d", 2, input, weight, bias, stride, padding, dilation, groups)


def conv3d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """Windows over the last three axes times a weight: see ``conv2d``.

    >>> import engine
    >>> conv3d(engine.ones(1, 2, 2, 2, 2), engine.ones(3, 2, 2, 2, 2)).shape
    (1, 3, 1, 1, 1)
    """
    return _conv("conv3d", 3, input, weight, bias, stride, padding, dilation, groups)


def _conv(
    name: str,
    dims: int,
    input: Any,
    weight: Any,
    bias: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: int,
) -> Tensor:
    _check(name, weight, dims, groups)
    steps, gaps = spatial.ints("stride", stride, dims), spatial.ints("dilation", dilation, dims)
    span = tuple(d * (k - 1) + 1 for d, k in zip(gaps, weight.shape[2:], strict=True))
    options = {
        "stride": steps,
        "padding": spatial.pairs(padding, dims, span, steps),
        "dilation": gaps,
        "groups": groups,
    }
    made: Tensor = spatial.batched(
        name, input, dims, lambda x: record(_CONVOLUTION, (x, weight, bias), options)
    )
    return made


def _check(name: str, weight: Any, dims: int, groups: int) -> None:
    if weight.ndim != dims + 2:
        raise ShapeError(f"{name}: the weight must have {dims + 2} axes, got {weight.shape}")
    if groups < 1:
        raise ArgumentError(f"{name}: groups must be 1 or more, got {groups}")


def conv_transpose1d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Tensor:
    """The transpose of ``conv1d``: see ``conv_transpose2d``.

    >>> import engine
    >>> x, w = engine.tensor([[[1.0, 2.0]]]), engine.ones(1, 1, 2)
    >>> conv_transpose1d(x, w, stride=2)
    tensor([[[1., 1., 2., 2.]]])
    """
    sizes = stride, padding, output_padding, dilation
    return _transposed("conv_transpose1d", 1, input, weight, bias, groups, *sizes)


def conv_transpose2d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Tensor:
    """The transpose of ``conv2d``, its gradient: (N, in, H, W) -> (N, out, H', W').

    weight (in, out / groups, h, w), bias (out,). ``output_padding``: how much larger the result is
    on one side, of the sizes that a stride leaves possible.

    >>> import engine
    >>> conv_transpose2d(engine.ones(1, 1, 2, 2), engine.ones(1, 1, 2, 2))
    tensor([[[[1., 2., 1.],
              [2., 4., 2.],
              [1., 2., 1.]]]])
    """
    sizes = stride, padding, output_padding, dilation
    return _transposed("conv_transpose2d", 2, input, weight, bias, groups, *sizes)


def conv_transpose3d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Tensor:
    """The transpose of ``conv3d``: see ``conv_transpose2d``.

    >>> import engine
    >>> conv_transpose3d(engine.ones(1, 2, 1, 1, 1), engine.ones(2, 3, 2, 2, 2)).shape
    (1, 3, 2, 2, 2)
    """
    sizes = stride, padding, output_padding, dilation
    return _transposed("conv_transpose3d", 3, input, weight, bias, groups, *sizes)


def _transposed(
    name: str,
    dims: int,
    input: Any,
    weight: Any,
    bias: Any,
    groups: int,
    stride: Any,
    padding: Any,
    output_padding: Any,
    dilation: Any,
) -> Tensor:
    _check(name, weight, dims, groups)
    steps, gaps = spatial.ints("stride", stride, dims), spatial.ints("dilation", dilation, dims)
    cut = spatial.pairs(padding, dims)
    more = spatial.ints("output_padding", output_padding, dims, 0)
    if any(m >= s for m, s in zip(more, steps, strict=True)):
        raise ArgumentError(f"{name}: output_padding {more} must be smaller than stride {steps}")

    def run(x: Tensor) -> Tensor:
        per = zip(x.shape[2:], weight.shape[2:], steps, cut, gaps, more, strict=True)
        sizes = tuple((n - 1) * s - 2 * c + d * (k - 1) + m + 1 for n, k, s, (c, _), d, m in per)
        options = {"spatial": sizes, "stride": steps, "padding": cut, "dilation": gaps}
        out = record(_TRANSPOSE, (x, weight), {**options, "groups": groups})
        return out if bias is None else out + bias.reshape(-1, *[1] * dims)

    made: Tensor = spatial.batched(name, input, dims, run)
    return made
