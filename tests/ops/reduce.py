"""Cases of `engine.ops.reduce`."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.ops.case import MASK, Case, Sample, call, constant

AXES = (
    call((3, 4)),
    call((3, 4), axis=0),
    call((3, 4), axis=-1, keepdims=True),
    call((2, 3, 2), axis=(0, 2)),
    call((2, 3, 2), axis=(0, -1), keepdims=True),
    call(()),
    call((), axis=0),
    call((0, 3), axis=1),
)
ONE_AXIS = (call((3, 4)), call((3, 4), axis=0), call((2, 3, 2), axis=-2), call(()), call((0, 3)))


def reduction(name: str, function: Callable[..., Any], *more: Sample, **options: Any) -> Case:
    def peer(torch, x, axis=None, keepdims=False):
        dim = tuple(range(x.ndim)) if axis is None else axis
        return getattr(torch, name)(x, dim=dim, keepdim=keepdims)

    return Case(name, AXES + more, function, peer, **options)


def along(name: str, function: Callable[..., Any]) -> Case:
    peer = lambda torch, x, axis=-1: getattr(torch, name)(x, dim=axis)  # noqa: E731
    return Case(name, ONE_AXIS, function, peer)


def softmax(x, axis=-1):
    return np.exp(x) / np.exp(x).sum(axis=axis, keepdims=True)


def _first(x, axis=None, keepdims=False):
    """NumPy has no axis in a number."""
    return {"axis": None if x.ndim == 0 else axis, "keepdims": keepdims}


REDUCTIONS = (
    reduction("sum", np.sum, call((0, 3)), call((2, 3), axis=(), peer=False)),
    reduction("mean", lambda x, **keywords: np.mean(x, **_first(x, **keywords))),
    reduction("amax", np.max),
    reduction("amin", np.min),
    reduction(
        "logsumexp",
        lambda x, **keywords: np.log(np.sum(np.exp(x), **_first(x, **keywords))),
    ),
    along("softmax", softmax),
    along("log_softmax", lambda x, axis=-1: np.log(softmax(x, axis))),
    constant(
        "argmax", np.argmax, call((3, 4)), call((3, 4), axis=0), call((3, 4), axis=1, keepdims=True)
    ),
    constant(
        "argmin", np.argmin, call((3, 4)), call((3, 4), axis=0), call((3, 4), axis=1, keepdims=True)
    ),
    constant("all", np.all, call(MASK), call(MASK, axis=0), call(MASK, axis=(0, 1), keepdims=True)),
    constant("any", np.any, call(MASK), call(MASK, axis=0), call(MASK, axis=(0, 1), keepdims=True)),
)
