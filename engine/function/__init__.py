"""Custom operations: a ``Function`` brings its own forward and its own backward.

The forward runs unrecorded and leaves one node behind, whose rule is the user's ``backward``. The
contract with that code is PyTorch's; what it returns is checked against what it was called with.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Sequence
from typing import Any
from weakref import ref

import numpy as np

from ..errors import InPlaceError, NotSupportedError, OperandError, RuleError
from ..freeing import new_node
from ..graph import Edge, caller
from ..modes import state
from ..recording import refresh
from ..tensor import Tensor
from .context import FunctionCtx
from .node import FunctionNode, once_differentiable
from .saved import Kept, closed, newer_than, noted, tensor_at

__all__ = ["Function", "FunctionCtx", "once_differentiable"]


class Function:
    """Base of operations that bring their own gradient: never instantiated, called by ``apply``.

    A subclass has static methods ``forward(ctx, *args)`` and ``backward(ctx, *grads)``, or
    ``forward(*args)``, ``setup_context(ctx, inputs, output)`` and ``backward``. Each argument of
    forward that is itself a Tensor (not one inside of a list) may get a gradient; each output that
    is one has a gradient, and whatever else forward returns is passed through. ``backward`` gets
    one gradient for each output and returns one for each argument, None where there is none; they
    are checked, summed where broadcasting has stretched them, and cast. A ``jvp`` is never called.

    Forward runs with recording off. Backward runs with recording on if, and only if, it is to be
    differentiated itself (``create_graph``); what it reads from ``ctx.saved_tensors`` has its
    history then too. A Function with a single output does not run when no gradient arrives there.

    Any number of threads may call ``apply`` at once, and the backward of one and the same node may
    run in several backwards at once, in any thread, under no lock: the engine only reads then, and
    what user code shares is externally synchronised by the user. See ``FunctionCtx``.
    After ``torch.autograd.Function``.

    >>> import engine
    >>> class Exp(Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         y = x.exp()
    ...         ctx.save_for_backward(y)
    ...         return y
    ...
    ...     @staticmethod
    ...     def backward(ctx, g):
    ...         (y,) = ctx.saved_tensors
    ...         return g * y
    >>> x = engine.tensor([0.0, 1.0], requires_grad=True)
    >>> Exp.apply(x)
    tensor([1.0000, 2.7183], grad_fn=<ExpBackward>)
    >>> Exp.apply(x).sum().backward()
    >>> x.grad
    tensor([1.0000, 2.7183])
    """

    def __init__(self, *_: object, **__: object) -> None:
        raise NotSupportedError(
            "Legacy autograd function with non-static forward method is not supported: give "
            f"{type(self).__name__} static methods forward(ctx, ...) and backward(ctx, ...), and "
            f"call {type(self).__name__}.apply(...) on the class"
        )

    @staticmethod
    def forward(*args: Any, **keywords: Any) -> Any:
        """Compute the outputs: to be overridden."""
        raise NotSupportedError("You must implement the forward function for a custom Function")

    @staticmethod
    def setup_context(ctx: FunctionCtx, inputs: tuple[Any, ...], output: Any) -> None:
        """Save for backward what it needs, where forward does not take ``ctx``."""
        raise NotSupportedError("setup_context is not implemented")

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        """The gradient of each argument from those of the outputs: to be overridden."""
        raise NotSupportedError(
            "You must implement either the backward or vjp method for your custom Function to "
            "differentiate through it"
        )

    vjp = backward  # another name for it

    @classmethod
    def _rule(cls) -> Callable[..., Any]:
        if cls.vjp is Function.vjp:
            return cls.backward
        if cls.backward is not Function.backward:
            raise RuleError(
                f"{cls.__name__}: Implementing both 'backward' and 'vjp' for a custom Function is "
                "not allowed. You should only implement one of them."
            )
        return cls.vjp

    @classmethod
    def apply(cls, *args: Any, **keywords: Any) -> Any:
        """Run forward, and in grad mode record the call: internally synchronised.

        Keywords and defaults take their places among the positional arguments. Raises what forward
        raises, and ``InPlaceError`` if it wrote to a leaf, or did not return what it wrote to.
        """
        split = cls.setup_context is not Function.setup_context
        if split or keywords:
            args = _bound(cls.forward, args if split else (None, *args), keywords)[not split :]
        ctx = FunctionCtx(tuple(isinstance(a, Tensor) and a.requires_grad for a in args))
        versions = noted(args)
        before, state.grad = state.grad, False
        try:
            if split:
                output = cls.forward(*args)
                cls.setup_context(ctx, args, output)
            else:
                output = cls.forward(ctx, *args)
        finally:
            state.grad = before
        outputs = output if isinstance(output, tuple) else (output,)
        placed = _record(cls, ctx, args, outputs, versions)
        return tuple(placed) if isinstance(output, tuple) else placed[0]


def _bound(
    forward: Callable[..., Any], args: tuple[Any, ...], keywords: dict[str, Any]
) -> tuple[Any, ...]:
    bound = inspect.signature(forward).bind(*args, **keywords)
    bound.apply_defaults()
    if bound.kwargs:
        raise OperandError(
            f"apply: no gradient can be returned for the keyword-only arguments "
            f"{sorted(bound.kwargs)} of forward: make them positional"
        )
    return bound.args


def _record(
    cls: type[Function],
    ctx: FunctionCtx,
    args: Sequence[Any],
    outputs: Sequence[Any],
    versions: dict[int, Any],
) -> list[Any]:
    """The outputs with their places in the graph, and in grad mode the node behind them.

    ``versions``: what was `noted` of the arguments before the forward.
    """
    _check_dirty(ctx, args, outputs)
    for tensor in ctx._dirty:
        tensor._wrote(caller(2))
    if not (state.grad and any(ctx.needs_input_grad)):
        return [_alias(t, None) if _is_among(t, args, ctx._dirty) else t for t in outputs]
    node = _node(cls, ctx, args, outputs)
    placed = [_place(t, (node, port), ctx, args) for port, t in enumerate(outputs)]
    node.saved = [tuple(None if t is None else Kept(t, node, versions) for t in ctx._saving)]
    node.claimed = False if ctx._saving else None
    ctx._saving, ctx._dirty, ctx._constants, ctx._node = (), (), (), ref(node)
    return placed


def _node(
    cls: type[Function], ctx: FunctionCtx, args: Sequence[Any], outputs: Sequence[Any]
) -> FunctionNode:
    positions = tuple(i for i, a in enumerate(args) if isinstance(a, Tensor))
    edges = [refresh(args[i]) for i in positions]
    seq = newer_than(edges)
    node: FunctionNode = new_node(FunctionNode, edges, seq)
    node.function, node.context = cls, ctx
    node.arguments, node.positions = len(args), positions
    node.edges, node.seq = edges, seq
    node.kinds = tuple((t.shape, t.dtype) if isinstance(t, Tensor) else None for t in outputs)
    node.outputs = len(outputs)
    node.shape, node.dtype = next(filter(None, node.kinds), ((), np.dtype("float32")))
    node.origin = caller(2)
    node.hooks = None
    node.claimed = None
    return node


def _is_among(value: Any, args: Sequence[Any], but: Sequence[Any] = ()) -> bool:
    """Whether ``value`` is the very tensor of an argument, and not one of ``but``."""
    return (
        isinstance(value, Tensor)
        and any(value is a for a in args)
        and not any(value is b for b in but)
    )


def _check_dirty(ctx: FunctionCtx, args: Sequence[Any], outputs: Sequence[Any]) -> None:
    for tensor in ctx._dirty:
        if not any(tensor is a for a in args):
            warnings.warn(
                "ctx.mark_dirty() received a tensor that was not an input. Only input Tensors "
                "that have been mutated should be passed to ctx.mark_dirty().",
                UserWarning,
                stacklevel=4,
            )
        elif not any(tensor is out for out in outputs):
            raise InPlaceError(
                "Some elements marked as dirty during the forward method were not returned as "
                "output. The inputs that are modified inplace must all be outputs of the Function."
            )
        else:
            tensor._check_writable("mark_dirty")


def _place(value: Any, edge: Edge, ctx: FunctionCtx, args: Sequence[Any]) -> Any:
    """An output with its place in the graph; an alias where its tensor already has another."""
    if not isinstance(value, Tensor):
        return value
    constant = value.dtype.kind not in "fc" or any(value is c for c in ctx._constants)
    place = None if constant else edge
    if any(value is d for d in ctx._dirty) and any(value is a for a in args):
        value._rebase(tensor_at(value._data, place, value._cell))
    elif value._edge is not None or any(value is a for a in args):
        return _alias(value, place)
    else:
        value._edge = place
        if value._view is not None:
            value._view = closed(value)
    return value


def _alias(tensor: Tensor, edge: Edge | None) -> Tensor:
    out = tensor_at(tensor._data, edge, tensor._cell)
    out._view = closed(tensor)
    return out
