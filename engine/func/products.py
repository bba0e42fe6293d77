"""Products with the Jacobian and the Hessian that never build either."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..modes import state
from .arguments import like
from .containers import refill
from .trace import Trace, check_scalar, ones_for, refilled, split_pair, trace_positions


def vjp(func: Callable[..., Any], *primals: Any, has_aux: bool = False) -> tuple[Any, ...]:
    """``func(*primals)``, and the function that multiplies vectors with its Jacobian from the left.

    Returns ``(output, pull)``, with ``has_aux`` ``(output, pull, aux)`` of a ``func`` that returns
    ``(output, aux)``. ``pull(cotangents)`` takes one cotangent a tensor in the output, in its
    structure and shapes, and returns a tuple of one gradient a primal. Primals may be containers,
    as in ``grad``.

    ``pull`` may be called any number of times, from any number of threads: internally synchronised.
    Raises ``ShapeError`` and ``OperandError`` for cotangents that do not fit. After
    ``torch.func.vjp`` and ``jax.vjp``.

    >>> import engine
    >>> output, pull = engine.func.vjp(lambda x: x * x, engine.tensor([1.0, 2.0, 3.0]))
    >>> pull(engine.tensor([1.0, 0.0, 10.0]))
    (tensor([ 2.,  0., 60.]),)
    """
    traced = _run("vjp", func, primals, has_aux)

    def pull(cotangents: Any) -> tuple[Any, ...]:
        seeds = like(traced.value, cotangents, "vjp: the cotangents")
        graph = state.grad and any(seed.requires_grad for seed in seeds)
        return refilled(primals, traced.pull(seeds, graph=graph))

    return _returned(traced, pull, has_aux)


def jvp(
    func: Callable[..., Any], primals: Any, tangents: Any, *, has_aux: bool = False
) -> tuple[Any, ...]:
    """``func(*primals)``, and its Jacobian times ``tangents``: the derivative in that direction.

    ``primals``, ``tangents``: tuples of as many arguments, of equal structure and shapes (or one
    Tensor each). Returns ``(output, derivative)``, with ``has_aux`` ``(output, derivative, aux)``.
    Computed by two reverse passes, not in forward mode: a rule that can be differentiated twice is
    all it takes, memory is that of the reverse pass. After ``torch.func.jvp``.

    >>> import engine
    >>> engine.func.jvp(lambda x, y: x * y, (2.0, 5.0), (1.0, 10.0))
    (tensor(10.), tensor(25.))
    """
    args = primals if isinstance(primals, tuple | list) else (primals,)
    vectors = tangents if isinstance(tangents, tuple | list) else (tangents,)
    traced = _run("jvp", func, tuple(args), has_aux)
    along = like(tuple(args), vectors, "jvp: the tangents")
    derivative = refill(traced.value, traced.pushing()(along))
    return _returned(traced, derivative, has_aux)


def hvp(func: Callable[..., Any], primals: Any, tangents: Any) -> Any:
    """The Hessian of a scalar ``func`` at ``primals``, times ``tangents``.

    ``primals``, ``tangents`` as in ``jvp``; the product has their structure. Two reverse passes,
    whatever the size. Raises ``NonScalarError``.

    >>> import engine
    >>> x = engine.tensor([1.0, 2.0])
    >>> engine.func.hvp(lambda x: (x ** 3).sum(), x, engine.tensor([1.0, 10.0]))
    tensor([  6., 120.])
    """
    args = tuple(primals) if isinstance(primals, tuple | list) else (primals,)
    vectors = tangents if isinstance(tangents, tuple | list) else (tangents,)

    def gradient(*inner: Any) -> Any:
        traced = _run("hvp", func, inner, False)
        check_scalar(traced, "hvp", func, "call .sum()")
        return refilled(inner, traced.pull(ones_for(traced.outputs)))

    traced = _run("hvp", gradient, args, False)
    # The Hessian is symmetric: a product from the left is one from the right.
    products = refilled(args, traced.pull(like(args, vectors, "hvp: the tangents")))
    return products if isinstance(primals, tuple | list) else products[0]


def _run(name: str, func: Callable[..., Any], primals: tuple[Any, ...], has_aux: bool) -> Trace:
    split = split_pair(name, func) if has_aux else None
    return trace_positions(name, func, primals, {}, range(len(primals)), split=split)


def _returned(traced: Trace, result: Any, has_aux: bool) -> tuple[Any, ...]:
    output = traced.shown(traced.value)
    return (output, result, traced.shown(traced.aux)) if has_aux else (output, result)
