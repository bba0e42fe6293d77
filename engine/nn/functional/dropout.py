"""Dropout. Masks are counter-based: see ``engine.manual_seed`` and ``engine.fork_rng``.

Which elements fall depends on the seed and on the number of draws before, inside
``engine.hogwild.train`` on the seed, the step and the number of draws in it: neither threads nor
their number change it. Each function reads its inputs and writes nothing: internally synchronised.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...creation import generator
from ...errors import ArgumentError
from ...ops import OPS
from ...tensor import Tensor, from_array, record
from ...values import Shape

_MUL = OPS["mul"]


def dropout(input: Any, p: float = 0.5, training: bool = True) -> Tensor:
    """Zeros with probability ``p``, the rest times ``1 / (1 - p)``; ``input`` if not ``training``.

    Raises ``ArgumentError`` for a ``p`` that is no probability.

    >>> import engine
    >>> engine.manual_seed(0)
    >>> sorted(set(dropout(engine.ones(8), 0.5).tolist()))
    [0.0, 2.0]
    >>> dropout(engine.ones(2), training=False)
    tensor([1., 1.])
    """
    return _dropped(input, p, training, None)


def dropout1d(input: Any, p: float = 0.5, training: bool = True) -> Tensor:
    """Whole channels of (N, C, L) or (C, L) fall, as in ``dropout``.

    >>> import engine
    >>> dropout1d(engine.ones(2, 3), 1.0)
    tensor([[0., 0., 0.],
            [0., 0., 0.]])
    """
    return _dropped(input, p, training, 1)


def dropout2d(input: Any, p: float = 0.5, training: bool = True) -> Tensor:
    """Whole channels of (N, C, H, W) fall, as in ``dropout``.

    >>> import engine
    >>> dropout2d(engine.ones(1, 1, 1, 2), 0.0)
    tensor([[[[1., 1.]]]])
    """
    return _dropped(input, p, training, 2)


def dropout3d(input: Any, p: float = 0.5, training: bool = True) -> Tensor:
    """Whole channels of (N, C, D, H, W) fall, as in ``dropout``.

    >>> import engine
    >>> dropout3d(engine.ones(1, 1, 1, 1, 1), 1.0).item()
    0.0
    """
    return _dropped(input, p, training, 3)


_ALPHA = -1.7580993408473766  # where selu goes far out on the left


def alpha_dropout(input: Any, p: float = 0.5, training: bool = False) -> Tensor:
    """Dropout to the left end of ``selu``, scaled so that mean and variance stay.

    After Klambauer, Unterthiner, Mayr and Hochreiter, "Self-normalizing neural networks" (2017).

    >>> import engine
    >>> alpha_dropout(engine.ones(2), training=False)
    tensor([1., 1.])
    """
    x = _tensor(input)
    _check(p)
    if not training or p == 0:
        return x
    if p == 1:
        return record(_MUL, (x, np.zeros((), x.dtype)), {})
    scale = 1 / np.sqrt((1 - p) * (1 + p * _ALPHA**2))
    keep = kept(x.shape, p)
    moved = np.where(keep, 0, _ALPHA * scale) - scale * _ALPHA * p
    scaled = record(_MUL, (x, (keep * scale).astype(x.dtype)), {})
    return record(OPS["add"], (scaled, moved.astype(x.dtype)), {})


def kept(shape: Shape, p: float) -> np.ndarray:
    """Bools, each False with probability ``p``: 16 random bits each, and more where these tie."""
    count = math.prod(shape)
    if not count or p in (0, 1):
        return np.full(shape, p == 0)
    drawn = generator()
    words = drawn.integers(0, (1 << 64) - 1, -(-count // 4), np.uint64, endpoint=True)
    bits = words.view(np.uint16)[:count]
    whole, part = divmod(p * (1 << 16), 1)
    keep = bits >= np.uint16(whole)
    if part:
        ties = np.flatnonzero(bits == np.uint16(whole))
        keep[ties] = drawn.random(len(ties)) >= part
    return keep.reshape(shape)


def mask(shape: Shape, p: float, dtype: Any) -> np.ndarray:
    """What dropout multiplies with: 0 with probability ``p``, else ``1 / (1 - p)``."""
    scaled = kept(shape, p).astype(dtype)
    if 0 < p < 1:
        scaled *= scaled.dtype.type(1 / (1 - p))
    return scaled


def _dropped(input: Any, p: float, training: bool, spatial: int | None) -> Tensor:
    x = _tensor(input)
    _check(p)
    if not training or p == 0:
        return x
    shape = x.shape
    if spatial is not None:
        shape = (*shape[: x.ndim - spatial], *[1] * spatial)
    return record(_MUL, (x, mask(shape, p, x.dtype)), {})


def _tensor(input: Any) -> Tensor:
    return input if isinstance(input, Tensor) else from_array(np.asarray(input))


def _check(p: float) -> None:
    if not 0 <= p <= 1:
        raise ArgumentError(f"dropout probability has to be between 0 and 1, but got {p}")
