"""Which arguments a transform differentiates, and what of them can be differentiated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..creation import from_numpy, tensor
from ..errors import ArgumentError, DTypeError, OperandError, ShapeError
from ..errors import PositionError as PositionError
from ..tensor import Tensor
from .containers import leaves, paired


def label(function: Any) -> str:
    """The name of a function, or of the class of a callable object, for messages."""
    return getattr(function, "__name__", type(function).__name__)


def kind(value: Any) -> str:
    """Dtype and shape of a tensor or array, the type of anything else, for messages."""
    if isinstance(value, Tensor | np.ndarray | np.generic):
        return f"{value.dtype}{list(value.shape)}"
    return type(value).__name__


def checked_positions(where: str, positions: Any) -> tuple[int, ...]:
    """An int or a sequence of different ints as a tuple."""
    several = tuple(positions) if isinstance(positions, list | tuple) else (positions,)
    if not several:
        raise ArgumentError(f"{where} names no argument: give an int or a tuple of ints")
    for position in several:
        if isinstance(position, bool) or not isinstance(position, int | np.integer):
            raise OperandError(
                f"{where} must be an int or a tuple of ints, got {position!r} "
                f"({type(position).__name__})"
            )
    if len(set(several)) != len(several):
        raise ArgumentError(f"{where}={positions!r} names an argument twice: name each once")
    return tuple(int(position) for position in several)


def located(where: str, positions: Sequence[int], count: int) -> list[int]:
    """``positions``, which may count from the end, as indices into ``count`` arguments."""
    for position in positions:
        if not -count <= position < count:
            raise PositionError(
                f"{where}={position}, but the function was called with {count} positional "
                "arguments; keyword arguments are never differentiated"
            )
    found = [position % count for position in positions]
    if len(set(found)) != len(found):
        raise ArgumentError(f"{where}={tuple(positions)} names an argument twice: name each once")
    return found


def as_tensor(value: Any, where: str) -> Tensor:
    """What can be differentiated as a Tensor: over the memory of an ndarray, float32 for a float.

    Raises ``DTypeError`` for other than floating point, ``OperandError`` for what is no array.
    """
    if not isinstance(value, Tensor | np.ndarray | np.generic | bool | int | float | complex):
        raise OperandError(
            f"{where} is of type {kind(value)}: only Tensors, ndarrays and floats, and dicts, "
            "lists and tuples of them, can be differentiated"
        )
    if isinstance(value, np.ndarray | np.generic):
        value = from_numpy(np.asarray(value)) if value.dtype.kind in "biufc" else value
    elif not isinstance(value, Tensor):
        value = tensor(value) if isinstance(value, float) else value
    if not isinstance(value, Tensor) or value.dtype.kind != "f":
        raise DTypeError(
            f"{where} is {kind(value)}: only floating point can be differentiated; pass floats "
            "(x.astype('float32'), 2.0 for 2)"
        )
    return value


def like(tree: Any, vectors: Any, what: str) -> list[Tensor]:
    """``vectors`` as Tensors, one for each tensor in ``tree``, in its structure and shapes."""
    refs = leaves(tree)
    found = [as_tensor(leaf, what) for leaf in paired(tree, vectors, what)]
    for ref, vector in zip(refs, found, strict=True):
        if vector.shape != getattr(ref, "shape", ()):
            raise ShapeError(f"{what}: got {kind(vector)} for {kind(ref)}; shapes must be equal")
    return found
