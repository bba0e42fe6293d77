"""Padding, PyTorch's way: the last axis first.

Each function reads its inputs and writes nothing: internally synchronised.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...errors import ArgumentError
from ...ops import COMPOSED
from ...tensor import Tensor, call, from_array
from ...values import Shape

_PAD = COMPOSED["pad"]
# PyTorch's names of the modes, and NumPy's. Immutable.
_MODES = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def pad(
    input: Any, pad: Sequence[int], mode: str = "constant", value: float | None = None
) -> Tensor:
    """``input`` with more around it.

    ``pad``: (before, after) of the last axis, then of the one before it, and so on.
    ``mode``: ``"constant"`` with ``value`` (0), ``"reflect"``, ``"replicate"`` or ``"circular"``. A
    negative width cuts off, in mode ``"constant"``. Raises ``ArgumentError`` for an unknown mode
    and for widths that are not pairs of at most all axes. As ``torch.nn.functional.pad``;
    ``engine.pad`` is NumPy's.

    >>> import engine
    >>> pad(engine.tensor([[1.0, 2.0]]), (0, 1, 1, 0))
    tensor([[0., 0., 0.],
            [1., 2., 0.]])
    """
    tensor = input if isinstance(input, Tensor) else from_array(np.asarray(input))
    if mode not in _MODES:
        raise ArgumentError(f"pad: mode must be one of {', '.join(_MODES)}, got {mode!r}")
    if len(pad) % 2 or len(pad) > 2 * tensor.ndim:
        raise ArgumentError(
            f"pad: expected pairs for at most {tensor.ndim} axes, got {len(pad)} widths"
        )
    pairs = [(pad[i], pad[i + 1]) for i in range(0, len(pad), 2)]
    widths = [(0, 0)] * (tensor.ndim - len(pairs)) + pairs[::-1]
    options: dict[str, Any] = {}
    if mode == "constant":
        if any(width < 0 for width in pad):
            tensor = tensor[_kept(widths, tensor.shape)]
            widths = [(max(a, 0), max(b, 0)) for a, b in widths]
        options = {"constant_values": value or 0}
    padded: Tensor = call(_PAD, (tensor, widths, _MODES[mode]), options)
    return padded


def _kept(widths: Sequence[tuple[int, int]], shape: Shape) -> tuple[slice, ...]:
    """What negative widths leave. Raises ``ArgumentError`` where that is less than nothing."""
    for (a, b), n in zip(widths, shape, strict=True):
        if n + a + b < 0 or -a > n or -b > n:
            raise ArgumentError(f"pad: widths ({a}, {b}) cut off more than the {n} there are")
    pairs = zip(widths, shape, strict=True)
    return tuple(slice(max(-a, 0), n - max(-b, 0)) for (a, b), n in pairs)
