"""What a tensor that requires a gradient can be asked: its flags, its ``.grad``, its hooks."""

from __future__ import annotations

import warnings
from typing import Any, Self
from weakref import ref

import numpy as np

from .errors import DTypeError, InferenceError, InPlaceError, NoGraphError, OperandError, ShapeError
from .graph import Leaf, Node
from .hooks import RemovableHandle, hooks_of, retain
from .modes import state
from .recorded import INFERENCE, Recorded, from_array
from .recording import refresh
from .runtime.hooked import present
from .sparse import RowSparse
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
        return refresh(self) is not None

    @requires_grad.setter
    def requires_grad(self, flag: bool) -> None:
        self.requires_grad_(flag)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Start, or for a leaf stop, to ask for its gradient.

        Raises ``DTypeError`` for other than floating point and complex, ``InPlaceError`` to stop
        a non-leaf.
        """
        if requires_grad and self._edge is None:
            if self._cell is INFERENCE:
                raise InferenceError(
                    "Setting requires_grad=True on inference tensor outside InferenceMode is not "
                    "allowed: clone() it first"
                )
            if self.dtype.kind not in "fc":
                raise DTypeError(
                    "only Tensors of floating point and complex dtype can require gradients, got "
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
        edge = refresh(self)
        return edge is None or type(edge[0]) is Leaf

    @property
    def grad_fn(self) -> Node | None:
        """The node that its gradient flows into; None for leaves."""
        edge = refresh(self)
        return None if edge is None or type(edge[0]) is Leaf else edge[0]

    def _holder(self) -> Leaf | None:
        """What holds ``.grad``: its leaf, or for an inner tensor what ``retain_grad`` made."""
        edge = refresh(self)
        if edge is None:
            return None
        node, port = edge
        if type(node) is Leaf:
            return node
        return None if node.hooks is None else node.hooks.retained.get(port)

    def _leaf(self, doing: str) -> Leaf:
        holder = self._holder()
        if holder is None:
            raise InPlaceError(
                f"cannot {doing}: the tensor is neither a leaf that requires grad, nor was "
                "retain_grad() called on it"
            )
        return holder

    @property
    def grad(self) -> Any:
        """The gradient accumulated so far, or None. Atomic, see the class.

        A Tensor; a ``RowSparse`` as long as all that was added to it were such.
        """
        holder = self._holder()
        if holder is None:
            if self._edge is not None:
                warnings.warn(_NOT_A_LEAF, UserWarning, stacklevel=2)
            return None
        with holder.lock:
            value = holder.value()
            if type(value) is not np.ndarray:
                return value  # None, a RowSparse, or a Tensor with history
            if holder.face is None or holder.face._data is not value:
                holder.face = from_array(value)
            return holder.face

    @grad.setter
    def grad(self, value: Any) -> None:
        leaf = self._leaf("set .grad")
        if value is not None:
            self._check_grad(value)
        with leaf.lock:
            if not isinstance(value, Recorded) or value._edge is not None:
                leaf.grad, leaf.face = value, None
            else:
                leaf.grad, leaf.face = value._data, value

    def _check_grad(self, value: object) -> None:
        if not isinstance(value, Differentiable | RowSparse):
            raise OperandError(
                f"assigned grad must be Tensor, RowSparse or None, got {type(value).__name__}"
            )
        if value is self:
            raise InPlaceError("can't assign a Tensor as its own gradient: use clone()")
        kind = f"{value.dtype}{list(value.shape)}"
        if value.shape != self.shape:
            raise ShapeError(f"assigned grad is {kind}, the tensor {self._kind()}")
        if value.dtype != self.dtype:
            raise DTypeError(f"assigned grad is {kind}, the tensor {self._kind()}")
        if isinstance(value, Differentiable) and not value._data.flags.writeable:
            raise InPlaceError("assigned grad is read-only, but is added to in place: clone() it")

    @property
    def grad_lock(self) -> _GradLock:
        """The lock that guards ``grad``: reentrant, a context manager.

        While it is held no accumulation (but ``racy``), take, zero or step of this tensor goes on.
        Hold one at a time. Internally synchronised.
        """
        return _GradLock(self._leaf("lock .grad").lock)

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
            grad = None if set_to_none else leaf.value()
            if type(grad) is RowSparse:
                grad = grad.zeros()
            elif isinstance(grad, np.ndarray):
                grad.fill(0)
            else:
                grad = leaf.face = None
            leaf.grad = grad

    def retain_grad(self) -> None:
        """Keep the gradient of this inner tensor in ``.grad`` too; on a leaf that is so anyway."""
        edge = refresh(self)
        if edge is None:
            raise NoGraphError("can't retain_grad on Tensor that has requires_grad=False")
        node, port = edge
        if type(node) is not Leaf:
            retain(node, port, lambda: Leaf(self.shape, self.dtype))

    def register_hook(self, hook: Any) -> RemovableHandle:
        """Call ``hook(grad)`` with each gradient of this tensor; what it returns replaces it.

        Hooks run in the order of their registration, under no lock, in the thread that computed the
        gradient: externally synchronised by whoever writes the hook.
        """
        edge = refresh(self)
        if edge is None:
            raise NoGraphError("cannot register a hook on a tensor that doesn't require gradient")
        node, port = edge
        if node.outputs == 1:
            return hooks_of(node).tensor.register(lambda g: _call_hook(hook, g))
        return hooks_of(node).tensor.register(lambda grads: _call_on_port(hook, grads, port))

    def register_post_accumulate_grad_hook(self, hook: Any) -> RemovableHandle:
        """Call ``hook(tensor)`` after a backward has added to ``.grad`` of this leaf.

        Runs in the thread that called ``backward``, under no lock; other threads may add to, take
        or zero ``.grad`` at the same time. An optimiser here takes what it uses in one step, and
        then no contribution is lost or used twice: ``g = tensor.take_grad()``.
        """
        if self._edge is None or type(self._edge[0]) is not Leaf:
            raise InPlaceError(
                "post accumulate grad hooks cannot be registered on non-leaf tensors, nor on "
                "tensors that do not require grad"
            )
        tensor = ref(self)  # a hook must not keep its own tensor alive

        def call() -> None:
            target = tensor()
            if target is not None and hook(target) is not None:
                raise OperandError("hooks for post accumulate grad must return None")

        return hooks_of(self._edge[0]).accumulated.register(call)


class _GradLock:
    """A leaf's lock in the hands of user code: its thread must not wait for other backwards."""

    __slots__ = ("_lock",)

    def __init__(self, lock: Lock) -> None:
        self._lock = lock

    def __enter__(self) -> None:
        self._lock.__enter__()
        state.held += 1

    def __exit__(self, *error: Any) -> None:
        state.held -= 1
        self._lock.__exit__(*error)


_NOT_A_LEAF = (
    "The .grad attribute of a Tensor that is not a leaf Tensor is being accessed. Its .grad "
    "attribute won't be populated during backward(): call .retain_grad() on it before."
)


def _show(value: Value) -> Any:
    """A travelling gradient as user code sees it."""
    return value if isinstance(value, Recorded | RowSparse) else from_array(np.asarray(value))


def _hide(shown: Any, like: Value) -> Value:
    """What user code returned, as it travels on: a gradient of the same shape and dtype."""
    if not isinstance(shown, Differentiable | RowSparse):
        raise OperandError(f"a hook must return Tensors or None, got {type(shown).__name__}")
    if like is not None and (shown.shape != like.shape or shown.dtype != like.dtype):
        raise ShapeError(
            f"a hook must keep shape and dtype: got {shown.dtype}{list(shown.shape)} for "
            f"{like.dtype}{list(like.shape)}"
        )
    if isinstance(shown, RowSparse):  # in place of a dense gradient, a rule may read it next
        return shown if like is None or isinstance(like, RowSparse) else _made_dense(shown, like)
    return shown if isinstance(like, Recorded) else shown._data


def _made_dense(shown: RowSparse, like: Value) -> Value:
    """Rows, as what stands in their place: an array, or a Tensor where ``like`` is one."""
    return from_array(shown.to_dense()) if isinstance(like, Recorded) else shown.to_dense()


present(_show, _hide)


def _call_hook(hook: Any, g: Value) -> Value | None:
    replaced = hook(_show(g))
    return None if replaced is None else _hide(replaced, g)


def _call_on_port(hook: Any, grads: list[Value], port: int) -> list[Value] | None:
    """A hook on one of several outputs of a node."""
    replaced = None if grads[port] is None else _call_hook(hook, grads[port])
    return None if replaced is None else [*grads[:port], replaced, *grads[port + 1 :]]
