"""What a tensor that requires a gradient can be asked: its flags, its ``.grad``, its hooks."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from .errors import DTypeError, InPlaceError, OperandError, ShapeError
from .graph import Leaf, Node
from .hooks import RemovableHandle, hooks_of
from .recording import Recorded, from_array
from .sync import Lock
from .values import Shape, Value


class Differentiable(Recorded):
    """The part of Tensor that has to do with its gradient."""

    __slots__ = ()

    @property
    def shape(self) -> Shape:
        """The sizes of its axes."""
        return self._data.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """NumPy's dtype of its elements."""
        return self._data.dtype

    def _kind(self) -> str:
        """Dtype and shape, for messages."""
        return f"{self.dtype}{list(self.shape)}"

    @property
    def requires_grad(self) -> bool:
        """Whether gradients flow into or through it. May be set on leaves."""
        return self._edge is not None

    @requires_grad.setter
    def requires_grad(self, flag: bool) -> None:
        self.requires_grad_(flag)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Start, or for a leaf stop, to ask for its gradient.

        Raises ``DTypeError`` for other than floating point, ``InPlaceError`` to stop a non-leaf.
        """
        if requires_grad and self._edge is None:
            if self.dtype.kind != "f":
                raise DTypeError(
                    "only Tensors of floating point dtype can require gradients, got "
                    f"{self.dtype}: make it with dtype='float32'"
                )
            self._edge = (Leaf(self.shape, self.dtype), 0)
        elif not requires_grad and self._edge is not None:
            if not self.is_leaf:
                raise InPlaceError(
                    "you can only change requires_grad flags of leaf variables: use detach()"
                )
            self._edge = None
        return self

    @property
    def is_leaf(self) -> bool:
        """Whether it was made by the user rather than computed from what requires a gradient."""
        return self._edge is None or type(self._edge[0]) is Leaf

    @property
    def grad_fn(self) -> Node | None:
        """The node that its gradient flows into; None for leaves."""
        return None if self.is_leaf or self._edge is None else self._edge[0]

    def _leaf(self, doing: str) -> Leaf:
        leaf = self._edge[0] if self._edge is not None else None
        if not isinstance(leaf, Leaf):
            raise InPlaceError(f"cannot {doing}: the tensor is not a leaf that requires grad")
        return leaf

    @property
    def grad(self) -> Any:
        """The gradient accumulated so far, or None. Atomic, see the class."""
        leaf = self._edge[0] if self._edge is not None else None
        if not isinstance(leaf, Leaf):
            return None
        with leaf.lock:
            if leaf.grad is None or isinstance(leaf.grad, Recorded):
                return leaf.grad
            if leaf.face is None or leaf.face._data is not leaf.grad:
                leaf.face = from_array(leaf.grad)
            return leaf.face

    @grad.setter
    def grad(self, value: Any) -> None:
        leaf = self._leaf("set .grad")
        if value is not None:
            self._check_grad(value)
        with leaf.lock:
            if value is None or value._edge is not None:
                leaf.grad, leaf.face = value, None
            else:
                leaf.grad, leaf.face = value._data, value

    def _check_grad(self, value: object) -> None:
        if not isinstance(value, Differentiable):
            raise OperandError(f"assigned grad must be Tensor or None, got {type(value).__name__}")
        if value is self:
            raise InPlaceError("can't assign a Tensor as its own gradient: use clone()")
        if value.shape != self.shape:
            raise ShapeError(f"assigned grad is {value._kind()}, the tensor {self._kind()}")
        if value.dtype != self.dtype:
            raise DTypeError(f"assigned grad is {value._kind()}, the tensor {self._kind()}")
        if not value._data.flags.writeable:
            raise InPlaceError("assigned grad is read-only, but is added to in place: clone() it")

    @property
    def grad_lock(self) -> Lock:
        """The lock that guards ``grad``: reentrant, a context manager.

        While it is held no accumulation (but ``racy``), take, zero or step of this tensor goes on.
        Hold one at a time. Internally synchronised.
        """
        return self._leaf("lock .grad").lock

    def take_grad(self) -> Any:
        """Take ``grad`` away, leaving None. Atomic: each contribution is in one taken gradient.

        >>> import engine
        >>> x = engine.tensor([1.0, 2.0], requires_grad=True)
        >>> (x * x).sum().backward()
        >>> x.take_grad(), x.grad
        (tensor([2., 4.]), None)
        """
        taken = self._leaf("take .grad").take()
        return from_array(taken) if isinstance(taken, np.ndarray) else taken

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget ``grad``, or with ``set_to_none=False`` fill it with zeros in place. Atomic."""
        leaf = self._leaf("zero .grad")
        with leaf.lock:
            if set_to_none or not isinstance(leaf.grad, np.ndarray):
                leaf.grad = leaf.face = None
            else:
                leaf.grad.fill(0)

    def register_hook(self, hook: Any) -> RemovableHandle:
        """Call ``hook(grad)`` with each gradient of this tensor; what it returns replaces it.

        Hooks run in the order of their registration, under no lock, in the thread that computed the
        gradient: externally synchronised by whoever writes the hook.
        """
        if self._edge is None:
            raise InPlaceError("cannot register a hook on a tensor that doesn't require gradient")
        return hooks_of(self._edge[0]).register(lambda g: _call_hook(hook, g))


def _call_hook(hook: Any, g: Value) -> Value | None:
    """Show a travelling gradient to user code as a Tensor, and check what comes back."""
    seen: Any = g if isinstance(g, Recorded) else from_array(np.asarray(g))
    replaced = hook(seen)
    if replaced is None:
        return None
    if not isinstance(replaced, Differentiable):
        raise OperandError(f"a hook must return a Tensor or None, got {type(replaced).__name__}")
    if replaced.shape != seen.shape or replaced.dtype != seen.dtype:
        raise ShapeError(
            f"a hook must keep shape and dtype: got {replaced._kind()} for {seen._kind()}"
        )
    return replaced if isinstance(g, Recorded) else replaced._data
