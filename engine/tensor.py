"""Tensor: an ndarray with a place in a graph.

Recording happens here (``record``): run the forward, and in grad mode leave a node behind that says
how to go back. Everything else about an operation stands in its row of the table in ``ops``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from . import printing
from .errors import (
    DTypeError,
    GraphReleasedError,
    InPlaceError,
    NonScalarError,
    NotSupportedError,
    OperandError,
    RequiresGradError,
    SavedValueChangedError,
    ShapeError,
)
from .graph import LEAF_SEQ, Edge, Leaf, Node, Origin, VersionCell, caller, describe
from .hooks import HookList, RemovableHandle
from .modes import state
from .ops.op import BY_FUNCTION, OPS, Op, Recipe
from .sync import Lock
from .values import Shape, Value

_new = object.__new__


class OpNode(Node):
    """A recorded operation: which op, and what its rules asked to keep.

    ``saved`` holds one tuple, or nothing once a backward has consumed it. Popping it is atomic on
    every build, so of two backwards that meet here without ``retain_graph`` exactly one succeeds.
    """

    __slots__ = ("op", "recipe", "saved")

    op: Op  # immutable
    recipe: Recipe  # immutable
    saved: list[tuple[tuple[Any, ...], Sequence[tuple[VersionCell, Any]]]]  # atomic

    def name(self) -> str:
        return f"{self.op.name.title().replace('_', '')}Backward0"

    def pull(self, g: Value, wanted: Sequence[object | None], retain: bool) -> list[Value]:
        values: tuple[Any, ...] = ()
        if self.recipe.saved:
            values = self._unpack(retain)
            if type(g) is Tensor:
                values = self._recorded(values)
        grads: list[Value] = []
        for route, entry in zip(wanted, self.recipe.rules, strict=True):
            if route is None or entry is None:
                grads.append(None)
            else:
                rule, asks = entry
                if len(asks) == 1 and asks[0] >= 0:
                    grads.append(rule(g, values[asks[0]]))
                else:
                    grads.append(
                        rule(g, *[values[i] if i >= 0 else self._shape_of(~i) for i in asks])
                    )
        return grads

    def _shape_of(self, index: int) -> Shape:
        edge = self.edges[index]
        assert edge is not None
        return edge[0].output(edge[1])[0]

    def _unpack(self, retain: bool) -> tuple[Any, ...]:
        try:
            keep = retain or not self.recipe.consumes
            values, checks = self.saved[0] if keep else self.saved.pop()
        except IndexError:
            raise GraphReleasedError(
                f"Trying to backward through the graph a second time: what {self.name()} saved at "
                f"{describe(self.origin)} has been released. Pass retain_graph=True to the "
                "backward that comes first."
            ) from None
        for cell, token in checks:
            if cell[0] is not token:
                self._raise_changed(cell[0], token)
        return values

    def _raise_changed(self, write: tuple[int, Any], token: tuple[int, Any] | None) -> None:
        raise SavedValueChangedError(
            "one of the variables needed for gradient computation has been modified by an inplace "
            f"operation: {self.name()} saved it at {describe(self.origin)} at version "
            f"{token[0] if token else 0}; it was written at {describe(write[1])} and is at version "
            f"{write[0]}. Write out of place, or clone() before the write. Parameters that other "
            "threads update on purpose are marked with engine.hogwild.share(parameters)."
        )

    def _recorded(self, values: tuple[Any, ...]) -> tuple[Any, ...]:
        """What was saved, as Tensors with their history: for a backward that is itself recorded."""
        inputs = len(self.op.inputs)
        kept = dict(zip(self.recipe.saved, values, strict=True))
        for index in self.recipe.saved:
            if index < inputs and self.edges[index] is not None:
                kept[index] = from_array(kept[index], self.edges[index])
        for index in self.recipe.saved[0 if not self.op.residuals else inputs :]:
            name = self.op.environment[index]
            if name == "ans":
                kept[index] = from_array(kept[index], (self, 0))
            elif name in self.op.residuals:
                kept[index] = self.op.residuals[name](*[kept[i] for i in range(inputs)])
        return tuple(kept[index] for index in self.recipe.saved)

    def cost(self, g: Value) -> int:
        if self.op.cost is not None:
            for values, _ in self.saved[:1]:  # a copy: another backward may consume it meanwhile
                return self.op.cost(g, *values)
        return super().cost(g)


def record(op: Op, args: tuple[Any, ...], keywords: dict[str, Any]) -> Tensor:
    """Run an operation on Tensors and whatever else its forward takes, and record it."""
    arrays = [a._data if type(a) is Tensor else a for a in args]
    try:
        ans = op.forward(*arrays, **keywords)
    except (ValueError, TypeError, IndexError) as error:
        raise _refused(op, arrays, error) from error
    residuals: Sequence[Any] = ()
    if op.residuals:
        ans, *residuals = ans
    out = from_array(ans if type(ans) is np.ndarray else np.asarray(ans))
    if op.view and out._data.base is not None and type(args[0]) is Tensor:
        out._version = args[0]._version
    if state.grad and op.rules:
        edges = [a._edge if type(a) is Tensor else None for a in args]
        if any(edges):
            node = _node(op, edges, out)
            out._edge = (node, 0)
            if node.recipe.saved:
                _save(node, args, [*arrays, *_values(op, keywords), out._data, *residuals], out)
    return out


def _node(op: Op, edges: list[Edge | None], out: Tensor) -> OpNode:
    mask, seq, bit = 0, state.clock, 1
    for edge in edges:
        if edge is not None:
            mask |= bit
            # Larger than all that it was made from, in whatever thread that was made.
            if seq < edge[0].seq != LEAF_SEQ:
                seq = edge[0].seq
        bit += bit
    state.clock = seq = seq + 1
    node: OpNode = _new(OpNode)
    node.op = op
    node.recipe = op.recipes.get(mask) or op.recipe(mask)
    node.edges = edges
    node.seq = seq
    node.shape = out._data.shape
    node.dtype = out._data.dtype
    node.hooks = None
    node.origin = caller(3)
    node.saved = []
    return node


def _values(op: Op, keywords: dict[str, Any]) -> Sequence[Any]:
    if not op.defaults:
        return ()
    return [keywords.get(name, default) for name, default in op.defaults.items()]


def _save(node: OpNode, args: Sequence[Any], environment: list[Any], out: Tensor) -> None:
    """Keep what the rules ask for, with the versions at which strict tensors are kept."""
    recipe = node.recipe
    checks = []
    for index in recipe.saved_inputs:
        value = args[index]
        if type(value) is Tensor and value._version is not None:
            checks.append((value._version, value._version[0]))
    if recipe.saves_ans and out._version is not None:
        checks.append((out._version, out._version[0]))
    node.saved.append((recipe.pick(environment), checks))


def _refused(op: Op, arrays: Sequence[Any], error: Exception) -> Exception:
    met = ", ".join(
        f"{name}: {a.dtype}{list(a.shape)}" if isinstance(a, np.ndarray) else f"{name}: {a!r}"
        for name, a in zip(op.inputs, arrays, strict=False)
    )
    kind = OperandError if isinstance(error, TypeError) else ShapeError
    return kind(f"{op.name}({met}): {error}")


def from_array(data: np.ndarray, edge: Edge | None = None) -> Tensor:
    """A tensor over the memory of ``data``, whose gradient goes to ``edge``."""
    out: Tensor = _new(Tensor)
    out._data = data
    out._edge = edge
    out._version = [None]
    return out


class Tensor:
    """An n-dimensional array that remembers how it was computed.

    Made with ``engine.tensor`` and its relatives. Shape, dtype and the graph behind it are
    immutable; the elements are externally synchronised (in-place writes), but for parameters marked
    with ``engine.hogwild.share``, whose elements are racy by consent. ``grad`` is atomic: reading,
    setting, taking and zeroing it never meet an accumulation half-way, but for ``racy`` ones.
    """

    __slots__ = ("__weakref__", "_data", "_edge", "_version")

    _data: np.ndarray
    _edge: Edge | None  # where its gradient goes: (Leaf, 0), (Node, output), or None
    _version: VersionCell | None  # None: shared for Hogwild, writes are not counted

    def __init__(self) -> None:
        raise OperandError("make tensors with engine.tensor(data), not engine.Tensor(...)")

    if TYPE_CHECKING:  # methods that the op table provides, see `surface`

        def __getattr__(self, name: str) -> Any: ...

    # -- what it is ----------------------------------------------------------------------------

    @property
    def shape(self) -> Shape:
        """The sizes of its axes."""
        return self._data.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """NumPy's dtype of its elements."""
        return self._data.dtype

    @property
    def ndim(self) -> int:
        """The number of its axes."""
        return self._data.ndim

    @property
    def requires_grad(self) -> bool:
        """Whether gradients flow into or through it. May be set on leaves."""
        return self._edge is not None

    @requires_grad.setter
    def requires_grad(self, flag: bool) -> None:
        self.requires_grad_(flag)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
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

    # -- its gradient --------------------------------------------------------------------------

    def _leaf(self, doing: str) -> Leaf:
        leaf = self._edge[0] if self._edge is not None else None
        if not isinstance(leaf, Leaf):
            raise InPlaceError(f"cannot {doing}: the tensor is not a leaf that requires grad")
        return leaf

    @property
    def grad(self) -> Tensor | None:
        """The gradient accumulated so far, or None. Atomic, see the class."""
        leaf = self._edge[0] if self._edge is not None else None
        if not isinstance(leaf, Leaf):
            return None
        with leaf.lock:
            if leaf.grad is None or type(leaf.grad) is Tensor:
                return leaf.grad
            if leaf.face is None or leaf.face._data is not leaf.grad:
                leaf.face = from_array(leaf.grad)
            face: Tensor = leaf.face
            return face

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        leaf = self._leaf("set .grad")
        if value is not None:
            self._check_grad(value)
        with leaf.lock:
            if value is None or value.requires_grad:
                leaf.grad, leaf.face = value, None
            else:
                leaf.grad, leaf.face = value._data, value

    def _check_grad(self, value: object) -> None:
        if not isinstance(value, Tensor):
            raise OperandError(f"assigned grad must be a Tensor or None, got {type(value).__name__}")
        if value is self:
            raise InPlaceError("can't assign a Tensor as its own gradient: use clone()")
        if value.shape != self.shape:
            raise ShapeError(f"assigned grad has shape {value.shape}, the tensor {self.shape}")
        if value.dtype != self.dtype:
            raise DTypeError(f"assigned grad has dtype {value.dtype}, the tensor {self.dtype}")
        if not value._data.flags.writeable:
            raise InPlaceError("assigned grad is read-only, gradients are added in place: clone() it")

    @property
    def grad_lock(self) -> Lock:
        """The lock that guards ``grad``: reentrant, a context manager.

        While it is held no accumulation (but ``racy``), take, zero or step of this tensor goes on.
        Hold one at a time. Internally synchronised.
        """
        return self._leaf("lock .grad").lock

    def take_grad(self) -> Tensor | None:
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
        node = self._edge[0]
        if node.hooks is None:
            node.hooks = HookList()
        return node.hooks.register(lambda g: _call_hook(hook, g))

    # -- out of the graph ----------------------------------------------------------------------

    def detach(self) -> Tensor:
        """The same memory without history: writes through it count as writes to this tensor."""
        out = from_array(self._data)
        out._version = self._version
        return out

    @property
    def data(self) -> Tensor:
        """The same memory without history, and without version checks: writes go unnoticed."""
        return from_array(self._data)

    def numpy(self) -> np.ndarray:
        """The elements as an ndarray, without a copy.

        Raises ``RequiresGradError`` where history would be lost silently: use ``detach()`` first.
        """
        if self._edge is not None:
            raise RequiresGradError(
                "Can't call numpy() on Tensor that requires grad. "
                "Use tensor.detach().numpy() instead."
            )
        return self._data

    def item(self) -> Scalar:
        """The only element, as a Python number."""
        if self._data.size != 1:
            raise NonScalarError(
                f"a Tensor with {self._data.size} elements cannot be converted to Scalar"
            )
        value: Scalar = self._data.item()
        return value

    def tolist(self) -> Any:
        """The elements as nested lists of Python numbers."""
        return self._data.tolist()

    def dim(self) -> int:
        """The number of its axes."""
        return self._data.ndim

    def numel(self) -> int:
        """The number of its elements."""
        return self._data.size

    def size(self, dim: int | None = None) -> Shape | int:
        """Its shape; the size of one axis."""
        return self._data.shape if dim is None else self._data.shape[dim]

    # -- in place ------------------------------------------------------------------------------

    def _write(self, ufunc: np.ufunc, other: Any) -> Tensor:
        self._check_writable(ufunc.__name__)
        value = other._data if isinstance(other, Tensor) else other
        try:
            ufunc(self._data, value, out=self._data)
        except (TypeError, ValueError) as error:
            raise _refused_write(ufunc.__name__, self, value, error) from error
        self._wrote(caller(3))
        return self

    def _check_writable(self, name: str) -> None:
        if self._edge is None or not state.grad:
            return
        if self.is_leaf:
            raise InPlaceError(
                "a leaf Variable that requires grad is being used in an in-place operation: "
                f"{name}_. Write under engine.no_grad(), or out of place."
            )
        raise NotSupportedError(
            f"{name}_ on a tensor with history is not supported in grad mode: write out of place, "
            "or under engine.no_grad()"
        )

    def _wrote(self, where: Origin) -> None:
        """Note a write to the elements, so that a backward that saved them raises."""
        cell = self._version
        if cell is not None:
            cell[0] = (cell[0][0] + 1 if cell[0] else 1, where)

    def add_(self, other: Any, *, alpha: Scalar = 1) -> Tensor:
        """``self += alpha * other``, in place: externally synchronised."""
        return self._write(np.add, other if alpha == 1 else other * alpha)

    def sub_(self, other: Any, *, alpha: Scalar = 1) -> Tensor:
        """``self -= alpha * other``, in place: externally synchronised."""
        return self._write(np.subtract, other if alpha == 1 else other * alpha)

    def mul_(self, other: Any) -> Tensor:
        """``self *= other``, in place: externally synchronised."""
        return self._write(np.multiply, other)

    def div_(self, other: Any) -> Tensor:
        """``self /= other``, in place: externally synchronised."""
        return self._write(np.divide, other)

    def copy_(self, source: Any) -> Tensor:
        """Copy the elements of ``source`` here, broadcast and cast: externally synchronised."""
        self._check_writable("copy")
        value = source._data if isinstance(source, Tensor) else source
        try:
            self._data[...] = value
        except (TypeError, ValueError) as error:
            raise _refused_write("copy", self, value, error) from error
        self._wrote(caller(2))
        return self

    def zero_(self) -> Tensor:
        """Fill with zeros, in place: externally synchronised."""
        return self.copy_(0)

    # -- protocols -----------------------------------------------------------------------------

    def __record__(self, op: Op, args: tuple[Any, ...], keywords: dict[str, Any]) -> Tensor:
        return record(op, *op.bind(args, keywords))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.numpy(), dtype=dtype, copy=copy)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *args: Any, **keywords: Any) -> Tensor:
        if keywords.get("out") is not None:
            raise NotSupportedError(
                f"{ufunc.__name__}: out= with a Tensor would lose its history; use the result"
            )
        if method == "reduce":
            op = {np.add: OPS["sum"], np.maximum: OPS["amax"], np.minimum: OPS["amin"]}.get(ufunc)
            keywords = {"axis": 0, **keywords}
        else:
            op = BY_FUNCTION.get(ufunc) if method == "__call__" else None
        if op is None:
            raise OperandError(f"numpy.{ufunc.__name__} ({method}) of a Tensor is not supported")
        keywords.pop("out", None)
        return record(op, *op.bind(args, keywords))

    def __array_function__(
        self, function: Any, types: Any, args: tuple[Any, ...], keywords: dict[str, Any]
    ) -> Tensor:
        op = BY_FUNCTION.get(function)
        if op is None:
            raise OperandError(f"numpy.{function.__name__} of a Tensor is not supported")
        return record(op, *op.bind(args, keywords))

    def __getitem__(self, index: Any) -> Tensor:
        return record(OPS["getitem"], (self,), {"index": _plain(index)})

    def __setitem__(self, index: Any, value: Any) -> None:
        self._check_writable("__setitem__")
        self._data[_plain(index)] = _plain(value)
        self._wrote(caller(2))

    def __len__(self) -> int:
        if not self.ndim:
            raise OperandError("len() of a 0-d tensor")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        if not self.ndim:
            raise OperandError("iteration over a 0-d tensor")
        return (self[i] for i in range(len(self)))

    def __bool__(self) -> bool:
        if self._data.size != 1:
            raise NonScalarError("Boolean value of Tensor with more than one value is ambiguous")
        return bool(self._data)

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __format__(self, spec: str) -> str:
        return format(self.item() if spec else repr(self), spec)

    def __repr__(self) -> str:
        return printing.text(self._data, self.grad_fn, self.requires_grad)

    __hash__ = object.__hash__

    def __pos__(self) -> Tensor:
        return self

    @property
    def T(self) -> Tensor:
        """The tensor with its axes reversed."""
        return record(OPS["permute"], (self,), {})

    def dot(self, other: Any) -> Tensor:
        """The product of vectors or matrices, as ``numpy.dot``."""
        return record(OPS["dot"], (self, other), {})

    def astype(self, dtype: Any) -> Tensor:
        """The elements in another dtype; the gradient comes back in this one."""
        return record(OPS["astype"], (self,), {"dtype": np.dtype(dtype)})


def _plain(index: Any) -> Any:
    """An index or value with ndarrays for Tensors: what selects is a constant."""
    if isinstance(index, Tensor):
        return index._data
    if isinstance(index, tuple):
        return tuple(_plain(part) for part in index)
    return index


def _refused_write(name: str, target: Tensor, value: Any, error: Exception) -> Exception:
    kind = OperandError if isinstance(error, TypeError) else ShapeError
    met = f"{value.dtype}{list(value.shape)}" if isinstance(value, np.ndarray) else repr(value)
    return kind(f"{name}_({target.dtype}{list(target.shape)}, {met}): {error}")


def _call_hook(hook: Any, g: Value) -> Value | None:
    """Show a travelling gradient to user code as a Tensor, and check what comes back."""
    seen = g if type(g) is Tensor else from_array(np.asarray(g))
    replaced = hook(seen)
    if replaced is None:
        return None
    if not isinstance(replaced, Tensor):
        raise OperandError(f"a hook must return a Tensor or None, got {type(replaced).__name__}")
    if replaced.shape != seen.shape or replaced.dtype != seen.dtype:
        raise ShapeError(
            f"a hook must keep shape and dtype: got {replaced.dtype}{list(replaced.shape)} for "
            f"{seen.dtype}{list(seen.shape)}"
        )
    return replaced if type(g) is Tensor else replaced._data
