"""Methods that PyTorch's tensors have and that no single row of the op table is."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from .errors import ShapeError
from .inplace import Writable
from .modes import state
from .ops.op import OPS
from .recorded import INFERENCE, from_array
from .recording import record
from .values import Shape

Sizes = Any  # ints, or one sequence of them


def _shape(sizes: tuple[Any, ...]) -> Shape:
    if len(sizes) == 1 and not isinstance(sizes[0], int | np.integer):
        return tuple(sizes[0])
    return sizes


class Spelled(Writable):
    """The part of Tensor that is there so that PyTorch's programs find it.

    What reads writes nothing: internally synchronised.
    """

    __slots__ = ()

    # -- shape ---------------------------------------------------------------------------------

    def t(self) -> Self:
        """A matrix transposed; a vector or a number as it is. Raises ``ShapeError`` beyond two."""
        if self._data.ndim > 2:
            raise ShapeError(f"t() expects at most two axes, got {self._kind()}: use mT")
        transposed: Self = record(OPS["permute"], (self,), {})
        return transposed

    def repeat(self, *sizes: Sizes) -> Self:
        """Tiled ``sizes`` times along each axis, as PyTorch has it; ``engine.repeat`` is NumPy's.

        >>> import engine
        >>> engine.tensor([1, 2]).repeat(2, 2).tolist()
        [[1, 2, 1, 2], [1, 2, 1, 2]]
        >>> engine.repeat(engine.tensor([1, 2]), 2).tolist()
        [1, 1, 2, 2]
        """
        reps = _shape(sizes)
        if len(reps) < self._data.ndim:
            raise ShapeError(
                f"repeat: {len(reps)} sizes for {self._kind()}: number of dimensions of repeat "
                "dims can not be smaller than number of dimensions of tensor"
            )
        tiled: Self = record(OPS["tile"], (self,), {"reps": reps})
        return tiled

    def view_as(self, other: Any) -> Self:
        """In the shape of ``other``."""
        reshaped: Self = record(OPS["reshape"], (self,), {"shape": other.shape})
        return reshaped

    reshape_as = view_as

    def expand_as(self, other: Any) -> Self:
        """Broadcast to the shape of ``other``."""
        expanded: Self = record(OPS["broadcast_to"], (self,), {"shape": other.shape})
        return expanded

    # -- memory --------------------------------------------------------------------------------

    def contiguous(self) -> Self:
        """Itself if its elements lie in C order, else a copy in which they do."""
        if self.is_contiguous():
            return self
        copied: Self = record(OPS["clone"], (self,), {})
        return copied

    def is_contiguous(self) -> bool:
        """Whether its elements lie in C order without gaps."""
        return self._data.flags.c_contiguous

    def stride(self, dim: int | None = None) -> Shape | int:
        """Steps between neighbours along each axis, or one, in elements."""
        steps = tuple(step // self._data.itemsize for step in self._data.strides)
        return steps if dim is None else steps[dim]

    # -- dtype ---------------------------------------------------------------------------------

    def type_as(self, other: Any) -> Self:
        """In the dtype of ``other``; itself if it has that."""
        return self if self.dtype == other.dtype else self._cast(other.dtype)

    def _cast(self, dtype: Any) -> Self:
        cast: Self = record(OPS["astype"], (self,), {"dtype": dtype})
        return cast

    def is_floating_point(self) -> bool:
        """Whether its elements are real floating point numbers."""
        return self.dtype.kind == "f"

    # -- new ones of its dtype -----------------------------------------------------------------

    def new_full(
        self, size: Sizes, fill_value: Any, *, dtype: Any = None, requires_grad: bool = False
    ) -> Any:
        """One value everywhere, in this tensor's dtype unless another is given."""
        made = from_array(np.full(size, fill_value, dtype or self.dtype))
        if state.inference:
            made._cell = INFERENCE
        return made.requires_grad_(requires_grad)

    def new_zeros(self, *size: Sizes, dtype: Any = None, requires_grad: bool = False) -> Any:
        """Zeros, in this tensor's dtype unless another is given."""
        return self.new_full(_shape(size), 0, dtype=dtype, requires_grad=requires_grad)

    def new_ones(self, *size: Sizes, dtype: Any = None, requires_grad: bool = False) -> Any:
        """Ones, in this tensor's dtype unless another is given."""
        return self.new_full(_shape(size), 1, dtype=dtype, requires_grad=requires_grad)

    def new_tensor(self, data: Any, *, dtype: Any = None, requires_grad: bool = False) -> Any:
        """A copy of ``data``, in this tensor's dtype unless another is given."""
        array = data._data if isinstance(data, Writable) else np.asarray(data)
        return self.new_full(array.shape, array, dtype=dtype, requires_grad=requires_grad)


def _to(dtype: str) -> Any:
    """A method that casts to ``dtype``: ``x.double()``; itself if it has that."""

    def cast(self: Spelled) -> Spelled:
        return self if self.dtype == dtype else self._cast(np.dtype(dtype))

    cast.__doc__ = f"The elements as {dtype}; itself if they are that."
    return cast


# Set from outside the class, where `float`, `int` and `bool` go on meaning what they mean.
for _name, _dtype in {
    "bool": "bool",
    "double": "float64",
    "float": "float32",
    "half": "float16",
    "int": "int32",
    "long": "int64",
}.items():
    _method = _to(_dtype)
    _method.__name__ = _name
    setattr(Spelled, _name, _method)
