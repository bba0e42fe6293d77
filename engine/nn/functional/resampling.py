"""Other sizes and other layouts of images: interpolation, shuffles, windows as columns.

Each function reads its inputs and writes nothing: internally synchronised.
"""

from __future__ import annotations

import math
from typing import Any

from ...errors import ArgumentError, NotSupportedError, ShapeError
from ...ops import COMPOSED, OPS
from ...tensor import Tensor, call, record
from . import spatial

# PyTorch's names, which say how many axes there are: the kind of weights, and that number.
_MODES = {
    "nearest": ("nearest", None),
    "nearest-exact": ("nearest-exact", None),
    "area": ("area", None),
    "linear": ("linear", 1),
    "bilinear": ("linear", 2),
    "trilinear": ("linear", 3),
    "bicubic": ("cubic", 2),
}


def interpolate(
    input: Any,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:
    """(N, C, ...) with its spatial axes at another ``size``, or at ``scale_factor`` times theirs.

    ``mode``: ``nearest``, ``nearest-exact``, ``linear``, ``bilinear``, ``trilinear``, ``bicubic``
    or ``area``. ``align_corners``: first and last samples are those of the input. Raises
    ``ArgumentError`` for a mode of another number of axes, ``NotSupportedError`` for ``antialias``.

    >>> import engine
    >>> interpolate(engine.tensor([[[1.0, 3.0]]]), scale_factor=2)
    tensor([[[1., 1., 3., 3.]]])
    >>> interpolate(engine.tensor([[[1.0, 3.0]]]), size=3, mode="linear", align_corners=True)
    tensor([[[1., 2., 3.]]])
    """
    dims = input.ndim - 2
    kind, axes = _MODES.get(mode, ("", None))
    if not kind or (axes is not None and axes != dims):
        raise ArgumentError(f"interpolate: no mode {mode!r} for an input of shape {input.shape}")
    if antialias:
        raise NotSupportedError("interpolate: antialias=True; use avg_pool2d before a reduction")
    if align_corners is not None and kind not in ("linear", "cubic"):
        raise ArgumentError(f"interpolate: align_corners means nothing with mode={mode!r}")
    if (size is None) == (scale_factor is None):
        raise ArgumentError("interpolate: give one of size and scale_factor")
    steps = None
    if size is None:
        factors = (scale_factor,) * dims if isinstance(scale_factor, int | float) else scale_factor
        size = [math.floor(n * f) for n, f in zip(input.shape[2:], factors, strict=True)]
        steps = None if recompute_scale_factor else tuple(1 / f for f in factors)
    options = {
        "spatial": spatial.ints("size", size, dims),
        "mode": kind,
        "align_corners": bool(align_corners),
        "steps": None if kind == "area" or align_corners else steps,
    }
    made: Tensor = call(COMPOSED["nn.resample"], (input,), options)
    return made


def pixel_shuffle(input: Any, upscale_factor: int) -> Tensor:
    """(..., C * r * r, H, W) -> (..., C, H * r, W * r): channels become places.

    >>> import engine
    >>> pixel_shuffle(engine.arange(4.0).reshape(4, 1, 1), 2)
    tensor([[[0., 1.],
             [2., 3.]]])
    """
    r = upscale_factor
    if input.ndim < 3 or r < 1 or input.shape[-3] % (r * r):
        raise ShapeError(f"pixel_shuffle: the channels of {input.shape} do not divide by {r * r}")
    made: Tensor = call(COMPOSED["nn.pixel_shuffle"], (input,), {"upscale_factor": r})
    return made


def pixel_unshuffle(input: Any, downscale_factor: int) -> Tensor:
    """(..., C, H * r, W * r) -> (..., C * r * r, H, W): places become channels.

    >>> import engine
    >>> pixel_unshuffle(engine.arange(4.0).reshape(1, 2, 2), 2).shape
    (4, 1, 1)
    """
    r = downscale_factor
    if input.ndim < 3 or r < 1 or any(n % r for n in input.shape[-2:]):
        raise ShapeError(f"pixel_unshuffle: height and width of {input.shape} do not divide by {r}")
    made: Tensor = call(COMPOSED["nn.pixel_unshuffle"], (input,), {"downscale_factor": r})
    return made


def unfold(
    input: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
) -> Tensor:
    """(N, C, H, W) -> (N, C * h * w, windows): each window of h by w as a column.

    >>> import engine
    >>> unfold(engine.arange(6.0).reshape(1, 1, 2, 3), 2)
    tensor([[[0., 1.],
             [1., 2.],
             [3., 4.],
             [4., 5.]]])
    """
    options = _windows(kernel_size, dilation, padding, stride)
    made: Tensor = spatial.batched(
        "unfold", input, 2, lambda x: record(OPS["nn.unfold"], (x,), options)
    )
    return made


def fold(
    input: Any,
    output_size: Any,
    kernel_size: Any,
    dilation: Any = 1,
    padding: Any = 0,
    stride: Any = 1,
) -> Tensor:
    """The columns of ``unfold`` back to (N, C, H, W); where windows overlap they are added up.

    >>> import engine
    >>> fold(engine.ones(1, 4, 2), (2, 3), 2)
    tensor([[[[1., 2., 1.],
              [1., 2., 1.]]]])
    """
    options = _windows(kernel_size, dilation, padding, stride)
    sizes = {"spatial": spatial.ints("output_size", output_size, 2), **options}
    made: Tensor = spatial.batched("fold", input, 1, lambda x: record(OPS["nn.fold"], (x,), sizes))
    return made


def _windows(kernel_size: Any, dilation: Any, padding: Any, stride: Any) -> dict[str, Any]:
    return {
        "size": spatial.ints("kernel_size", kernel_size, 2),
        "stride": spatial.ints("stride", stride, 2),
        "padding": spatial.pairs(padding, 2),
        "dilation": spatial.ints("dilation", dilation, 2),
    }
