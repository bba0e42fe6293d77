"""Tensor: an ndarray with a place in a graph, and PyTorch's names for what can be done with it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, final

import numpy as np

from . import printing, recorded, recording
from .errors import (
    EngineError,
    ExportError,
    InPlaceError,
    NonScalarError,
    NotSupportedError,
    OperandError,
    RequiresGradError,
    ShapeError,
)
from .inplace import plain
from .methods import Spelled
from .ops.op import BY_FUNCTION, COMPOSED, OPS, Composed, Op
from .recorded import register
from .values import Shape

Scalar = bool | int | float

# What recording makes are Tensors: said here, where the class is known.
record: Callable[[Op, tuple[Any, ...], dict[str, Any]], Tensor] = recording.record
from_array: Callable[[np.ndarray], Tensor] = recorded.from_array


def call(row: Op | Composed, args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    """Call a row of the table with Tensors, or with what Tensors can be made of."""
    if isinstance(row, Op):
        return record(*row.bind(args, keywords))
    inputs, named = row.split(args, keywords)
    given = [
        tuple(map(_given, value)) if several else _given(value)
        for value, several in zip(inputs, row.sequences, strict=True)
    ]
    try:
        made = row(*given, **named)
    except (ValueError, TypeError, IndexError, AttributeError) as error:
        if isinstance(error, EngineError):
            raise
        raise recording.refused(row, [_plain(value) for value in given], error) from error
    return from_array(np.asarray(made)) if isinstance(made, np.ndarray | np.generic) else made


def _plain(value: Any) -> Any:
    return value._data if isinstance(value, Tensor) else value


def _given(value: Any) -> Any:
    if value is None or isinstance(value, Tensor | bool | int | float | complex):
        return value
    if callable(value):  # what is integrated, say
        return value
    return from_array(np.asarray(value))


_ABOUT = (np.shape, np.ndim, np.size)

_REDUCTIONS: dict[Any, Op] = {
    np.add: OPS["sum"],
    np.multiply: OPS["prod"],
    np.maximum: OPS["amax"],
    np.minimum: OPS["amin"],
}


@final
class Tensor(Spelled):
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
        def __floordiv__(self, other: Any) -> Tensor: ...
        def __rfloordiv__(self, other: Any) -> Tensor: ...
        def __mod__(self, other: Any) -> Tensor: ...
        def __rmod__(self, other: Any) -> Tensor: ...
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
        out._cell = self._cell
        return out

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        """A leaf with its own memory, and a copy of ``.grad``; inner tensors raise."""
        if not self.is_leaf:
            raise RequiresGradError(
                "Only Tensors created explicitly by the user (graph leaves) support the deepcopy "
                "protocol at the moment: detach() it first"
            )
        out = from_array(self._data.copy()).requires_grad_(self.requires_grad)
        memo[id(self)] = out
        if self.requires_grad and self.grad is not None:
            out.grad = self.grad.clone()
        return out

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled as elements and flag, without history or ``.grad``; inner tensors raise."""
        if not self.is_leaf:
            raise RequiresGradError("cannot pickle a tensor with history: detach() it first")
        return _rebuild, (self._data, self.requires_grad)

    def detach_(self) -> Tensor:
        """Forget the history of this very tensor. Raises ``InPlaceError`` for a view."""
        if self._view is not None:
            raise InPlaceError("Can't detach views in-place. Use detach() instead")
        self._edge = None
        return self

    @property
    def data(self) -> Tensor:
        """The same memory without history, and without version checks: writes go unnoticed.

        May be set to a tensor of the same shape and dtype, whose memory then becomes this one's:
        atomic, but whoever read the old memory goes on with it.
        """
        return from_array(self._data)

    @data.setter
    def data(self, value: Tensor) -> None:
        if not isinstance(value, Tensor):
            raise OperandError(f"data must be a Tensor, got {type(value).__name__}")
        if (value.shape, value.dtype) != (self.shape, self.dtype):
            raise ShapeError(f"data of {self._kind()} cannot be set to {value._kind()}")
        self._data = value._data

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

    def item(self) -> Any:
        """The only element, as a Python number, of whatever kind the dtype is."""
        if self._data.size != 1:
            raise NonScalarError(
                f"a Tensor with {self._data.size} elements cannot be converted to Scalar"
            )
        return self._data.item()

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

    # -- protocols -----------------------------------------------------------------------------

    def __record__(self, op: Op, args: tuple[Any, ...], keywords: dict[str, Any]) -> Tensor:
        return record(*op.bind(args, keywords))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.numpy(), dtype=dtype, copy=copy)

    def __array_namespace__(self, *, api_version: str | None = None) -> Any:
        """The module whose functions work on Tensors, as the array API standard asks for it."""
        return sys.modules[__name__.rpartition(".")[0]]

    def __dlpack__(self, **keywords: Any) -> Any:
        """Share the elements with another library; raises ``ExportError`` where a graph hangs on.

        Exported is a copy where sharing could do harm: reversed axes, which some importers do not
        survive, and read-only memory, which some would write to.
        """
        if self.requires_grad:
            raise ExportError("Can't export tensors that require gradient, use tensor.detach()")
        data = self._data
        if not data.flags.writeable or any(stride < 0 for stride in data.strides):
            data = data.copy()
        return data.__dlpack__(**keywords)

    def __dlpack_device__(self) -> tuple[int, int]:
        """Where the elements lie: always the CPU."""
        return self._data.__dlpack_device__()

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *args: Any, **keywords: Any) -> Any:
        if keywords.get("out") is not None:
            raise NotSupportedError(
                f"{ufunc.__name__}: out= with a Tensor would lose its history; use the result"
            )
        op: Op | Composed | None
        if method == "reduce":
            op = _REDUCTIONS.get(ufunc)
            keywords = {"axis": 0, **keywords}
        else:
            op = BY_FUNCTION.get(ufunc) if method == "__call__" else None
        if op is None:
            raise OperandError(f"numpy.{ufunc.__name__} ({method}) of a Tensor is not supported")
        keywords.pop("out", None)
        return call(op, args, keywords)

    def __array_function__(
        self, function: Any, types: Any, args: tuple[Any, ...], keywords: dict[str, Any]
    ) -> Any:
        if function in _ABOUT:  # no elements are read, no gradient can be lost
            return function(args[0]._data, *args[1:], **keywords)
        op = BY_FUNCTION.get(function)
        if op is None:
            raise OperandError(f"numpy.{function.__name__} of a Tensor is not supported")
        return call(op, args, keywords)

    def __getitem__(self, index: Any) -> Tensor:
        return record(OPS["getitem"], (self,), {"index": plain(index)})

    def __len__(self) -> int:
        if not self.ndim:
            raise OperandError("len() of a 0-d tensor")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        if not self.ndim:
            raise OperandError("iteration over a 0-d tensor")
        return iter(COMPOSED["unbind"](self))

    def __bool__(self) -> bool:
        if self._data.size != 1:
            raise NonScalarError("Boolean value of Tensor with more than one value is ambiguous")
        return bool(self._data)

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __complex__(self) -> complex:
        return complex(self.item())

    def __divmod__(self, other: Any) -> tuple[Tensor, Tensor]:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> tuple[Tensor, Tensor]:
        return other // self, other % self

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

    @property
    def mT(self) -> Tensor:
        """The matrices in the last two axes transposed, a view."""
        return record(OPS["swapaxes"], (self,), {"axis1": -2, "axis2": -1})

    @property
    def mH(self) -> Tensor:
        """The matrices in the last two axes transposed and conjugated."""
        return record(OPS["conj"], (self.mT,), {}) if self.is_complex() else self.mT

    @property
    def H(self) -> Tensor:
        """The conjugate transpose of a matrix; of batches of them take ``mH``."""
        if self.ndim != 2:
            raise ShapeError(f"H is of a matrix, this has {self.ndim} axes; use mH")
        return self.mH

    @property
    def real(self) -> Tensor:
        """The real part, a view; of a real tensor itself."""
        return record(OPS["real"], (self,), {}) if self.is_complex() else self

    @property
    def imag(self) -> Tensor:
        """The imaginary part, a view; of a real tensor zeros."""
        return record(OPS["imag"], (self,), {})

    def is_complex(self) -> bool:
        """Whether the elements are complex numbers."""
        return self._data.dtype.kind == "c"

    def dot(self, other: Any) -> Tensor:
        """The product of vectors or matrices, as ``numpy.dot``."""
        return record(OPS["dot"], (self, other), {})

    def astype(self, dtype: Any) -> Tensor:
        """The elements in another dtype; the gradient comes back in this one."""
        return record(OPS["astype"], (self,), {"dtype": np.dtype(dtype)})


def _rebuild(data: np.ndarray, requires_grad: bool) -> Tensor:
    return from_array(data).requires_grad_(requires_grad)


register(Tensor)
