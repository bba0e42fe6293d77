"""How functions over spatial axes read their arguments: PyTorch's way. Nothing here is shared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...errors import ArgumentError, ShapeError
from ...tensor import Tensor, from_array

Ints = tuple[int, ...]
Pairs = tuple[tuple[int, int], ...]


def ints(name: str, value: Any, dims: int, least: int = 1) -> Ints:
    """One int for each axis: given as one for all, or one each, none less than ``least``."""
    one = isinstance(value, int | np.integer)
    found = (int(value),) * dims if one else tuple(map(int, value))
    if len(found) == 1:
        found *= dims
    if len(found) != dims or any(n < least for n in found):
        raise ArgumentError(f"{name} must be {dims} ints of {least} or more, or one, got {value}")
    return found


def pairs(value: Any, dims: int, span: Ints | None = None, stride: Ints | None = None) -> Pairs:
    """Padding before and after each axis; ``same`` and ``valid`` where ``span`` is given.

    ``span``: what a window covers. Of an odd number the larger half comes after.
    """
    if isinstance(value, str):
        if span is None or value not in ("same", "valid"):
            raise ArgumentError(f"padding must be ints, 'same' or 'valid', got {value!r}")
        if value == "same" and stride != (1,) * dims:
            raise ArgumentError("padding='same' is not supported for strided convolutions")
        sums = [n - 1 if value == "same" else 0 for n in span]
        return tuple((n // 2, n - n // 2) for n in sums)
    return tuple((n, n) for n in ints("padding", value, dims, 0))


def ceiled(shape: Ints, size: Ints, stride: Ints, padding: Pairs, dilation: Ints) -> Pairs:
    """``padding`` with more after it where a last window begins inside but does not fit."""
    return tuple(
        (before, after + _missing(n + before + after, d * (k - 1) + 1, s, n + before))
        for n, k, s, (before, after), d in zip(
            shape[2:], size, stride, padding, dilation, strict=True
        )
    )


def _missing(room: int, span: int, stride: int, end: int) -> int:
    count = -(-(room - span) // stride) + 1
    if (count - 1) * stride >= end:  # it would begin in the padding behind
        count -= 1
    return max((count - 1) * stride + span - room, 0)


def batched(name: str, input: Any, dims: int, run: Callable[[Tensor], Any]) -> Any:
    """``run`` of an input (N, C, ...); of one without N as of a batch of one."""
    x = input if isinstance(input, Tensor) else from_array(np.asarray(input))
    if x.ndim == dims + 2:
        return run(x)
    if x.ndim != dims + 1:
        raise ShapeError(
            f"{name}: expected {dims + 2} axes (N, C, ...) or {dims + 1} (C, ...), "
            f"got shape {x.shape}"
        )
    made = run(x[None])
    return tuple(each[0] for each in made) if isinstance(made, tuple) else made[0]
