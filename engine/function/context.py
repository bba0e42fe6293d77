"""The context of a ``Function``: what its forward and its backward say to each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..errors import GraphReleasedError, OperandError
from ..releasing import Releasing
from ..tensor import Tensor
from .saved import Kept


class FunctionCtx:
    """What forward and backward of one call of a ``Function`` say to each other.

    Attributes may be set at will; they are neither checked nor released. Each run of backward gets
    a context of its own, so ``needs_input_grad`` and ``saved_tensors`` are thread-local; the
    attributes are those of the forward, shared by every backward of the node: what backward writes
    there is externally synchronised by whoever wrote it.
    """

    __slots__ = (
        "__dict__", "__weakref__", "_constants", "_dirty", "_lent", "_node", "_read", "_saving",
        "_zeros", "needs_input_grad",
    )  # fmt: skip

    #: For each argument, whether backward has to compute its gradient. In forward: whether the
    #: argument requires one. In backward: whether this very backward uses it, so that work nobody
    #: asked for can be left out (PyTorch says True there for all that require a gradient).
    needs_input_grad: tuple[bool, ...]

    def __init__(self, needs_input_grad: tuple[bool, ...]) -> None:
        self.needs_input_grad = needs_input_grad
        self._saving: tuple[Tensor | None, ...] = ()
        self._dirty: tuple[Tensor, ...] = ()
        self._constants: tuple[Tensor, ...] = ()
        self._zeros = True  # are missing gradients made into zeros?
        self._node: Callable[[], Releasing | None] | None = None  # weak: the node has this
        self._lent: Sequence[Kept | None] | None = None  # what this run of backward may use
        self._read = False  # has it looked at that?

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep tensors for backward; a second call replaces the first.

        They are checked for writes in place when backward reads them, and for writes of other
        threads when it has ended, and released after it.
        Raises ``OperandError`` for anything but Tensors and None: set those as attributes.
        """
        self._saving = _only_tensors("save_for_backward", tensors, none=True)

    def save_for_forward(self, *tensors: Tensor | None) -> None:
        """Accepted for code that brings a ``jvp``: nothing is kept, the engine never calls that."""
        _only_tensors("save_for_forward", tensors, none=True)

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """What ``save_for_backward`` kept, with its history.

        Raises ``SavedValueChangedError``, and ``GraphReleasedError`` once it has been released.
        """
        if self._node is None:
            return self._saving
        node = self._node()
        if node is None:
            raise GraphReleasedError("the graph that had saved these tensors is gone")
        kept = node.take(retain=True) if self._lent is None else self._lent
        self._read = True
        return tuple(None if one is None else one.unpack(node) for one in kept)

    def mark_dirty(self, *tensors: Tensor) -> None:
        """Say which arguments the forward has written to; each has to be returned."""
        self._dirty = _only_tensors("mark_dirty", tensors)

    def mark_non_differentiable(self, *tensors: Tensor) -> None:
        """Say which outputs have no gradient; backward gets zeros for them."""
        self._constants = _only_tensors("mark_non_differentiable", tensors)

    def set_materialize_grads(self, value: bool) -> None:
        """Whether backward sees zeros (the default) or None for an output nothing flowed into."""
        self._zeros = bool(value)

    def _lend(self, kept: Sequence[Kept | None], needs: tuple[bool, ...]) -> FunctionCtx:
        """The context of one run of backward: the same attributes, the rest its own."""
        lent = FunctionCtx(needs)
        lent.__dict__ = self.__dict__
        lent._node, lent._lent = self._node, kept
        return lent


def _only_tensors(method: str, values: tuple[Any, ...], *, none: bool = False) -> tuple[Any, ...]:
    for index, value in enumerate(values):
        if not (isinstance(value, Tensor) or (none and value is None)):
            raise OperandError(
                f"{method} takes Tensors, but argument {index} is of type {type(value).__name__}"
                + (": set it as an attribute of ctx" if none else "")
            )
    return values
