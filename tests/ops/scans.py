"""Cases of `engine.ops.scans`."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.ops.case import Case, Sample, call

SCANS_OF = (
    call((5,), axis=0),
    call((3, 4), axis=0),
    call((3, 4), axis=-1),
    call((2, 3, 2), axis=1),
    call((0, 3), axis=1),
    call((2, 0), axis=1),
)
FLAT = (call((5,), peer=False), call((2, 3), peer=False), call((), peer=False))
COMPLEX = (call((2, 3), axis=1, cplx=True),)


def scan(name: str, function: Callable[..., Any], *more: Sample, **options: Any) -> Case:
    def peer(torch, x, axis):
        return getattr(torch, name)(x, dim=axis)

    return Case(name, SCANS_OF + more, function, peer, **options)


def _cumulative(function: Callable[..., Any], start: int) -> Callable[..., Any]:
    def reference(x, axis=None, include_initial=False):
        axis = 0 if axis is None else axis
        ans = function(x, axis)
        if not include_initial:
            return ans
        return np.concatenate([np.full_like(np.take(ans, [0], axis), start), ans], axis)

    return reference


CUMULATIVE = (
    call((5,)),
    call((2, 3), axis=0),
    call((2, 3), axis=-1, include_initial=True),
)
Y, X = np.array([0.0, 1.0, 3.0, 3.5]), np.array([0.0, 0.5, 2.0])


def _stacked(slopes: Any) -> Any:
    """Sums instead of `np.stack`, for what is no array too."""
    if not isinstance(slopes, tuple | list):
        return slopes
    return sum((k + 1.5) * slope for k, slope in enumerate(slopes))


def _gradient_of(x, spacing=1, spacing1=None, **keywords):
    spacings = [each for each in (spacing, spacing1) if each is not None]
    return np.gradient(x, *spacings, **keywords)


def _torch_gradient(torch, x, spacing=1, spacing1=None, axis=None, edge_order=1):
    if spacing1 is not None:
        spacing = (spacing, spacing1)
    spacing = tuple(torch.as_tensor(s) for s in spacing) if isinstance(spacing, tuple) else spacing
    slopes = torch.gradient(x, spacing=spacing, dim=axis, edge_order=edge_order)
    return slopes if len(slopes) > 1 else slopes[0]


SCANS = (
    scan("cumsum", np.cumsum, *FLAT, *COMPLEX),
    scan("cumprod", np.cumprod, *FLAT, *COMPLEX),
    Case("cumulative_sum", CUMULATIVE, _cumulative(np.cumsum, 0)),
    Case("cumulative_prod", CUMULATIVE, _cumulative(np.cumprod, 1)),
    scan("cummax", lambda x, axis: [np.maximum.accumulate(x, axis)], after=lambda found: found[0]),
    scan("cummin", lambda x, axis: [np.minimum.accumulate(x, axis)], after=lambda found: found[0]),
    scan("logcumsumexp", lambda x, axis: np.log(np.cumsum(np.exp(x), axis))),
    Case(
        "diff",
        (
            call((5,)),
            call((3, 4)),
            call((3, 4), axis=0),
            call((3, 4), n=2),
            call((3, 4), n=0),
            call((3, 4), prepend=0.5, peer=False),
            call((3, 4), append=Y[:3, None], peer=False),
            call((2, 3), cplx=True),
        ),
        np.diff,
        lambda torch, x, n=1, axis=-1: torch.diff(x, n=n, dim=axis),
    ),
    Case(
        "gradient",
        (
            call((5,)),
            call((4, 3)),
            call((4, 3), axis=1),
            call((4, 3), axis=(1, 0), peer=False),
            call((4, 3), spacing=0.5),
            call((4, 3), edge_order=2),
            call((4, 3), spacing=0.5, spacing1=2.0, peer=False),
            call((4, 3), spacing=Y, spacing1=X, edge_order=2),
            call((4, 3), spacing=Y, axis=0, peer=False),
        ),
        _gradient_of,
        _torch_gradient,
        after=_stacked,
    ),
    Case(
        "trapezoid",
        (
            call((5,)),
            call((3, 4)),
            call((3, 4), dx=0.5),
            call((4, 3), axis=0),
            call((3, 4), (4,)),
            call((4, 3), (4, 3), axis=0),
            call((4, 3), (4,), axis=0, peer=False),
        ),
        np.trapezoid,
        lambda torch, y, *x, axis=-1, **keywords: torch.trapezoid(y, *x, dim=axis, **keywords),
    ),
)
