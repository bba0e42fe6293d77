"""``vmap``: a function of one example as a function of a batch."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np

from ..creation import tensor
from ..errors import ArgumentError, OperandError, ShapeError
from ..ops import OPS
from ..tensor import Tensor
from .arguments import kind, label
from .containers import leaves, map_leaves, paired, refill, spread
from .trace import OutputError

_stack = OPS["stack"]


def vmap(func: Callable[..., Any], in_axes: Any = 0, out_axes: Any = 0) -> Callable[..., Any]:
    """``func`` of one example as a function of batches: a Python loop that stacks the results.

    Not faster than the loop it replaces: its use is that per-example code, gradients of ``func``
    included, needs no rewriting. Gradients flow through it. Keyword arguments are passed as they
    are.

    ``in_axes``: the axis of each argument along which the examples lie, None for an argument that
    all share; one int for all, or a tuple with an entry an argument, which may itself be a
    container with an entry a part. ``out_axes``: where the examples lie in the results, an int or a
    container like the result's.

    Raises ``ArgumentError`` where nothing is mapped, or no example is there, ``ShapeError`` for
    batches of different sizes or an axis that is not there, ``OperandError`` for axes that do not
    fit. After ``jax.vmap`` and ``torch.vmap``.

    >>> import engine
    >>> per_example = engine.func.vmap(engine.func.grad(lambda w, x: (w * x) ** 2), (None, 0))
    >>> per_example(2.0, engine.tensor([1.0, 2.0, 3.0]))
    tensor([ 4., 16., 36.])
    """

    @wraps(func, updated=())
    def mapped(*args: Any, **kwargs: Any) -> Any:
        axes = _axes(in_axes, args)
        parts = [_mappable(p, a) for p, a in zip(leaves(args), axes, strict=True)]
        results = []
        for index in range(_size(parts, axes)):
            example = refill(args, [_at(p, a, index) for p, a in zip(parts, axes, strict=True)])
            results.append(map_leaves(lambda leaf: _result(func, leaf), func(*example, **kwargs)))
        columns = zip(*[paired(results[0], r, "vmap: each result") for r in results], strict=True)
        places = spread(out_axes, results[0], "vmap: out_axes")
        stacked = [_placed(_stack(c), p) for c, p in zip(columns, places, strict=True)]
        return refill(results[0], stacked)

    return mapped


def _axes(in_axes: Any, args: tuple[Any, ...]) -> list[int | None]:
    """The axis of each leaf in ``args``."""
    axes = spread(in_axes, args, "vmap: in_axes")
    for axis in axes:
        if axis is not None and (isinstance(axis, bool) or not isinstance(axis, int)):
            raise OperandError(f"vmap: in_axes must be ints or None, got {axis!r}")
    if all(axis is None for axis in axes):
        raise ArgumentError("vmap: nothing is mapped: give an axis for one argument at least")
    return axes


def _mappable(part: Any, axis: int | None) -> Any:
    if axis is None or isinstance(part, Tensor):
        return part
    if not isinstance(part, np.ndarray):
        raise OperandError(f"vmap: cannot map over {kind(part)}: pass an array, or in_axes=None")
    return tensor(part)


def _size(parts: list[Any], axes: list[int | None]) -> int:
    mapped = [(part, axis) for part, axis in zip(parts, axes, strict=True) if axis is not None]
    for part, axis in mapped:
        if not -part.ndim <= axis < part.ndim:
            raise ShapeError(f"vmap: in_axes={axis}, but an argument is {kind(part)}")
    sizes = {part.shape[axis] for part, axis in mapped}
    if len(sizes) > 1:
        met = ", ".join(f"{kind(part)} along axis {axis}" for part, axis in mapped)
        raise ShapeError(f"vmap: the mapped axes must have the same size, got {met}")
    if sizes == {0}:
        raise ArgumentError("vmap: a batch of no examples has no result: give at least one")
    return int(sizes.pop())


def _at(part: Any, axis: int | None, index: int) -> Any:
    if axis is None:
        return part
    return part[(slice(None),) * (axis % part.ndim) + (index,)]


def _result(func: Callable[..., Any], leaf: Any) -> Tensor:
    if isinstance(leaf, Tensor):
        return leaf
    if isinstance(leaf, np.ndarray | np.generic | bool | int | float):
        return tensor(leaf)
    raise OutputError(f"vmap: {label(func)} returned {kind(leaf)}, which cannot be stacked")


def _placed(stacked: Tensor, axis: Any) -> Tensor:
    """The batch axis, which is the first, moved to ``axis``."""
    if isinstance(axis, bool) or not isinstance(axis, int):
        raise OperandError(f"vmap: out_axes must be ints, got {axis!r}")
    if not -stacked.ndim <= axis < stacked.ndim:
        raise ShapeError(f"vmap: out_axes={axis}, but the result is {kind(stacked)}")
    order = list(range(1, stacked.ndim))
    order.insert(axis % stacked.ndim, 0)
    moved: Tensor = stacked.permute(tuple(order))
    return moved
