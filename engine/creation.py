"""Making tensors, with PyTorch's signatures and defaults: Python floats become float32."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import numpy as np

from . import sync
from .errors import ArgumentError, DTypeError, OperandError, ShapeError
from .modes import Stream, state
from .recorded import INFERENCE
from .tensor import Tensor, from_array
from .values import Shape

DEFAULT_DTYPE = np.dtype("float32")
# What Python's floats and complex numbers become.
_DEFAULTS: dict[np.dtype[Any], np.dtype[Any]] = {
    np.dtype("float64"): DEFAULT_DTYPE,
    np.dtype("complex128"): np.dtype("complex64"),
}


def tensor(data: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """A tensor with a copy of ``data``: numbers, nested lists, an ndarray or a Tensor.

    Python floats become float32, complex numbers complex64 and ints int64; NumPy arrays keep their
    dtype. Raises ``DTypeError`` for what no numeric array can hold, and for ``requires_grad`` of an
    int dtype.

    >>> tensor([[1.0, 2.0], [3.0, 4.0]])
    tensor([[1., 2.],
            [3., 4.]])
    >>> tensor(12.)
    tensor(12.)
    >>> tensor(np.arange(3)).dtype
    dtype('int64')
    """
    if isinstance(data, Tensor):
        data = data._data
    elif hasattr(data, "__dlpack__") and not isinstance(data, np.ndarray | np.generic):
        data = np.from_dlpack(data)  # another library's array
    try:
        array = np.array(data, dtype=dtype)
    except ValueError as error:
        raise ShapeError(f"tensor: the data is no numeric array: {error}") from error
    if array.dtype.kind not in "biufc":
        raise DTypeError(f"tensor: cannot hold {array.dtype} data, only numbers and booleans")
    if dtype is None and array.dtype in _DEFAULTS and not _has_dtype(data):
        array = array.astype(_DEFAULTS[array.dtype])
    return _made(array, requires_grad)


def _has_dtype(data: Any) -> bool:
    """Whether ``data``, or what its lists hold first, says itself what dtype it has."""
    while isinstance(data, list | tuple) and data:
        data = data[0]
    return hasattr(data, "dtype")


def _made(array: np.ndarray, requires_grad: bool) -> Tensor:
    """A new tensor over ``array``; in inference mode one that no graph can use."""
    made = from_array(array)
    if state.inference:
        made._cell = INFERENCE
    return made.requires_grad_(requires_grad)


def from_numpy(array: np.ndarray) -> Tensor:
    """A tensor that shares the memory of ``array``: writes to either show in both.

    >>> shared = np.zeros(2)
    >>> _ = from_numpy(shared).add_(1)
    >>> shared
    array([1., 1.])
    """
    if not isinstance(array, np.ndarray):
        raise OperandError(f"from_numpy: expected an ndarray, got {type(array).__name__}")
    if array.dtype.kind not in "biufc":
        raise DTypeError(f"from_numpy: cannot hold {array.dtype} data, only numbers and booleans")
    return from_array(array)


def from_dlpack(source: Any) -> Tensor:
    """A tensor that shares the memory of any array with ``__dlpack__``, PyTorch's on CPU included.

    >>> shared = np.zeros(2)
    >>> _ = from_dlpack(shared).add_(1)
    >>> shared
    array([1., 1.])
    """
    return from_numpy(np.from_dlpack(source))


def _shape(sizes: tuple[Any, ...]) -> Shape:
    if len(sizes) == 1 and not isinstance(sizes[0], int | np.integer):
        sizes = tuple(sizes[0])
    if not all(isinstance(n, int | np.integer) for n in sizes):
        raise OperandError(f"a shape is made of ints, got {sizes}")
    if any(n < 0 for n in sizes):
        raise ShapeError(f"sizes must not be negative, got {sizes}")
    return tuple(int(n) for n in sizes)


def zeros(*size: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Zeros of a shape, given as ``2, 3`` or ``(2, 3)``."""
    return full(_shape(size), 0, dtype=dtype or DEFAULT_DTYPE, requires_grad=requires_grad)


def ones(*size: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Ones of a shape, given as ``2, 3`` or ``(2, 3)``."""
    return full(_shape(size), 1, dtype=dtype or DEFAULT_DTYPE, requires_grad=requires_grad)


def full(size: Shape, fill_value: Any, *, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """One value everywhere; float32 for a Python float, complex64 for complex, int64 for an int."""
    if dtype is None and isinstance(fill_value, float | complex):
        dtype = _DEFAULTS[np.dtype(type(fill_value))]
    return _made(np.full(_shape((size,)), fill_value, dtype), requires_grad)


def eye(n: int, m: int | None = None, *, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """The identity matrix: ``n`` rows and ``m`` columns (``n``), ones on the diagonal.

    >>> eye(2)
    tensor([[1., 0.],
            [0., 1.]])
    """
    rows, columns = _shape((n, n if m is None else m))
    return _made(np.eye(rows, columns, dtype=dtype or DEFAULT_DTYPE), requires_grad)


def arange(*bounds: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """``arange(stop)``, ``arange(start, stop)`` or ``arange(start, stop, step)``."""
    if dtype is None and any(isinstance(bound, float) for bound in bounds):
        dtype = DEFAULT_DTYPE
    return _made(np.arange(*bounds, dtype=dtype), requires_grad)


def zeros_like(input: Tensor, *, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Zeros with the shape and dtype of ``input``."""
    return zeros(input.shape, dtype=dtype or input.dtype, requires_grad=requires_grad)


def ones_like(input: Tensor, *, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Ones with the shape and dtype of ``input``."""
    return ones(input.shape, dtype=dtype or input.dtype, requires_grad=requires_grad)


def full_like(
    input: Tensor, fill_value: Any, *, dtype: Any = None, requires_grad: bool = False
) -> Tensor:
    """One value everywhere, with the shape and dtype of ``input``."""
    return full(input.shape, fill_value, dtype=dtype or input.dtype, requires_grad=requires_grad)


# -- random ----------------------------------------------------------------------------------------

_position_lock = sync.process_lock()


class _Process(Stream):
    """The numbers of all threads that have no stream of their own. Internally synchronised: the
    lock is held while a draw gets its position, and not while it draws."""

    __slots__ = ()

    def _next(self) -> int:
        with _position_lock:
            return super()._next()


_process = _Process(cast(int, np.random.SeedSequence().entropy))  # rebound by manual_seed: atomic


def manual_seed(seed: int) -> None:
    """Start the process's random numbers over. Internally synchronised.

    Each draw depends on the seed and on how many draws came before it. Threads that draw at the
    same time come in whatever order they come: inside ``engine.hogwild.train`` each step, and
    inside ``fork_rng`` each block, has numbers of its own, which no thread count changes.

    >>> manual_seed(0)
    >>> a = rand(2)
    >>> manual_seed(0)
    >>> bool((a == rand(2)).all())
    True
    """
    global _process
    _process = _Process(seed)


@contextmanager
def fork_rng(*key: int) -> Iterator[None]:
    """Random numbers that depend on ``key`` alone, for a ``with`` block. Thread-local.

    ``key`` is one int or several, none of them negative, of a seed and a step say: whichever
    thread runs the block, and whatever others draw meanwhile, the numbers are the same. As
    ``torch.random.fork_rng``, with a key. Raises ``ArgumentError`` for any other key.

    >>> with fork_rng(0, 7):
    ...     a = rand(2)
    >>> with fork_rng(0, 7):
    ...     bool((a == rand(2)).all())
    True
    """
    if not key or not all(isinstance(k, int | np.integer) and k >= 0 for k in key):
        raise ArgumentError(f"fork_rng: the key must be ints of 0 or more, got {key}")
    before, state.stream = state.stream, Stream(*map(int, key))
    try:
        yield
    finally:
        state.stream = before


def generator() -> np.random.Generator:
    """NumPy's generator at the start of this thread's next draw. Thread-local: until the next."""
    return (state.stream or _process).next()


def _draw(
    kind: Callable[[np.random.Generator, Any], Any], dtype: Any, requires_grad: bool
) -> Tensor:
    """Draw in single or double precision; half precision is cast from single."""
    wanted = np.dtype(dtype or DEFAULT_DTYPE)
    if wanted.kind != "f":
        raise DTypeError(f"random numbers are drawn in floating point, not {wanted}")
    drawing = np.float64 if wanted.itemsize > 4 else np.float32
    return _made(np.asarray(kind(generator(), drawing), wanted), requires_grad)


def rand(*size: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Uniform in [0, 1)."""
    shape = _shape(size)
    return _draw(lambda g, drawing: g.random(shape, drawing), dtype, requires_grad)


def randn(*size: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Standard normal."""
    shape = _shape(size)
    return _draw(lambda g, drawing: g.standard_normal(shape, drawing), dtype, requires_grad)


def rand_like(input: Tensor, *, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Uniform in [0, 1), with the shape and dtype of ``input``."""
    return rand(input.shape, dtype=dtype or input.dtype, requires_grad=requires_grad)


def randn_like(input: Tensor, *, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Standard normal, with the shape and dtype of ``input``."""
    return randn(input.shape, dtype=dtype or input.dtype, requires_grad=requires_grad)
