"""The backward of a ``Function``: the user's rule, and checks of what it returns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import numpy as np

from ..errors import RuleError
from ..graph import Edge, Node, caller, describe
from ..modes import state
from ..releasing import Releasing
from ..sparse import RowSparse
from ..tensor import Tensor, from_array
from ..values import Shape, Value
from .context import FunctionCtx
from .saved import newer_than, tensor_at

Kind = tuple[Shape, np.dtype[Any]]


class FunctionNode(Releasing):
    """What a call of a ``Function`` leaves in the graph. Immutable, but for what it releases."""

    __slots__ = ("arguments", "context", "function", "kinds", "outputs", "positions")

    function: Any  # the subclass of Function
    context: FunctionCtx  # read only, but for the attributes that user code sets
    arguments: int  # how many forward took
    positions: tuple[int, ...]  # which of them were tensors: those have an edge
    kinds: tuple[Kind | None, ...]  # shape and dtype of each output; None if it is no Tensor
    outputs: int

    def name(self) -> str:
        return f"{self.function.__name__}Backward"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(f"{self.name()} has no attribute {name!r}")
        return getattr(self.context, name)  # as in PyTorch, where the context is the node

    def output(self, port: int) -> Kind:
        kind = self.kinds[port]
        assert kind is not None
        return kind

    def pull(self, g: Value, wanted: Sequence[object | None], retain: bool) -> list[Value]:
        rule = self.function._rule()
        kept = self.take(retain)
        try:
            context = self.context._lend(kept, self._needs(wanted))
            try:
                result = rule(context, *self._shown(g))
                for saved in kept if context._read else ():
                    if saved is not None:
                        saved.check_again(self)
            finally:
                context._lent = None  # user code may have stored it: now it sees what the node has
            return self._checked(result, wanted)
        except BaseException:
            self.give_back(kept, retain)
            raise

    def _needs(self, wanted: Sequence[object | None]) -> tuple[bool, ...]:
        needs = [False] * self.arguments
        for position, route in zip(self.positions, wanted, strict=True):
            needs[position] = route is not None
        return tuple(needs)

    def _shown(self, g: Value) -> list[Any]:
        """The gradients of the outputs as backward sees them."""
        zeros = self.context._zeros
        shown: list[Any] = []
        for value, kind in zip(g if self.outputs > 1 else [g], self.kinds, strict=True):
            if value is None:
                missing = kind if zeros else None
                shown.append(None if missing is None else from_array(np.zeros(*missing)))
            else:
                shown.append(value if type(value) is Tensor else from_array(np.asarray(value)))
        return shown

    def _checked(self, result: Any, wanted: Sequence[object | None]) -> list[Value]:
        """What backward returned, by edge. Raises ``RuleError``."""
        given = result if isinstance(result, tuple) else (result,)
        if len(given) > self.arguments and all(g is None for g in given[self.arguments :]):
            given = given[: self.arguments]
        if len(given) != self.arguments:
            raise RuleError(
                f"{self.function.__name__}.backward returned {len(given)} gradients, but forward "
                f"took {self.arguments} arguments: return one for each, None where there is none"
            )
        grads: list[Value] = [None] * len(self.positions)
        slots = {position: slot for slot, position in enumerate(self.positions)}
        for index, value in enumerate(given):
            if value is None:
                continue
            slot = slots.get(index, -1)
            self._check(index, value, self.edges[slot] if slot >= 0 else None, slot >= 0)
            if wanted[slot] is not None:
                grads[slot] = _travelling(value)
        return grads

    def _check(self, index: int, value: Any, edge: Edge | None, tensor: bool) -> None:
        what = f"{self.function.__name__}.backward returned for argument {index}"
        if not isinstance(value, Tensor | RowSparse):
            raise RuleError(
                f"{what} a {type(value).__name__}: gradients are Tensors or None, several of them "
                "a tuple"
            )
        if not tensor:
            raise RuleError(f"{what} a gradient, but that is not a Tensor: return None there")
        if edge is None:
            return
        shape, dtype = edge[0].output(edge[1])
        if not _reduces(value.shape, shape) or (value.dtype.kind == "c" != dtype.kind):
            raise RuleError(
                f"{what} a gradient {value.dtype}{list(value.shape)}, which does not fit the "
                f"argument, {dtype}{list(shape)}: return shape {shape}, or one that broadcasting "
                "has stretched it to, which is summed"
            )


def _travelling(returned: Tensor | RowSparse) -> Value:
    if isinstance(returned, Tensor):
        return returned if state.grad else returned._data
    return from_array(returned.to_dense()) if state.grad else returned


def _reduces(have: Shape, want: Shape) -> bool:
    """Whether summing over stretched axes leads from ``have`` to ``want``."""
    if have == want:
        return True
    added = len(have) - len(want)
    return added >= 0 and all(w in (h, 1) for h, w in zip(have[added:], want, strict=True))


class _Refusal(Node):
    """Where the gradients of a once-differentiable rule end."""

    __slots__ = ("kinds", "outputs", "rule")

    kinds: list[Kind | None]  # as that of a FunctionNode; all immutable
    outputs: int
    rule: str

    def name(self) -> str:
        return "Error"

    def output(self, port: int) -> Kind:
        kind = self.kinds[port]
        assert kind is not None
        return kind

    def pull(self, g: Value, wanted: Sequence[object | None], retain: bool) -> list[Value]:
        raise RuleError(
            "trying to differentiate twice a function that was marked with @once_differentiable: "
            f"{self.rule}. Write its backward with recorded operations, and drop the mark."
        )


def once_differentiable(backward: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a ``backward`` whose own operations cannot be recorded, with NumPy on bare arrays say.

    It runs with recording off. A derivative of what it returned raises ``RuleError``; PyTorch does
    so only where the incoming gradients require grad, and else takes the derivative as zero.

    >>> import engine
    >>> class Double(engine.function.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         return x * 2
    ...
    ...     @staticmethod
    ...     @once_differentiable
    ...     def backward(ctx, g):
    ...         return engine.from_numpy(2 * g.numpy())
    >>> x = engine.tensor([3.0], requires_grad=True)
    >>> engine.grad(Double.apply(x), x)
    (tensor([2.]),)
    """

    @wraps(backward)
    def once(ctx: FunctionCtx, *grads: Any) -> Any:
        recorded = state.grad
        state.grad = False
        try:
            result = backward(ctx, *[g if g is None else g.detach() for g in grads])
        finally:
            state.grad = recorded
        return _refused(backward, ctx, grads, result) if recorded else result

    return once


def _refused(backward: Callable[..., Any], ctx: FunctionCtx, grads: Any, result: Any) -> Any:
    """What a rule returned, so that nobody can differentiate it."""
    node = ctx._node() if ctx._node is not None else None
    edges = [g._edge for g in grads if isinstance(g, Tensor)]
    edges += node.edges if node is not None else ()
    results = result if isinstance(result, tuple) else (result,)
    refusal = _Refusal()
    refusal.rule = f"{backward.__qualname__}, {describe(node.origin if node else None)}"
    refusal.kinds = [(t.shape, t.dtype) if isinstance(t, Tensor) else None for t in results]
    refusal.outputs = len(results)
    refusal.shape, refusal.dtype = next(filter(None, refusal.kinds), ((), np.dtype("float32")))
    refusal.edges = edges
    refusal.seq = newer_than(edges)
    refusal.origin, refusal.hooks = caller(2), None
    refused = tuple(
        tensor_at(t._data, (refusal, port), t._cell) if isinstance(t, Tensor) else t
        for port, t in enumerate(results)
    )
    return refused if isinstance(result, tuple) else refused[0]
