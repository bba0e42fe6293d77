"""Discrete Fourier transforms. Linear, so that every rule is a transform and exact at any order.

``n`` and ``s`` crop or pad with zeros, as in NumPy. The matrix of a complex transform is symmetric:
the rule of ``fft`` is ``fft``. ``rfft`` and ``irfft`` are each the rule of the other, with the
frequencies that stand for two counted twice. Those along several axes go one axis after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

from ..errors import ArgumentError
from ..values import Value
from .op import Op, composed, op

Axes = Sequence[int] | None
Norm = Literal["backward", "ortho", "forward"] | None

_SWAPPED: dict[Norm, Norm] = {
    None: "forward",
    "backward": "forward",
    "forward": "backward",
    "ortho": "ortho",
}


def _resized(x: Value, count: int, axis: int) -> Value:
    """``x`` cropped, or padded with zeros, to ``count`` along an axis."""
    have = x.shape[axis]
    if have == count:
        return x
    before = (slice(None),) * (axis % x.ndim)
    if have > count:
        return x[(*before, slice(count))]
    shape = list(x.shape)
    shape[axis] = count - have
    return np.concatenate([x, np.zeros(shape, x.dtype)], axis=axis)


# -- along one axis --------------------------------------------------------------------------------


def _complex(name: str, function: Any) -> Op:
    """The row of a transform from complex numbers to complex numbers."""

    def forward(x: Value, n: int | None = None, axis: int = -1, norm: Norm = None) -> Value:
        return function(x, n=n, axis=axis, norm=norm)

    def pull(g: Value, x_shape: Any, axis: int, norm: Norm) -> Value:
        return _resized(row(g, axis=axis, norm=norm), x_shape[axis], axis)

    row = op(f"fft.{name}", forward, "x", numpy=function, x=pull)
    return row


fft = _complex("fft", np.fft.fft)
ifft = _complex("ifft", np.fft.ifft)


def _twice(g: Value, n: int, axis: int) -> Value:
    """How often each frequency of a real signal of length ``n`` counts: the first and, of an even
    length, the last once, the others twice."""
    count = np.full(g.shape[axis], 2, g.real.dtype)
    count[0] = 1
    if n % 2 == 0:
        count[-1] = 1
    return count.reshape((-1,) + (1,) * (g.ndim - 1 - axis % g.ndim))


def _rfft(x: Value, n: int | None = None, axis: int = -1, norm: Norm = None) -> Value:
    return np.fft.rfft(x, n=n, axis=axis, norm=norm)


def _rfft_pull(g: Value, x_shape: Any, n: int | None, axis: int, norm: Norm) -> Value:
    n = x_shape[axis] if n is None else n
    halves = np.conjugate(g) / _twice(g, n, axis)
    return _resized(irfft(halves, n=n, axis=axis, norm=_SWAPPED[norm]), x_shape[axis], axis)


def _irfft(x: Value, n: int | None = None, axis: int = -1, norm: Norm = None) -> Value:
    return np.fft.irfft(x, n=n, axis=axis, norm=norm)


def _irfft_pull(g: Value, x_shape: Any, axis: int, norm: Norm) -> Value:
    frequencies = np.conjugate(rfft(g, axis=axis, norm=_SWAPPED[norm]))
    doubled = frequencies * _twice(frequencies, g.shape[axis], axis)
    return _resized(doubled, x_shape[axis], axis)


rfft = op("fft.rfft", _rfft, "x", numpy=np.fft.rfft, x=_rfft_pull)
irfft = op("fft.irfft", _irfft, "x", numpy=np.fft.irfft, x=_irfft_pull)


def _hfft(x: Value, n: int | None = None, axis: int = -1, norm: Norm = None) -> Value:
    return irfft(np.conjugate(x), n=n, axis=axis, norm=_swapped(norm))


def _ihfft(x: Value, n: int | None = None, axis: int = -1, norm: Norm = None) -> Value:
    return np.conjugate(rfft(x, n=n, axis=axis, norm=_swapped(norm)))


def _swapped(norm: Norm) -> Norm:
    if norm not in _SWAPPED:
        raise ArgumentError(f"norm must be 'backward', 'ortho' or 'forward', got {norm!r}")
    return _SWAPPED[norm]


composed("fft.hfft", _hfft, "x", numpy=np.fft.hfft)
composed("fft.ihfft", _ihfft, "x", numpy=np.fft.ihfft)

# -- along several axes ----------------------------------------------------------------------------


def _along(x: Value, s: Sequence[int] | None, axes: Axes) -> list[tuple[int, int | None]]:
    """The axes, with the length of each; all axes, or the last as many as ``s`` names."""
    if axes is None:
        axes = range(-x.ndim, 0) if s is None else range(-len(s), 0)
    lengths = [None] * len(axes) if s is None else [None if n == -1 else n for n in s]
    if len(lengths) != len(axes):
        raise ArgumentError(f"fft: {len(lengths)} lengths for {len(axes)} axes")
    return list(zip(axes, lengths, strict=True))


def _several(name: str, one: Op, last: Op | None, function: Any, default: Axes) -> None:
    """``one`` along each axis from the last; ``last`` along the last axis, where that differs.

    A transform from real numbers begins there, one to real numbers ends there.
    """

    def forward(
        x: Value, s: Sequence[int] | None = None, axes: Axes = default, norm: Norm = None
    ) -> Value:
        steps: list[tuple[Op, int, int | None]] = [(one, *step) for step in _along(x, s, axes)]
        if last is not None and steps:
            steps[-1] = (last, *steps[-1][1:])
        for transform, axis, n in steps if last is irfft else steps[::-1]:
            x = transform(x, n=n, axis=axis, norm=norm)
        return x

    composed(f"fft.{name}", forward, "x", numpy=function)


_several("fft2", fft, None, np.fft.fft2, (-2, -1))
_several("ifft2", ifft, None, np.fft.ifft2, (-2, -1))
_several("fftn", fft, None, np.fft.fftn, None)
_several("ifftn", ifft, None, np.fft.ifftn, None)
_several("rfft2", fft, rfft, np.fft.rfft2, (-2, -1))
_several("irfft2", ifft, irfft, np.fft.irfft2, (-2, -1))
_several("rfftn", fft, rfft, np.fft.rfftn, None)
_several("irfftn", ifft, irfft, np.fft.irfftn, None)

# -- shifts ----------------------------------------------------------------------------------------


def _shift(name: str, function: Callable[..., Any], inverse: Callable[..., Any]) -> None:
    def forward(x: Value, axes: int | Axes = None) -> Value:
        return function(x, axes=axes)

    op(
        f"fft.{name}",
        forward,
        "x",
        numpy=function,
        x=lambda g, axes: inverse(g, axes=axes),
    )


_shift("fftshift", np.fft.fftshift, np.fft.ifftshift)
_shift("ifftshift", np.fft.ifftshift, np.fft.fftshift)
