"""Tensor: an ndarray with a place in a graph, and PyTorch's names for what can be done with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, final

import numpy as np

from . import printing, recording
from .differentiable import Differentiable
from .errors import (
    InferenceError,
    InPlaceError,
    NonScalarError,
    NotSupportedError,
    OperandError,
    RequiresGradError,
    ShapeError,
)
from .graph import Origin, caller
from .modes import state
from .ops.op import BY_FUNCTION, OPS, Op
from .recording import register
from .values import Shape

Scalar = bool | int | float

# What recording makes are Tensors: said here, where the class is known.
record: Callable[[Op, tuple[Any, ...], dict[str, Any]], Tensor] = recording.record
from_array: Callable[[np.ndarray], Tensor] = recording.from_array


_REDUCTIONS: dict[Any, Op] = {
    np.add: OPS["sum"],
    np.maximum: OPS["amax"],
    np.minimum: OPS["amin"],
}


@final
class Tensor(Differentiable):
    """An n-dimensional array that remembers how it was computed.

    Made with ``engine.tensor`` and its relatives. Shape, dtype and the graph behind it are
    immutable; the elements are externally synchronised (in-place writes), but for parameters marked
    with ``engine.hogwild.share``, whose elements are racy by consent. ``grad`` is atomic: reading,
    setting, taking and zeroing it never meet an accumulation half-way, but for ``racy`` ones.
    """

    __slots__ = ()

    def __init__(self) -> None:
        raise OperandError("make tensors with engine.tensor(data), not engine.Tensor(...)")

    if TYPE_CHECKING:
        backward: Any  # see `autograd`

        # What the op table provides, see `surface`.
        def __getattr__(self, name: str) -> Any: ...
        def __neg__(self) -> Tensor: ...
        def __abs__(self) -> Tensor: ...
        def __add__(self, other: Any) -> Tensor: ...
        def __radd__(self, other: Any) -> Tensor: ...
        def __sub__(self, other: Any) -> Tensor: ...
        def __rsub__(self, other: Any) -> Tensor: ...
        def __mul__(self, other: Any) -> Tensor: ...
        def __rmul__(self, other: Any) -> Tensor: ...
        def __truediv__(self, other: Any) -> Tensor: ...
        def __rtruediv__(self, other: Any) -> Tensor: ...
        def __pow__(self, other: Any) -> Tensor: ...
        def __rpow__(self, other: Any) -> Tensor: ...
        def __matmul__(self, other: Any) -> Tensor: ...
        def __rmatmul__(self, other: Any) -> Tensor: ...
        def __lt__(self, other: Any) -> Tensor: ...
        def __le__(self, other: Any) -> Tensor: ...
        def __gt__(self, other: Any) -> Tensor: ...
        def __ge__(self, other: Any) -> Tensor: ...

    # -- what it is ----------------------------------------------------------------------------

    @property
    def ndim(self) -> int:
        """The number of its axes."""
        return self._data.ndim

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

    def is_inference(self) -> bool:
        """Whether it was made in inference mode."""
        return self._version is recording.INFERENCE

    def _check_writable(self, name: str) -> None:
        if self.is_inference() and not state.inference:
            raise InferenceError(
                f"{name}_: Inplace update to inference tensor outside InferenceMode is not "
                "allowed: clone() it first"
            )
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
        if cell is not None and cell is not recording.INFERENCE:
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
            op = _REDUCTIONS.get(ufunc)
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


register(Tensor)
