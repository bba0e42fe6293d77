"""Whole Jacobians and Hessians, a row or a column at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from typing import Any

import numpy as np

from ..creation import from_numpy, zeros, zeros_like
from ..ops import OPS
from ..tensor import Tensor
from .arguments import checked_positions, located
from .containers import refill
from .trace import Trace, refilled, split_pair, trace_positions

_stack = OPS["stack"]

Positions = int | tuple[int, ...]


def jacrev(
    func: Callable[..., Any], argnums: Positions = 0, *, has_aux: bool = False
) -> Callable[..., Any]:
    """The function that computes the Jacobian of ``func`` in reverse: a backward an output element.

    Each tensor in the output of ``func`` becomes the Jacobian of that tensor: of shape ``(*output,
    *argument)`` for an int ``argnums``, a tuple of these for a tuple, in the containers of the
    argument. With ``has_aux``, ``func`` returns ``(output, aux)`` and the result is ``(Jacobian,
    aux)``. Best where outputs are fewer than inputs; else see ``jacfwd``. Threads, errors and
    history as in ``grad``. After ``torch.func.jacrev`` and ``jax.jacrev``.

    >>> import engine
    >>> engine.func.jacrev(lambda x: x * x)(engine.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    return _transform("jacrev", func, argnums, has_aux, by_rows)


def jacfwd(
    func: Callable[..., Any], argnums: Positions = 0, *, has_aux: bool = False
) -> Callable[..., Any]:
    """The function that computes the Jacobian of ``func`` by columns, a pass an input element.

    The result is that of ``jacrev``; best where inputs are fewer than outputs. A column is a
    ``jvp``, so it takes two reverse passes (the first is shared by all columns), no forward mode.

    >>> import engine
    >>> engine.func.jacfwd(lambda x: x * x)(engine.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    return _transform("jacfwd", func, argnums, has_aux, by_columns)


def hessian(func: Callable[..., Any], argnums: Positions = 0) -> Callable[..., Any]:
    """The function that computes the Hessian of ``func``: ``jacrev`` of ``jacrev``.

    For a scalar ``func`` of one tensor it has the shape ``(*argument, *argument)``; for a tuple of
    ``argnums`` it is a tuple of tuples.

    >>> import engine
    >>> engine.func.hessian(lambda x: (x ** 3).sum())(engine.tensor([1.0, 2.0]))
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """
    return jacrev(jacrev(func, argnums), argnums)


def _transform(
    name: str,
    func: Callable[..., Any],
    argnums: Positions,
    has_aux: bool,
    jacobian: Callable[[Trace], list[list[Tensor]]],
) -> Callable[..., Any]:
    where = f"{name}: argnums"
    chosen = checked_positions(where, argnums)
    split = split_pair(name, func) if has_aux else None

    @wraps(func, updated=())
    def transformed(*args: Any, **kwargs: Any) -> Any:
        positions = located(where, chosen, len(args))
        traced = trace_positions(name, func, args, kwargs, positions, split=split)
        trees = [args[position] for position in positions]
        parts = [refilled(trees, blocks) for blocks in jacobian(traced)]
        several = isinstance(argnums, list | tuple)
        result = refill(traced.value, parts if several else [part[0] for part in parts])
        return (result, traced.shown(traced.aux)) if has_aux else result

    return transformed


def by_rows(traced: Trace) -> list[list[Tensor]]:
    """``blocks[output][source]``, each of shape ``(*output, *source)``."""
    blocks = []
    for index, output in enumerate(traced.outputs):
        rows = [traced.pull(seeds) for seeds in one_hots(traced.outputs, index)]
        blocks.append(
            [
                _stacked([row[s] for row in rows], output, source)
                for s, source in enumerate(traced.sources)
            ]
        )
    return blocks


def by_columns(traced: Trace) -> list[list[Tensor]]:
    """The same, from products with unit vectors on the right."""
    push = traced.pushing()
    blocks: list[list[Tensor]] = [[] for _ in traced.outputs]
    for index, source in enumerate(traced.sources):
        columns = [push(tangents) for tangents in one_hots(traced.sources, index)]
        for o, output in enumerate(traced.outputs):
            block = _stacked([column[o] for column in columns], source, output)
            axes = range(block.ndim)
            blocks[o].append(block.permute((*axes[source.ndim :], *axes[: source.ndim])))
    return blocks


def one_hots(tensors: Sequence[Tensor], index: int) -> Iterator[list[Tensor]]:
    """All the ways to have a single 1, in ``tensors[index]``, and 0 in all else."""
    others = [zeros_like(tensor) for tensor in tensors]
    chosen = tensors[index]
    for element in range(chosen.numel()):
        hot = np.zeros(chosen.shape, chosen.dtype)
        hot.flat[element] = 1
        yield [*others[:index], from_numpy(hot), *others[index + 1 :]]


def _stacked(rows: Sequence[Tensor], outer: Tensor, inner: Tensor) -> Tensor:
    shape = (*outer.shape, *inner.shape)
    if not math.prod(shape):
        return zeros(shape, dtype=inner.dtype)
    block: Tensor = _stack(rows).reshape(shape)
    return block
