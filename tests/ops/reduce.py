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
    call((2, 3, 2), axis=1),
    call(()),
    call((), axis=0),
    call((0, 3), axis=1),
)
# Large enough for BLAS, and for other ways through memory: before, along and behind the axis.
LARGE = (
    call((40, 12)),
    call((12, 40), axis=0),
    call((100, 4), axis=0),
    call((100, 4), axis=-1),
    call((101, 3), axis=0, keepdims=True),
    call((3, 40, 3), axis=1),
    call((3, 40, 3), axis=(0, 1)),
    call((3, 40, 3), axis=(2, 1), keepdims=True),
    call((3, 40, 3), axis=(0, 2)),
)
NOTHING = (call((0, 3)), call((2, 3), axis=(), peer=False))
COMPLEX = (call((2, 3), cplx=True), call((2, 3), axis=1, cplx=True))
LOPSIDED = (-2.0, 3.0)  # sums are not near 0, where rounding shows
NAN = float("nan")
GAPS = np.array([[0, NAN, 0, 0], [NAN, 0, NAN, 0], [0, 0, 0, 0]])


def first(x, axis=None, keepdims=False):
    """NumPy has no axis in a number."""
    return {"axis": None if x.ndim == 0 else axis, "keepdims": keepdims}


def dims(x, axis=None):
    return tuple(range(x.ndim)) if axis is None else axis


def reduction(
    name: str, function: Callable[..., Any], *more: Sample, torch: bool = True, **options: Any
) -> Case:
    def peer(torch, x, axis=None, keepdims=False):
        return getattr(torch, name)(x, dim=dims(x, axis), keepdim=keepdims)

    return Case(
        name,
        AXES + more,
        lambda x, **keywords: function(x, **first(x, **keywords)),
        peer if torch else None,
        **options,
    )


def _prod(torch, x, axis=None, keepdims=False):
    if axis is None:
        return x.prod()
    assert isinstance(axis, int)
    return x.prod(axis, keepdim=keepdims)


def _like(x: Any, array: Any) -> Any:
    """`array` as what can be added to `x`: PyTorch takes its own alone."""
    return x.new_tensor(array) if hasattr(x, "new_tensor") else array.astype(x.dtype)


def with_nan(x: Any) -> tuple[Any]:
    return (x + _like(x, GAPS),)


def with_gaps(name: str, function: Callable[..., Any], *more: Sample, torch: bool = False) -> Case:
    """Of an array with NaN in it, where nothing else is."""

    def peer(torch, x, axis=None, keepdims=False):
        return getattr(torch, name)(x, dim=dims(x, axis), keepdim=keepdims)

    samples = (call((3, 4)), call((3, 4), axis=0), call((3, 4), axis=-1, keepdims=True))
    return Case(
        name,
        (*samples, call((3, 4), axis=(0, 1)), *more),
        function,
        peer if torch else None,
        before=with_nan,
    )


def constants(name: str, function: Callable[..., Any], array: Any) -> Case:
    pair = call(array, axis=(0, 1), keepdims=True)
    return constant(name, function, call(array), call(array, axis=0), pair)


REDUCTIONS = (
    reduction("sum", np.sum, *LARGE, *NOTHING, *COMPLEX, domain=LOPSIDED),
    Case(
        "prod",
        (
            call((3, 4), peer=False),
            call((2, 3), axis=0),
            call((2, 3), axis=-1, keepdims=True),
            call((2, 3, 2), axis=(0, -1), peer=False),
            call((2, 3, 2), axis=(2, 0), keepdims=True, peer=False),
            call(()),
            call((1, 3), axis=0),
            call((0, 3), axis=1),
            call((0, 3)),
            *COMPLEX,
        ),
        np.prod,
        _prod,
    ),
    reduction("mean", np.mean, *LARGE, *COMPLEX, domain=LOPSIDED),
    with_gaps("nansum", np.nansum, torch=True),
    with_gaps("nanmean", np.nanmean, torch=True),
    constants("count_nonzero", np.count_nonzero, MASK),
    constants("all", np.all, MASK),
    constants("any", np.any, MASK),
)
