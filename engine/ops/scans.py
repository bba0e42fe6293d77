"""Scans, and differences and integrals along an axis.

``cumsum`` and ``cumprod`` with ``axis=None`` go over the flattened array, as NumPy's do. What only
PyTorch has answers as there: ``cummax`` and ``cummin`` give values and indices, of ties the latest.
Products are differentiated without dividing by factors: zeros are exact, at any order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..errors import ArgumentError
from ..values import Shape, Value
from .along import one_axis, part, places
from .indexing import put
from .op import Forward, composed, op

Whole = int | None


class Extremes(NamedTuple):
    """What ``cummax`` and ``cummin`` answer. Immutable."""

    values: Any
    indices: Any


# -- sums and products -----------------------------------------------------------------------------


def _scan(function: Callable[..., Value]) -> Forward:
    def forward(x: Value, axis: Whole = None, dtype: Any = None) -> Value:
        return function(x, axis=axis, dtype=dtype)

    return forward


def _backwards(x: Value, axis: int) -> Value:
    return part(x, axis, None, None, -1)


def _cumsum_pull(g: Value, x_shape: Shape, axis: Whole) -> Value:
    along = 0 if axis is None else axis
    return _backwards(np.cumsum(_backwards(g, along), along), along).reshape(x_shape)


def _cumprod_pull(g: Value, x: Value, x_shape: Shape, axis: Whole) -> Value:
    if axis is None:
        return _cumprod_pull(g, x.reshape(-1), g.shape, 0).reshape(x_shape)
    x, g = np.swapaxes(x, axis, -1), np.swapaxes(g, axis, -1)
    return np.swapaxes(_products_before(x) * _recur(g, x[..., 1:]), axis, -1)


def _products_before(x: Value) -> Value:
    """Along the last axis, the product of all elements before each."""
    one = np.ones((*x.shape[:-1], 1), x.dtype)
    return np.cumprod(np.concatenate([one, x[..., :-1]], axis=-1), axis=-1)[..., : x.shape[-1]]


def exclusive_products(x: Value) -> Value:
    """Along the last axis, the product of all elements but each."""
    return _products_before(x) * _products_before(x[..., ::-1])[..., ::-1]


def _recur(b: Value, a: Value) -> Value:
    """``s[j] = b[j] + a[j] * s[j + 1]`` along the last axis, which ``a`` has one element less of.

    In log2(n) passes, each twice as far as the last: W. D. Hillis, G. L. Steele, "Data parallel
    algorithms", Communications of the ACM 29 (1986).
    """
    n, step = b.shape[-1], 1
    while step < n:
        b = np.concatenate([b[..., :-step] + a * b[..., step:], b[..., n - step :]], axis=-1)
        a = a[..., : max(n - 2 * step, 0)] * a[..., step:]
        step *= 2
    return b


def _cumulative(scan: Callable[..., Value], first: int) -> Forward:
    def forward(
        x: Value, axis: Whole = None, dtype: Any = None, include_initial: bool = False
    ) -> Value:
        if axis is None and x.ndim > 1:
            raise ArgumentError("an axis is needed for an array of more than one")
        axis = 0 if axis is None else axis
        ans = scan(x, axis=axis, dtype=dtype)
        if not include_initial:
            return ans
        shape = [1 if i == axis % x.ndim else n for i, n in enumerate(x.shape)]
        return np.concatenate([np.full(shape, first, ans.dtype), ans], axis=axis)

    return forward


def _newer(name: str) -> tuple[Callable[..., Any], ...]:
    """NumPy's function of that name, where it is new enough to have it."""
    return tuple(getattr(np, each) for each in [name] if hasattr(np, each))


cumsum = op("cumsum", _scan(np.cumsum), "x", numpy=np.cumsum, x=_cumsum_pull)
cumprod = op("cumprod", _scan(np.cumprod), "x", numpy=np.cumprod, x=_cumprod_pull)
composed(
    "cumulative_sum",
    _cumulative(cumsum, 0),
    "x",
    numpy=_newer("cumulative_sum"),
    torch=None,
)
composed(
    "cumulative_prod",
    _cumulative(cumprod, 1),
    "x",
    numpy=_newer("cumulative_prod"),
    torch=None,
)

# -- extrema ---------------------------------------------------------------------------------------


def _running(ufunc: np.ufunc) -> Forward:
    def forward(x: Value, axis: int) -> tuple[Any, ...]:
        values = ufunc.accumulate(x, axis=axis)
        reached = np.logical_or(np.equal(x, values), np.isnan(x))
        shape = [-1 if i == axis % x.ndim else 1 for i in range(x.ndim)]
        steps = np.arange(x.shape[axis]).reshape(shape)
        indices = np.maximum.accumulate(np.where(reached, steps, 0), axis=axis)
        return values, indices, places(indices, axis)

    return forward


def _running_pull(g: list[Value], index: Any, x_shape: Shape) -> Value:
    """Each answer's gradient goes to where it was taken from."""
    return put(g[0], index, x_shape)


for _name, _ufunc in (("cummax", np.maximum), ("cummin", np.minimum)):
    op(
        _name,
        _running(_ufunc),
        "x",
        outputs=Extremes,
        residuals={"index": None},
        x=_running_pull,
    )

# -- log of sums of exps ---------------------------------------------------------------------------


def _logcumsumexp(x: Value, axis: int) -> Value:
    return np.logaddexp.accumulate(x, axis=axis)


def _logcumsumexp_pull(g: Value, ans: Value, x: Value, axis: int) -> Value:
    """exp(x[j]) * sum over i >= j of g[i] * exp(-ans[i]): no exp is taken of what is positive.

    An answer of -inf, which only -inf precedes, lets nothing through.
    """
    x, ans, g = np.swapaxes(x, axis, -1), np.swapaxes(ans, axis, -1), np.swapaxes(g, axis, -1)
    nothing = np.equal(ans, -np.inf)
    level = np.where(nothing, 0, ans)
    here, there = level[..., :-1], level[..., 1:]
    decay = np.exp(np.where(nothing[..., :-1], 0, here - there))
    total = _recur(g, decay * np.logical_not(nothing[..., :-1]))
    return np.swapaxes(np.exp(x - level) * total, axis, -1)


op("logcumsumexp", _logcumsumexp, "x", x=_logcumsumexp_pull)

# -- differences and integrals ---------------------------------------------------------------------


def _diff(
    x: Value, n: int = 1, axis: int = -1, prepend: Value = None, append: Value = None
) -> Value:
    ends = [_end(each, x, axis) for each in (prepend, append)]
    pieces = [piece for piece in (ends[0], x, ends[1]) if piece is not None]
    if len(pieces) > 1:
        x = np.concatenate(pieces, axis=axis)
    for _ in range(n):
        x = part(x, axis, 1, None) - part(x, axis, None, -1)
    return x


def _end(value: Value, x: Value, axis: int) -> Value | None:
    """What ``np.diff`` puts before or behind ``x``: an array, or a number for all rows."""
    if value is None or np.ndim(value):
        return value
    shape = [1 if i == axis % x.ndim else n for i, n in enumerate(x.shape)]
    return np.broadcast_to(value if hasattr(value, "dtype") else np.asarray(value, x.dtype), shape)


def _gradient(
    x: Value,
    spacing: Any = 1,
    spacing1: Any = None,
    spacing2: Any = None,
    spacing3: Any = None,
    axis: int | tuple[int, ...] | None = None,
    edge_order: int = 1,
) -> Any:
    """One slope an axis, a tuple where there are several; spacings may be given one an axis."""
    axes = range(x.ndim) if axis is None else [axis] if isinstance(axis, int) else axis
    axes = [one_axis(each, x.ndim) for each in axes]
    given = [each for each in (spacing, spacing1, spacing2, spacing3) if each is not None]
    if len(given) == 1:
        given = list(spacing) if isinstance(spacing, list | tuple) else given * len(axes)
    if len(given) != len(axes):
        raise ArgumentError(f"{len(given)} spacings for {len(axes)} axes")
    slopes = tuple(
        _slope(x, _widths(h, x.shape[i]), i, edge_order) for i, h in zip(axes, given, strict=True)
    )
    return slopes[0] if len(slopes) == 1 else slopes


def _widths(spacing: Any, length: int) -> Value:
    """The distances from sample to sample, given one for all, or coordinates."""
    spacing = np.asarray(spacing)
    if not spacing.ndim:
        return np.broadcast_to(spacing, (length - 1,))
    if len(spacing) != length:
        raise ArgumentError(f"{len(spacing)} coordinates for {length} samples")
    return np.diff(spacing)


def _slope(x: Value, widths: Value, axis: int, edge_order: int) -> Value:
    """Second order inside, ``edge_order`` at both ends, for distances that need not be equal."""
    if edge_order not in (1, 2) or x.shape[axis] <= edge_order:
        raise ArgumentError(
            f"edge_order must be 1 or 2, with more samples than that; got {edge_order} "
            f"for {x.shape[axis]} samples"
        )
    widths = widths.astype(x.dtype if x.dtype.kind == "f" else np.result_type(x.dtype, 1.0))
    shape = [-1 if i == axis else 1 for i in range(x.ndim)]
    slopes = (part(x, axis, 1, None) - part(x, axis, None, -1)) / widths.reshape(shape)
    if (widths == widths[0]).all():  # what lies between the two neighbours does not count at all
        inner = (part(x, axis, 2, None) - part(x, axis, None, -2)) / (widths[0] * 2)
    else:
        share = (widths[1:] / (widths[1:] + widths[:-1])).reshape(shape)
        left, right = part(slopes, axis, None, -1), part(slopes, axis, 1, None)
        inner = left * share + right * (1 - share)
    first, final = part(slopes, axis, None, 1), part(slopes, axis, -1, None)
    if edge_order == 2:
        lean, tilt = widths[0] / (widths[0] + widths[1]), widths[-1] / (widths[-1] + widths[-2])
        first = first + (first - part(slopes, axis, 1, 2)) * lean
        final = final + (final - part(slopes, axis, -2, -1)) * tilt
    return np.concatenate([first, inner, final], axis=axis)


def _trapezoid(y: Value, x: Value = None, dx: float = 1.0, axis: int = -1) -> Value:
    heights = (part(y, axis, 1, None) + part(y, axis, None, -1)) * 0.5
    if x is None:
        return np.add.reduce(heights * dx, axis=axis)
    if x.ndim == 1:
        x = x.reshape([-1 if i == axis % y.ndim else 1 for i in range(y.ndim)])
    return np.add.reduce(heights * (part(x, axis, 1, None) - part(x, axis, None, -1)), axis=axis)


composed("diff", _diff, "x", numpy=np.diff)
composed("gradient", _gradient, "x", numpy=np.gradient)
composed("trapezoid", _trapezoid, "y x", numpy=np.trapezoid, also="trapz")
